#include "cli/when.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/err.h"
#include "common/mem.h"

#define SECOND   INT64_C(1000000) /* µs */
#define DAY_S    86400
#define YEAR_MAX 9999
#define SPAN_MAX (INT64_C(100) * 366 * DAY_S * SECOND) /* of "ago": a hundred years */

static const char *skip(const char *p)
{
    while (*p == ' ')
        p++;
    return p;
}

/* Exactly `digits` digits, or (negative) one to so many. Moves *p behind them. */
static bool take_number(const char **p, int digits, int *out)
{
    int most = digits < 0 ? -digits : digits, n = 0, v = 0;

    for (; n < most && isdigit((unsigned char)(*p)[n]); n++)
        v = v * 10 + ((*p)[n] - '0');
    if (n == 0 || (digits > 0 && n < digits))
        return false;
    *p += n;
    *out = v;
    return true;
}

/* ".5" in µs; what is finer is cut off. True as well when there is none. */
static bool take_fraction(const char **p, int64_t *us)
{
    int64_t unit = SECOND / 10;

    if (**p != '.')
        return true;
    if (!isdigit((unsigned char)*++*p))
        return false;
    for (; isdigit((unsigned char)**p); ++*p, unit /= 10)
        *us += (**p - '0') * unit;
    return true;
}

static bool take_clock(const char **p, struct tm *tm, int64_t *us)
{
    if (!take_number(p, -2, &tm->tm_hour) || *(*p)++ != ':' || !take_number(p, 2, &tm->tm_min))
        return false;
    if (**p == ':') {
        ++*p;
        if (!take_number(p, 2, &tm->tm_sec) || !take_fraction(p, us))
            return false;
    }
    /* A leap second is the first of the next minute. */
    return tm->tm_hour <= 23 && tm->tm_min <= 59 && tm->tm_sec <= 60;
}

static bool take_date(const char **p, struct tm *tm)
{
    struct tm day;
    time_t t;

    if (!take_number(p, 4, &tm->tm_year) || *(*p)++ != '-' || !take_number(p, 2, &tm->tm_mon) ||
        *(*p)++ != '-' || !take_number(p, 2, &tm->tm_mday))
        return false;
    tm->tm_year -= 1900;
    tm->tm_mon--;
    /* The 30th of February comes back as another day. */
    day = *tm;
    day.tm_hour = day.tm_min = day.tm_sec = 0;
    t = timegm(&day);
    return gmtime_r(&t, &day) && day.tm_mon == tm->tm_mon && day.tm_mday == tm->tm_mday;
}

