#include "common/cron.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/zone.h"

#define DAY       86400
#define YEARS_MAX 9           /* from one 29 February to the next over a year such as 2100 */
#define OVERLAP   (26 * 3600) /* no clock was ever put back further */

struct field {
    const char *name;
    int min, max;
    const char *const *words; /* the first stands for `min` */
};

static const char *const months[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL",
                                     "AUG", "SEP", "OCT", "NOV", "DEC", NULL};
static const char *const weekdays[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", NULL};

static const struct field fields[] = {
    {"second", 0, 59, NULL}, {"minute", 0, 59, NULL},  {"hour", 0, 23, NULL},
    {"day", 1, 31, NULL},    {"month", 1, 12, months}, {"weekday", 0, 7, weekdays},
};

static const struct {
    const char *name, *text;
} nicknames[] = {
    {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
    {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"},
};

static int bad(const struct field *f, const char *from, size_t n, struct err *e)
{
    return err_set(e, -EINVAL, "\"%.*s\" is no %s (%d to %d%s)", (int)(n > 40 ? 40 : n), from, f->name,
                   f->min, f->max, f->words ? ", or a name of three letters" : "");
}

/* A number or a name at *p, which ends before `end`. */
static bool value(const struct field *f, const char **p, const char *end, int *out)
{
    const char *from = *p;
    int n = 0;

    while (*p < end && *p - from < 4 && isdigit((unsigned char)**p))
        n = n * 10 + (*(*p)++ - '0');
    if (*p > from) {
        *out = n;
        return n >= f->min && n <= f->max;
    }
    for (int i = 0; f->words && f->words[i]; i++)
        if (end - from >= 3 && strncasecmp(from, f->words[i], 3) == 0) {
            *p += 3;
            *out = f->min + i;
            return true;
        }
    return false;
}

static int item(const struct field *f, const char *p, const char *end, uint64_t *set, struct err *e)
{
    const char *from = p;
    size_t n = (size_t)(end - p);
    int lo = f->min, hi = f->max, step = 1;
    bool one = false;

    if (p < end && (*p == '*' || *p == '?')) {
        p++;
    } else {
        if (!value(f, &p, end, &lo))
            return bad(f, from, n, e);
        hi = lo;
        one = true;
        if (p < end && *p == '-') {
            p++;
            one = false;
            if (!value(f, &p, end, &hi))
                return bad(f, from, n, e);
        }
    }
    if (p < end && *p == '/') {
        const char *digits = ++p;

        for (step = 0; p < end && p - digits < 4 && isdigit((unsigned char)*p); p++)
            step = step * 10 + (*p - '0');
        if (step == 0)
            return err_set(e, -EINVAL, "\"%.*s\" has no step of 1 or more after \"/\" (%s)",
                           (int)(n > 40 ? 40 : n), from, f->name);
        if (one)
            hi = f->max;
    }
    if (p != end)
        return bad(f, from, n, e);
    /* FRI-MON goes over the end of the week. */
    if (hi < lo && f->words == weekdays)
        hi += 7;
    if (hi < lo)
        return err_set(e, -EINVAL, "\"%.*s\" is a range that goes backwards (%s)", (int)(n > 40 ? 40 : n),
                       from, f->name);
    for (int i = lo; i <= hi; i += step)
        *set |= 1ull << (f->words == weekdays ? i % 7 : i);
    return 0;
}

static int list(const struct field *f, const char *p, size_t n, uint64_t *set, struct err *e)
{
    const char *end = p + n;

    *set = 0;
    for (;;) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        int rc = item(f, p, comma ? comma : end, set, e);

        if (rc < 0 || !comma)
            return rc;
        p = comma + 1;
    }
}

static int64_t next_civil(const struct cron *c, int64_t local);

static int read_fields(const char *text, struct cron *c, struct err *e)
{
    uint64_t *sets[] = {&c->second, &c->minute, &c->hour, &c->day, &c->month, &c->weekday};
    const char *at[7];
    size_t len[7], n = 0, skip;

    for (const char *p = text; *p && n < 7;) {
        p += strspn(p, " \t");
        if (!*p)
            break;
        at[n] = p;
        len[n] = strcspn(p, " \t");
        p += len[n++];
    }
    if (n != 5 && n != 6)
        return err_set(e, -EINVAL,
                       "expected five fields (minute hour day month weekday), six with seconds first, or "
                       "such as @daily");
    skip = 6 - n;
    c->second = 1;
    for (size_t i = 0; i < n; i++) {
        int rc = list(&fields[i + skip], at[i], len[i], sets[i + skip], e);

        if (rc < 0)
            return rc;
    }
#define STAR(i) (*at[(i)-skip] == '*' || *at[(i)-skip] == '?')
    c->sweeping = STAR(1) || STAR(2);
    c->any_day = STAR(3);
    c->any_weekday = STAR(5);
#undef STAR
    return 0;
}

int cron_parse(const char *text, struct cron *out, struct err *e)
{
    int rc;

    *out = (struct cron){0};
    if (strlen(text) >= CRON_TEXT_MAX)
        return err_set(e, -EINVAL, "is longer than %d bytes", CRON_TEXT_MAX - 1);
    if (*text == '@') {
        const char *found = NULL;

        for (size_t i = 0; i < ARRAY_LEN(nicknames); i++)
            if (strcasecmp(nicknames[i].name, text) == 0)
                found = nicknames[i].text;
        if (!found)
            return err_set(e, -EINVAL, "\"%.40s\" is not known (@hourly, @daily, @weekly, @monthly, @yearly)",
                           text);
        text = found;
    }
    rc = read_fields(text, out, e);
    if (rc == 0 && next_civil(out, 0) < 0)
        rc = err_set(e, -EINVAL, "never comes: no such month has that day");
    return rc;
}

/* ---- the next time ---- */

static bool has(uint64_t set, int n)
{
    return set >> n & 1;
}

/* The first value of the set from `from` on, or -1. */
static int first_from(uint64_t set, int from)
{
    uint64_t rest = from < 64 ? set >> from << from : 0;

    return rest ? __builtin_ctzll(rest) : -1;
}

static bool day_matches(const struct cron *c, const struct tm *tm)
{
    bool day = has(c->day, tm->tm_mday), weekday = has(c->weekday, tm->tm_wday);

    if (!has(c->month, tm->tm_mon + 1))
        return false;
    return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

/* The first time of the day from `second` of it on, or -1. */
static int64_t time_of_day(const struct cron *c, int64_t second)
{
    int h0 = (int)(second / 3600), m0 = (int)(second / 60 % 60), s0 = (int)(second % 60);

    for (int h = first_from(c->hour, h0); h >= 0; h = first_from(c->hour, h + 1)) {
        for (int m = first_from(c->minute, h == h0 ? m0 : 0); m >= 0; m = first_from(c->minute, m + 1)) {
            int s = first_from(c->second, h == h0 && m == m0 ? s0 : 0);

            if (s >= 0)
                return h * 3600 + m * 60 + s;
        }
    }
    return -1;
}

/* The first match from `local` on (seconds by a clock without a zone), or -1. */
static int64_t next_civil(const struct cron *c, int64_t local)
{
    int64_t day = local / DAY - (local % DAY < 0), from = local - day * DAY;

    for (int i = 0; i < YEARS_MAX * 366; i++, day++, from = 0) {
        time_t t = (time_t)(day * DAY);
        struct tm tm;
        int64_t at;

        gmtime_r(&t, &tm);
        if (!day_matches(c, &tm))
            continue;
        at = time_of_day(c, from);
        if (at >= 0)
            return day * DAY + at;
    }
    return -1;
}

/* The first second in (from, to] at which the clock is changed, or INT64_MAX. */
static int64_t change_in(const struct zone *z, int64_t from, int64_t to)
{
    int32_t before = zone_offset(z, from);

    while (from < to) {
        int64_t next = to - from > DAY ? from + DAY : to;

        if (zone_offset(z, next) == before) {
            from = next;
            continue;
        }
        while (next - from > 1) {
            int64_t mid = from + (next - from) / 2;

            if (zone_offset(z, mid) == before)
                from = mid;
            else
                next = mid;
        }
        return next;
    }
    return INT64_MAX;
}

/* What is left of an hour that comes twice is no news to times without a star. */
static int64_t skip_repeated(const struct cron *c, const struct zone *z, int64_t after, int64_t local)
{
    int64_t from = after - OVERLAP, change;

    if (c->sweeping)
        return local;
    while ((change = change_in(z, from, after)) != INT64_MAX) {
        int64_t end = change + zone_offset(z, change - 1);

        if (local < end)
            local = end;
        from = change;
    }
    return local;
}

int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after)
{
    int32_t offset = zone_offset(z, after);
    int64_t local = skip_repeated(c, z, after, after + offset + 1);

    for (;;) {
        int64_t match = next_civil(c, local), change = change_in(z, after, match - offset);
        int32_t then;

        if (change == INT64_MAX)
            return match - offset;
        then = zone_offset(z, change);
        if (then > offset && match < change + then && !c->sweeping)
            return change;
        /* Forward: the gap is passed over. Back: again from the earlier hour, or from its end. */
        local = change + (then > offset || c->sweeping ? then : offset);
        after = change;
        offset = then;
    }
}
