#include "cli/spark.h"

#include <stdlib.h>

#include "common/buf.h"
#include "common/mem.h"

double metrics_point(const json_t *point, enum metrics_member which)
{
    return json_number_value(json_array_get(point, which));
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

static double most(double a, double b)
{
    return a > b ? a : b;
}

void metrics_summary(const json_t *points, struct metrics_summary *out)
{
    double seconds = 0;
    const json_t *p;
    size_t i;

    *out = (struct metrics_summary){0};
    json_array_foreach (points, i, p) {
        double n = metrics_point(p, POINT_SECONDS);
        bool first = !out->n++;

        seconds += n;
        out->cpu_avg += n * metrics_point(p, POINT_CPU_AVG);
        out->memory_avg += n * metrics_point(p, POINT_MEMORY_AVG);
        out->cpu_max = most(out->cpu_max, metrics_point(p, POINT_CPU_MAX));
        out->memory_max = most(out->memory_max, metrics_point(p, POINT_MEMORY_MAX));
        out->cpu_min =
            first ? metrics_point(p, POINT_CPU_MIN) : least(out->cpu_min, metrics_point(p, POINT_CPU_MIN));
        out->memory_min = first ? metrics_point(p, POINT_MEMORY_MIN)
                                : least(out->memory_min, metrics_point(p, POINT_MEMORY_MIN));
    }
    if (seconds > 0) {
        out->cpu_avg /= seconds;
        out->memory_avg /= seconds;
    }
}

void spark_append(struct buf *out, const json_t *points, enum metrics_member which, int64_t from, int64_t to,
                  int width, bool utf8)
{
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const plain[] = {"_", ".", ",", "-", "=", "+", "*", "#"};
    _cleanup_free_ double *tops = xcalloc((size_t)width, sizeof(*tops));
    double top = 0;
    const json_t *p;
    size_t i;

    for (int k = 0; k < width; k++)
        tops[k] = -1;
    json_array_foreach (points, i, p) {
        double at =
            to > from ? (metrics_point(p, POINT_TIME) - (double)from) * width / (double)(to - from) : -1;
        double value = metrics_point(p, which);

        if (at < 0 || at >= width)
            continue;
        tops[(int)at] = most(tops[(int)at], value);
        top = most(top, value);
    }
    for (int k = 0; k < width; k++) {
        int level = top > 0 ? (int)(tops[k] * 7 / top + 0.5) : 0;

        buf_puts(out, tops[k] < 0 ? " " : utf8 ? bars[level] : plain[level]);
    }
}
