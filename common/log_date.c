#include "common/log_date.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};
static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};

void log_date_init(struct log_date *d, const char *format)
{
    d->format = format;
    d->second = -1;
}

struct out {
    char *p;
    size_t len;
};

static void put(struct out *o, const char *s, size_t n)
{
    if (n > LOG_DATE_MAX - 1 - o->len)
        n = LOG_DATE_MAX - 1 - o->len;
    memcpy(o->p + o->len, s, n);
    o->len += n;
}

/* `width` digits at least; negative numbers do not occur. */
static void put_num(struct out *o, unsigned value, int width)
{
    char text[16];
    int n = snprintf(text, sizeof text, "%0*u", width, value);

    put(o, text, (size_t)n);
}

static void put_name(struct out *o, const char *const *names, size_t count, int index, size_t cut)
{
    const char *name = index >= 0 && (size_t)index < count ? names[index] : "?";
    size_t n = strlen(name);

    put(o, name, cut && n > cut ? cut : n);
}

static void put_zone(struct out *o, long offset, bool colon)
{
    unsigned minutes = (unsigned)((offset < 0 ? -offset : offset) / 60);

    put(o, offset < 0 ? "-" : "+", 1);
    put_num(o, minutes / 60, 2);
    if (colon)
        put(o, ":", 1);
    put_num(o, minutes % 60, 2);
}

static void put_day(struct out *o, const struct tm *tm, size_t n)
{
    static const size_t cut[] = {0, 0, 2, 3, 0};

    if (n == 1)
        put_num(o, (unsigned)tm->tm_wday, 1);
    else
        put_name(o, days, 7, tm->tm_wday, cut[n]);
}

static void put_month(struct out *o, const struct tm *tm, size_t n)
{
    if (n <= 2)
        put_num(o, (unsigned)tm->tm_mon + 1, (int)n);
    else
        put_name(o, months, 12, tm->tm_mon, n == 3 ? 3 : 0);
}

/* Renders one token of `n` equal letters; false when there is no such token. */
static bool put_token(struct out *o, const struct tm *tm, unsigned ms, char letter, size_t n)
{
    unsigned hour12 = tm->tm_hour % 12 ? (unsigned)tm->tm_hour % 12 : 12;

    switch (letter) {
    case 'Y':
        if (n != 2 && n != 4)
            return false;
        put_num(o, n == 2 ? (unsigned)(tm->tm_year + 1900) % 100 : (unsigned)(tm->tm_year + 1900), (int)n);
        return true;
    case 'M':
        put_month(o, tm, n);
        return true;
    case 'D':
        put_num(o, (unsigned)tm->tm_mday, (int)n);
        return true;
    case 'd':
        put_day(o, tm, n);
        return true;
    case 'H':
        put_num(o, (unsigned)tm->tm_hour, (int)n);
        return true;
    case 'h':
        put_num(o, hour12, (int)n);
        return true;
    case 'a':
        put(o, tm->tm_hour < 12 ? "am" : "pm", 2);
        return true;
    case 'A':
        put(o, tm->tm_hour < 12 ? "AM" : "PM", 2);
        return true;
    case 'm':
        put_num(o, (unsigned)tm->tm_min, (int)n);
        return true;
    case 's':
        put_num(o, (unsigned)tm->tm_sec, (int)n);
        return true;
    case 'S':
        if (n != 3)
            return false;
        put_num(o, ms, 3);
        return true;
    case 'Z':
        put_zone(o, tm->tm_gmtoff, n == 1);
        return true;
    default:
        return false;
    }
}

/* The longest run that is one token, as dayjs reads it: "DDD" is "DD" and "D". */
static size_t longest(char letter)
{
    switch (letter) {
    case 'Y':
    case 'M':
    case 'd':
        return 4;
    case 'S':
        return 3;
    case 'a':
    case 'A':
        return 1;
    default:
        return 2;
    }
}

size_t log_date_render(struct log_date *d, uint64_t time_us, char out[LOG_DATE_MAX])
{
    struct out o = {.p = out};
    const char *f = d->format;
    time_t second = (time_t)(time_us / 1000000);

    if (d->second != second) {
        localtime_r(&second, &d->tm);
        d->second = second;
    }
    while (*f) {
        const char *close = *f == '[' ? strchr(f + 1, ']') : NULL;
        size_t n = 1;

        if (close && close > f + 1) {
            put(&o, f + 1, (size_t)(close - f - 1));
            f = close + 1;
            continue;
        }
        while (n < longest(*f) && f[n] == *f)
            n++;
        if (!put_token(&o, &d->tm, (unsigned)(time_us / 1000 % 1000), *f, n))
            put(&o, f, n);
        f += n;
    }
    out[o.len] = '\0';
    return o.len;
}
