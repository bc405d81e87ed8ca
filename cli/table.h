/*
 * A table fitted to the terminal: columns that are only pleasant go until the others can keep a readable
 * width, then those are cut, then columns that are missed go.
 */
#ifndef PM_CLI_TABLE_H
#define PM_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/color.h"

struct buf;

struct column {
    const char *title;
    const char *ascii; /* title where UTF-8 cannot be shown; NULL = the same */
    int spare;         /* the column with the highest goes first when there is no room; 0 = never goes */
    bool right;        /* numbers */
    int shrink;        /* may be cut down to this many columns of the terminal; 0 = never */
    int keep;          /* columns that are pleasant but not needed go before it is cut below this */
};

#define TABLE_PLEASANT 10 /* a `spare` from here on: pleasant but not needed */

struct cell {
    char *text; /* clean, on the heap */
    enum color color;
};

struct table {
    const struct column *columns;
    size_t n_columns;
    struct cell *cells;
    size_t n_cells;
};

struct table_style {
    bool box;   /* lines around the cells; otherwise plain aligned columns */
    bool utf8;  /* line-drawing characters, else + - | */
    bool color; /* heads and cells coloured */
    int width;  /* columns of the terminal; 0 = no limit */
};

void table_init(struct table *t, const struct column *columns, size_t n);
void table_deinit(struct table *t);

/* Adds the next cell, row by row; the text is copied and made harmless. */
void table_add(struct table *t, enum color color, const char *text);

void table_render(const struct table *t, const struct table_style *style, struct buf *out);

#endif
