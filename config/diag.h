/*
 * Problems found while a config is read. They are collected with their place and written out together in file
 * order, so that a user sees all of them in one go. Private to config/.
 */
#ifndef PM_CONFIG_DIAG_H
#define PM_CONFIG_DIAG_H

#include <stdbool.h>
#include <stddef.h>

struct config_report;
struct tree_node;

struct diag_entry {
    unsigned line, col; /* 1-based; 0 = no place, the entry is about the whole file */
    unsigned seq;       /* order of discovery, which decides between entries of one place */
    bool warning;
    bool sealed; /* what else is wrong at this place follows from it and is not told */
    char *msg;
};

struct diag {
    const char *file; /* as the user named it; not owned */
    struct diag_entry *v;
    size_t n;
    unsigned n_errors;
    unsigned suppressed; /* errors beyond the cap: counted, not kept */

    /* Set when lines are numbers of this tree's nodes (tree_path.h): places are told as ways through it. It
     * must live until the flush. */
    const struct tree_node *numbered;
};

void diag_error(struct diag *d, unsigned line, unsigned col, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void diag_warn(struct diag *d, unsigned line, unsigned col, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Seals the newest entry. */
void diag_seal(struct diag *d);

/* Forgets all entries: another way to read the same text is tried. */
void diag_clear(struct diag *d);

/* Takes the places off all entries, for text that the user does not have. */
void diag_drop_places(struct diag *d);

/* " in line 5", or nothing where there are no lines; completes "was given already". Returns `out`. */
#define IN_LINE_MAX 24
const char *diag_in_line(const struct diag *d, unsigned line, char out[IN_LINE_MAX]);

/* Writes the entries as lines into the report (control characters replaced) and leaves `d` empty. */
void diag_flush(struct diag *d, struct config_report *report);

#define QUOTE_MAX 64

/*
 * The text in double quotes, shortened at a character boundary to fit a message. Returns `out`.
 */
const char *diag_quote(char out[QUOTE_MAX], const char *text);

#endif
