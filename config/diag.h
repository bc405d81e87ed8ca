/*
 * Problems found while a config is read. They are collected with their place and written out together in file
 * order, so that a user sees all of them in one go. Private to config/.
 */
#ifndef PM_CONFIG_DIAG_H
#define PM_CONFIG_DIAG_H

#include <stdbool.h>
#include <stddef.h>

struct config_report;

struct diag_entry {
    unsigned line, col; /* 1-based; 0 = no place, the entry is about the whole file */
    unsigned seq;       /* order of discovery, which decides between entries of one place */
    bool warning;
    char *msg;
};

struct diag {
    const char *file; /* as the user named it; not owned */
    struct diag_entry *v;
    size_t n;
    unsigned n_errors;
    unsigned suppressed; /* errors beyond the cap: counted, not kept */
};

void diag_error(struct diag *d, unsigned line, unsigned col, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void diag_warn(struct diag *d, unsigned line, unsigned col, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Writes the entries as lines into the report (control characters replaced) and leaves `d` empty. */
void diag_flush(struct diag *d, struct config_report *report);

#define QUOTE_MAX 64

/*
 * The text in double quotes, shortened at a character boundary to fit a message. Returns `out`.
 */
const char *diag_quote(char out[QUOTE_MAX], const char *text);

#endif
