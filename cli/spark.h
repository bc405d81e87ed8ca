/* A line of small bars: what a metric did over time, in one row of text. */
#ifndef PM_CLI_SPARK_H
#define PM_CLI_SPARK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct buf;

/* Members of a point of the method "metrics". */
enum metrics_member {
    POINT_TIME,
    POINT_SECONDS,
    POINT_CPU_MIN,
    POINT_CPU_AVG,
    POINT_CPU_MAX,
    POINT_MEMORY_MIN,
    POINT_MEMORY_AVG,
    POINT_MEMORY_MAX
};

/* Smallest, mean (by seconds) and largest of all points; `n` 0 when there are none. */
struct metrics_summary {
    size_t n;
    double cpu_min, cpu_avg, cpu_max;
    double memory_min, memory_avg, memory_max;
};
void metrics_summary(const json_t *points, struct metrics_summary *out);

double metrics_point(const json_t *point, enum metrics_member which);

/* `width` bars, from the time `from` to `to` (s); each the largest `which` of its part of the time, from 0 at
 * the bottom to the largest of all at the top. A part without points is a blank. */
void spark_append(struct buf *out, const json_t *points, enum metrics_member which, int64_t from, int64_t to,
                  int width, bool utf8);

#endif
