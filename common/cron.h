/*
 * Times in cron's notation: "minute hour day month weekday", with a field of seconds before them when there
 * are six, or @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually. Fields are lists of numbers,
 * names (JAN, MON), ranges (a-b) and steps (a-b/n, a/n); Sunday is 0 and 7. As in cron, when both days are
 * restricted (do not begin with a star) either of them is enough. "?" is a star.
 */
#ifndef PM_COMMON_CRON_H
#define PM_COMMON_CRON_H

#include <stdbool.h>
#include <stdint.h>

#define CRON_TEXT_MAX 256 /* bytes of an expression */

struct err;
struct zone;

struct cron {
    uint64_t second, minute, hour, day, month, weekday; /* bit n = value n */
    bool any_day, any_weekday;                          /* begin with a star */
    bool sweeping;                                      /* the minute or the hour does */
};

/* 0, or -EINVAL with words that name the field; also for what never comes ("0 0 30 2 *"). */
int cron_parse(const char *text, struct cron *out, struct err *e);

/*
 * The first time after `after` (both seconds since the epoch) by the clock of the zone (NULL = local).
 *
 * When clocks go forward, what falls into the hour that is left out comes at once after it, unless the
 * minute or the hour has a star: then there are other times near it. When they go back, a time comes once,
 * the first time round; with a star it comes in both.
 */
int64_t cron_next(const struct cron *c, const struct zone *zone, int64_t after);

#endif
