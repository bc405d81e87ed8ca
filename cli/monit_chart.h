/* Bars, sparklines and charts as text: braille and blocks where the terminal has UTF-8, else ASCII. */
#ifndef PM_CLI_MONIT_CHART_H
#define PM_CLI_MONIT_CHART_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* A bar of `columns` for a share of 0 to 1. */
void monit_bar(struct buf *out, double share, int columns, bool utf8);

/* One character a value, the newest at the right; missing ones are blanks. */
void monit_sparkline(struct buf *out, const float *v, size_t n, double max, int columns, bool utf8);

/* Values that one row of a chart `columns` wide shows. */
size_t monit_chart_values(int columns, bool utf8);

/* Row `row` (0 is the top) of `rows` of a filled chart, the newest value at the right. */
void monit_chart_row(struct buf *out, const float *v, size_t n, double max, int columns, int row, int rows,
                     bool utf8);

/* The end of a scale that holds the largest value: 1, 2 or 5 times a power of ten, at least `least`. */
double monit_scale(const float *v, size_t n, double least);

/* The same for bytes: 1, 2 or 5 and so on times a power of 1024. */
double monit_scale_bytes(const float *v, size_t n);

#endif
