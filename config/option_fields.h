/* Values in the structs that option rows describe: defaults, copies, the end. Private to config/. */
#ifndef PM_CONFIG_OPTION_FIELDS_H
#define PM_CONFIG_OPTION_FIELDS_H

#include "config/options.h"

/* `base` is zeroed memory; afterwards every field has its default. */
void fields_init(const struct option_row *rows, size_t n, void *base);
void fields_deinit(const struct option_row *rows, size_t n, void *base);

/* `base` holds a flat copy of another struct; what its pointers lead to becomes its own. */
void fields_dup(const struct option_row *rows, size_t n, void *base);

/* The same for one field. */
void field_init(const struct option_row *o, void *base);
void field_deinit(const struct option_row *o, void *base);

/*
 * A list of mappings lies in its struct as a pointer to the first entry and the number of them: `struct
 * option_list`, or a struct of the same shape whose pointer has the type of the entries.
 */
struct option_list {
    void *v;
    unsigned n;
};

struct option_list option_list_get(const struct option_row *o, const void *base);
void *option_list_at(const struct option_row *o, const struct option_list *l, unsigned i);

/* One more entry, with its defaults; valid until the next one is added. NULL when the list is full. */
void *option_list_add(const struct option_row *o, void *base);

/* Frees all entries; the list is empty then. */
void option_list_clear(const struct option_row *o, void *base);

#endif