/* "Z", "UTC", "+01:00", "+0100". *given tells whether there is one. */
static bool take_zone(const char **p, bool *given, int *offset)
{
    int sign = **p == '-' ? -1 : 1, hours, minutes;

    *given = true;
    *offset = 0;
    if (**p == 'Z' || **p == 'z') {
        ++*p;
        return true;
    }
    if (strncasecmp(*p, "UTC", 3) == 0) {
        *p += 3;
        return true;
    }
    if (**p != '+' && **p != '-') {
        *given = false;
        return true;
    }
    ++*p;
    if (!take_number(p, 2, &hours))
        return false;
    if (**p == ':')
        ++*p;
    if (!take_number(p, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *offset = sign * (hours * 3600 + minutes * 60);
    return true;
}

static int64_t offset_at(int64_t t)
{
    time_t at = (time_t)t;
    struct tm tm;

    return localtime_r(&at, &tm) ? tm.tm_gmtoff : 0;
}

/*
 * Local time -> seconds since the epoch. mktime leaves open which of two equal local times it means, and what
 * it makes of one that does not exist; so both offsets around it are tried.
 */
static int64_t from_local(struct tm *tm, enum when_twice twice)
{
    int64_t local = timegm(tm);
    int64_t before = offset_at(local - DAY_S), after = offset_at(local + DAY_S);
    bool first = offset_at(local - before) == before, second = offset_at(local - after) == after;

    if (first && second) {
        int64_t a = local - before, b = local - after;

        return (twice == WHEN_EARLIER) == (a < b) ? a : b;
    }
    return second ? local - after : local - before;
}

static bool parse_date(const char *p, enum when_twice twice, int64_t *us)
{
    struct tm tm = {0};
    int64_t fraction = 0;
    bool zone = false;
    int offset = 0;

    if (!take_date(&p, &tm))
        return false;
    if (*p == 'T' || *p == 't' || *p == ' ') {
        p = skip(p + 1);
        if (!take_clock(&p, &tm, &fraction))
            return false;
        p = skip(p);
        if (!take_zone(&p, &zone, &offset))
            return false;
    }
    if (*skip(p))
        return false;
    *us = (zone ? timegm(&tm) - offset : from_local(&tm, twice)) * SECOND + fraction;
    return true;
}

/* The calendar's day `days` from now, at this hour; a day of 23 or 25 hours is one day. */
static bool parse_clock(const char *p, int64_t now_us, int days, enum when_twice twice, int64_t *us)
{
    time_t now = (time_t)(now_us / SECOND);
    int64_t fraction = 0;
    struct tm tm;

    if (!localtime_r(&now, &tm))
        return false;
    tm.tm_mday += days;
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    if (*p && !take_clock(&p, &tm, &fraction))
        return false;
    if (*skip(p))
        return false;
    *us = from_local(&tm, twice) * SECOND + fraction;
    return true;
}

/* "today", or "yesterday 14:00". */
static bool parse_day(const char *p, int64_t now_us, enum when_twice twice, int64_t *us)
{
    static const struct {
        const char *name;
        int days;
    } rows[] = {{"today", 0}, {"yesterday", -1}, {"tomorrow", 1}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len = strlen(rows[i].name);

        if (strncasecmp(p, rows[i].name, len) == 0 && (p[len] == ' ' || !p[len]))
            return parse_clock(skip(p + len), now_us, rows[i].days, twice, us);
    }
    return false;
}

static int64_t unit_of(const char *word, size_t len)
{
    static const struct {
        const char *names[5];
        int64_t us;
    } rows[] = {
        {{"ms", "msec"}, SECOND / 1000},
        {{"s", "sec", "secs", "second", "seconds"}, SECOND},
        {{"m", "min", "mins", "minute", "minutes"}, 60 * SECOND},
        {{"h", "hr", "hrs", "hour", "hours"}, 3600 * SECOND},
        {{"d", "day", "days"}, DAY_S * SECOND},
        {{"w", "week", "weeks"}, 7 * DAY_S * SECOND},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t k = 0; k < ARRAY_LEN(rows[i].names) && rows[i].names[k]; k++)
            if (strlen(rows[i].names[k]) == len && strncasecmp(word, rows[i].names[k], len) == 0)
                return rows[i].us;
    return 0;
}

/* "2h", "-2h", "1h 30 min ago". */
static bool parse_ago(const char *p, int64_t now_us, int64_t *us)
{
    int64_t span = 0;
    bool any = false;

    p += *p == '-';
    while (isdigit((unsigned char)*p)) {
        int64_t v = 0, unit;
        size_t len = 0;

        for (; isdigit((unsigned char)*p) && v < SPAN_MAX; p++)
            v = v * 10 + (*p - '0');
        p = skip(p);
        while (isalpha((unsigned char)p[len]))
            len++;
        unit = unit_of(p, len);
        if (!unit || v > (SPAN_MAX - span) / unit)
            return false;
        span += v * unit;
        p = skip(p + len);
        any = true;
    }
    if (strncasecmp(p, "ago", 3) == 0)
        p = skip(p + 3);
    *us = now_us - span;
    return any && !*p;
}

/* "@1767225600.5" */
static bool parse_epoch(const char *p, int64_t *us)
{
    int64_t v = 0, fraction = 0;

    if (*p++ != '@' || !isdigit((unsigned char)*p))
        return false;
    for (; isdigit((unsigned char)*p) && v < INT64_MAX / 10 / SECOND; p++)
        v = v * 10 + (*p - '0');
    if (!take_fraction(&p, &fraction) || *skip(p))
        return false;
    *us = v * SECOND + fraction;
    return true;
}

int when_parse(const char *text, int64_t now_us, enum when_twice twice, int64_t *us, struct err *e)
{
    const char *p = skip(text);
    bool known = true;

    if (strcasecmp(p, "now") == 0)
        *us = now_us;
    else
        known = parse_epoch(p, us) || parse_day(p, now_us, twice, us) || parse_date(p, twice, us) ||
                parse_clock(*p ? p : "?", now_us, 0, twice, us) || parse_ago(p, now_us, us);
    if (!known)
        return err_set(e, -EINVAL,
                       "\"%.60s\" is not a time; it may be 2026-01-31, \"2026-01-31 14:00\", "
                       "2026-01-31T14:00:00Z, 14:00, today, \"yesterday 14:00\", now, 90s, 2h, "
                       "\"10 min ago\" or @1767225600",
                       text);
    if (*us < 0)
        return err_set(e, -EINVAL, "\"%.60s\" is before 1970", text);
    return 0;
}
