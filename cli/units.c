#include "cli/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "common/mem.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

const char *units_uptime(char out[UNITS_MAX], int64_t ms)
{
    static const struct {
        int64_t ms;
        char letter;
    } units[] = {{365 * DAY, 'Y'}, {30 * DAY, 'M'}, {DAY, 'D'}, {HOUR, 'h'}, {MINUTE, 'm'}};

    if (ms < 0)
        ms = 0;
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (ms / units[i].ms > 1) {
            snprintf(out, UNITS_MAX, "%" PRId64 "%c", ms / units[i].ms, units[i].letter);
            return out;
        }
    snprintf(out, UNITS_MAX, "%" PRId64 "s", ms / SECOND);
    return out;
}

const char *units_size(char out[UNITS_MAX], uint64_t bytes)
{
    static const char *const names[] = {"b", "kb", "mb", "gb", "tb"};
    double v = (double)bytes;
    size_t i = 0;

    while (v >= 1024 && i + 1 < ARRAY_LEN(names)) {
        v /= 1024;
        i++;
    }
    snprintf(out, UNITS_MAX, i ? "%.1f%s" : "%.0f%s", v, names[i]);
    return out;
}

static const char *two_units(char *out, int64_t big, const char *big_name, int64_t small,
                             const char *small_name)
{
    if (small)
        snprintf(out, UNITS_MAX, "%" PRId64 " %s %" PRId64 " %s", big, big_name, small, small_name);
    else
        snprintf(out, UNITS_MAX, "%" PRId64 " %s", big, big_name);
    return out;
}

const char *units_span(char out[UNITS_MAX], int64_t ms)
{
    if (ms < 0)
        ms = 0;
    if (ms < SECOND)
        snprintf(out, UNITS_MAX, "%" PRId64 " ms", ms);
    else if (ms < 10 * SECOND)
        snprintf(out, UNITS_MAX, "%" PRId64 ".%" PRId64 " s", ms / SECOND, ms % SECOND / 100);
    else if (ms < MINUTE)
        snprintf(out, UNITS_MAX, "%" PRId64 " s", ms / SECOND);
    else if (ms < HOUR)
        return two_units(out, ms / MINUTE, "min", ms % MINUTE / SECOND, "s");
    else if (ms < DAY)
        return two_units(out, ms / HOUR, "h", ms % HOUR / MINUTE, "min");
    else
        return two_units(out, ms / DAY, "d", ms % DAY / HOUR, "h");
    return out;
}

const char *units_ago(char out[UNITS_MAX], int64_t ms)
{
    int64_t span = ms < 0 ? -ms : ms;
    int64_t unit = span < MINUTE ? SECOND : span < HOUR ? MINUTE : span < 2 * DAY ? HOUR : DAY;
    const char *name = unit == SECOND ? "s" : unit == MINUTE ? "min" : unit == HOUR ? "h" : "d";

    if (span < SECOND)
        snprintf(out, UNITS_MAX, "just now");
    else if (ms > 0)
        snprintf(out, UNITS_MAX, "%" PRId64 " %s ago", span / unit, name);
    else
        snprintf(out, UNITS_MAX, "in %" PRId64 " %s", span / unit, name);
    return out;
}

const char *units_time(char out[UNITS_MAX], int64_t ms)
{
    time_t t = (time_t)(ms / 1000);
    struct tm tm;

    if (!localtime_r(&t, &tm) || strftime(out, UNITS_MAX, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        snprintf(out, UNITS_MAX, "?");
    return out;
}

const char *units_time_us(char out[UNITS_MAX], int64_t us)
{
    char seconds[UNITS_MAX];

    units_time(seconds, us / 1000);
    snprintf(out, UNITS_MAX, "%.24s.%03d", seconds, (int)(us / 1000 % 1000));
    return out;
}
