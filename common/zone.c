#include "common/zone.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"

#define ZONE_FILE_MAX (1u << 20)
#define HEADER        44
#define DAY           86400

/* "Mm.w.d/time": week 5 is the last one of the month. */
struct rule {
    int month, week, day;
    int32_t at; /* seconds after midnight, by the clock before the change */
};

struct zone {
    size_t n;
    int64_t *times;
    int32_t *offsets; /* from times[i] on */
    int32_t first;    /* before times[0] */
    /* The file's last line tells how it goes on after the table. */
    int32_t std, dst;
    bool has_tail, has_dst;
    struct rule begin, end; /* of summer time */
};

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t be64(const unsigned char *p)
{
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

static int64_t days_of(int64_t y, int m, int d)
{
    int64_t era, doe;
    int64_t yy = m <= 2 ? y - 1 : y;

    era = (yy >= 0 ? yy : yy - 399) / 400;
    doe = (yy - era * 400) * 365 + (yy - era * 400) / 4 - (yy - era * 400) / 100;
    return era * 146097 + doe + (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1 - 719468;
}

static bool read_number(const char **p, int max, int *out)
{
    int n = 0;

    if (!isdigit((unsigned char)**p))
        return false;
    while (isdigit((unsigned char)**p) && n <= max)
        n = n * 10 + (*(*p)++ - '0');
    *out = n;
    return n <= max;
}

static bool read_time(const char **p, int32_t *out)
{
    int sign = **p == '-' ? -1 : 1, h = 0, m = 0, s = 0;

    if (**p == '-' || **p == '+')
        (*p)++;
    if (!read_number(p, 167, &h))
        return false;
    if (**p == ':' && (++*p, !read_number(p, 59, &m)))
        return false;
    if (**p == ':' && (++*p, !read_number(p, 59, &s)))
        return false;
    *out = sign * (h * 3600 + m * 60 + s);
    return true;
}

static bool skip_name(const char **p)
{
    const char *from = *p;

    if (**p == '<') {
        const char *close = strchr(*p, '>');

        if (!close)
            return false;
        *p = close + 1;
        return true;
    }
    while (isalpha((unsigned char)**p))
        (*p)++;
    return *p > from;
}

static bool read_rule(const char **p, struct rule *r)
{
    *r = (struct rule){.at = 7200};
    if (*(*p)++ != ',' || *(*p)++ != 'M' || !read_number(p, 12, &r->month) || *(*p)++ != '.' ||
        !read_number(p, 5, &r->week) || *(*p)++ != '.' || !read_number(p, 6, &r->day))
        return false;
    if (!r->month || !r->week)
        return false;
    return **p != '/' || (++*p, read_time(p, &r->at));
}

/* POSIX' TZ, as far as tzdata uses it: "CET-1CEST,M3.5.0,M10.5.0/3". */
static bool read_tail(struct zone *z, const char *p)
{
    if (!skip_name(&p) || !read_time(&p, &z->std))
        return false;
    z->std = -z->std;
    if (!*p)
        return true;
    z->dst = z->std + 3600;
    if (!skip_name(&p))
        return false;
    if (*p != ',') {
        if (!read_time(&p, &z->dst))
            return false;
        z->dst = -z->dst;
    }
    z->has_dst = read_rule(&p, &z->begin) && read_rule(&p, &z->end) && !*p;
    return z->has_dst;
}

struct head {
    size_t isut, isstd, leap, times, types, chars;
};

static bool read_head(const unsigned char *p, size_t len, struct head *h)
{
    if (len < HEADER || memcmp(p, "TZif", 4) != 0)
        return false;
    *h = (struct head){be32(p + 20), be32(p + 24), be32(p + 28), be32(p + 32), be32(p + 36), be32(p + 40)};
    return h->types > 0 && h->times < 10000 && h->types < 256 && h->leap < 10000 && h->chars < 10000 &&
           h->isut <= h->types && h->isstd <= h->types;
}

static size_t body_size(const struct head *h, size_t width)
{
    return h->times * (width + 1) + h->types * 6 + h->chars + h->leap * (width + 4) + h->isstd + h->isut;
}

static bool parse(struct zone *z, const char *data, size_t len)
{
    const unsigned char *p = (const unsigned char *)data, *types;
    size_t skip;
    struct head h;

    if (!read_head(p, len, &h) || p[4] < '2')
        return false;
    skip = HEADER + body_size(&h, 4);
    if (len < skip || !read_head(p + skip, len - skip, &h))
        return false;
    p += skip + HEADER;
    len -= skip + HEADER;
    if (len < body_size(&h, 8))
        return false;
    z->n = h.times;
    z->times = xcalloc(z->n + 1, sizeof *z->times);
    z->offsets = xcalloc(z->n + 1, sizeof *z->offsets);
    types = p + z->n * 9;
    z->first = (int32_t)be32(types);
    for (size_t i = 0; i < z->n; i++) {
        unsigned type = p[z->n * 8 + i];

        if (type >= h.types)
            return false;
        z->times[i] = be64(p + i * 8);
        z->offsets[i] = (int32_t)be32(types + (size_t)type * 6);
    }
    p += body_size(&h, 8);
    len -= body_size(&h, 8);
    if (len >= 2 && *p == '\n') {
        const unsigned char *end = memchr(p + 1, '\n', len - 1);
        _cleanup_free_ char *tail = end ? xstrndup((const char *)p + 1, (size_t)(end - p - 1)) : NULL;

        z->has_tail = tail && read_tail(z, tail);
    }
    return true;
}

int zone_open(const char *name, struct zone **out, struct err *e)
{
    _cleanup_free_ char *path = NULL;
    struct buf data = {0};
    struct err why;
    struct zone *z;
    bool good;

    *out = NULL;
    if (!name || !*name)
        return 0;
    if (*name == '/' || *name == '.' || strstr(name, "..") || strlen(name) > 128)
        return err_set(e, -EINVAL, "\"%.128s\" is no time zone", name);
    path = xasprintf("/usr/share/zoneinfo/%s", name);
    if (fs_read_file(path, ZONE_FILE_MAX, &data, &why) < 0) {
        buf_free(&data);
        if (strcmp(name, "UTC") != 0)
            return err_set(e, -EINVAL,
                           "there is no time zone \"%s\" (package tzdata; expected such as Europe/Berlin)",
                           name);
        *out = xcalloc(1, sizeof *z); /* also where tzdata is not installed */
        return 0;
    }
    z = xcalloc(1, sizeof *z);
    good = parse(z, data.data, data.len);
    buf_free(&data);
    if (!good) {
        zone_free(z);
        return err_set(e, -EINVAL, "\"%s\" is no time zone: %s is damaged", name, path);
    }
    *out = z;
    return 0;
}

void zone_free(struct zone *z)
{
    if (!z)
        return;
    free(z->times);
    free(z->offsets);
    free(z);
}

/* When the rule's change is in that year, by a clock without a zone. */
static int64_t rule_time(const struct rule *r, int64_t year)
{
    int64_t first = days_of(year, r->month, 1), last;
    int wday = (int)(((first + 4) % 7 + 7) % 7);
    int64_t day = first + (r->day - wday + 7) % 7 + (r->week - 1) * 7;

    last = r->month == 12 ? days_of(year + 1, 1, 1) : days_of(year, r->month + 1, 1);
    while (day >= last)
        day -= 7;
    return day * DAY + r->at;
}

static int32_t tail_offset(const struct zone *z, int64_t utc)
{
    time_t local = (time_t)(utc + z->std);
    int64_t from, to;
    struct tm tm;

    if (!z->has_dst)
        return z->std;
    gmtime_r(&local, &tm);
    from = rule_time(&z->begin, tm.tm_year + 1900) - z->std;
    to = rule_time(&z->end, tm.tm_year + 1900) - z->dst;
    if (from < to)
        return utc >= from && utc < to ? z->dst : z->std;
    return utc >= from || utc < to ? z->dst : z->std; /* south of the equator */
}

int32_t zone_offset(const struct zone *z, int64_t utc)
{
    size_t lo = 0, hi;
    struct tm tm;

    if (!z) {
        time_t t = (time_t)utc;

        localtime_r(&t, &tm);
        return (int32_t)tm.tm_gmtoff;
    }
    if (z->has_tail && (!z->n || utc >= z->times[z->n - 1]))
        return tail_offset(z, utc);
    for (hi = z->n; lo < hi;) {
        size_t mid = (lo + hi) / 2;

        if (z->times[mid] <= utc)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo ? z->offsets[lo - 1] : z->first;
}

void zone_local(const struct zone *z, int64_t utc, struct tm *out)
{
    int32_t offset = zone_offset(z, utc);
    time_t t = (time_t)(utc + offset);

    gmtime_r(&t, out);
    out->tm_gmtoff = offset;
    out->tm_zone = "";
}
