/* How the list of processes is to be shown: its order and its form. */
#ifndef PM_CLI_LISTVIEW_H
#define PM_CLI_LISTVIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct args;
struct err;
struct list_sort;

struct list_view {
    const struct list_sort *sort; /* NULL: by name */
    bool descending;
    bool mini; /* a few lines for each process instead of a table */
};

/* From --sort and --mini-list. 0, or -EINVAL with a message that names the fields there are. */
int list_view_read(struct list_view *v, const struct args *a, struct err *e);

/* The records in the wanted order: an array that the caller frees, of borrowed records. */
const json_t **list_view_order(const struct list_view *v, const json_t *records, size_t *n);

#endif
