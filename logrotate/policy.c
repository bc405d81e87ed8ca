#include "logrotate/policy.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/zone.h"
#include "logrotate/name.h"

void log_rotate_defaults(struct log_rotate_policy *p)
{
    *p = (struct log_rotate_policy){.max_size = 10u << 20, .timed = true, .retain = 30};
    cron_parse("0 0 * * *", &p->interval, NULL);
    log_rotate_set_format(p, LOG_ROTATE_FORMAT);
}

int log_rotate_check_format(const char *format, struct err *e)
{
    char date[LOG_DATE_MAX];

    if (strlen(format) >= LOG_ROTATE_WORD)
        return err_set(e, -EINVAL, "is longer than %d bytes", LOG_ROTATE_WORD - 1);
    for (const char *p = format; *p; p++)
        if (*p == '/' || iscntrl((unsigned char)*p))
            return err_set(e, -EINVAL,
                           "must not contain \"/\" or control characters: it is a part of a file's name");
    log_name_date(format, NULL, 0, date);
    if (strcmp(date, format) == 0 || !log_name_is_date(format, date))
        return err_set(e, -EINVAL, "\"%s\" gives no date (expected tokens such as %s)", format,
                       LOG_ROTATE_FORMAT);
    return 0;
}

void log_rotate_set_format(struct log_rotate_policy *p, const char *format)
{
    size_t n = strnlen(format, sizeof p->date_format - 1);

    memcpy(p->date_format, format, n);
    p->date_format[n] = '\0';
}

static int set_size(struct log_rotate_policy *p, const char *value, struct err *e)
{
    static const char units[] = "KMG";
    const char *unit;
    char *end;
    uint64_t n;

    errno = 0;
    n = strtoull(value, &end, 10);
    unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    if (!isdigit((unsigned char)*value) || errno || n == 0 || n > 1u << 30 || (*end && (!unit || end[1])))
        return err_set(e, -EINVAL, "expected a size such as 10M, 1G, 512K");
    p->max_size = n << (unit ? 10 * (unit - units + 1) : 0);
    return 0;
}

static int set_retain(struct log_rotate_policy *p, const char *value, struct err *e)
{
    unsigned long n;
    char *end;

    if (strcasecmp(value, "all") == 0) {
        p->retain = LOG_ROTATE_ALL;
        return 0;
    }
    errno = 0;
    n = strtoul(value, &end, 10);
    if (!isdigit((unsigned char)*value) || *end || errno || n > 1000000000)
        return err_set(e, -EINVAL, "expected a number of files, or all");
    p->retain = (uint32_t)n;
    return 0;
}

static bool is_bool(const char *value, bool *out)
{
    *out = strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0;
    return *out || strcasecmp(value, "false") == 0 || strcmp(value, "0") == 0;
}

static int set_compress(struct log_rotate_policy *p, const char *value, struct err *e)
{
    bool yes;

    if (strcmp(value, "zstd") == 0)
        p->compress = LOG_COMPRESS_ZSTD;
    else if (strcmp(value, "gzip") == 0)
        p->compress = LOG_COMPRESS_GZIP;
    else if (strcmp(value, "none") == 0)
        p->compress = LOG_COMPRESS_NONE;
    else if (is_bool(value, &yes))
        p->compress = yes ? LOG_COMPRESS_GZIP : LOG_COMPRESS_NONE;
    else
        return err_set(e, -EINVAL, "expected true, false, gzip or zstd");
    return 0;
}

static int set_format(struct log_rotate_policy *p, const char *value, struct err *e)
{
    int rc = log_rotate_check_format(value, e);

    if (rc == 0)
        log_rotate_set_format(p, value);
    return rc;
}

/* How often the module looked at the files. Here sizes are known with every write. */
static int set_worker(struct log_rotate_policy *p, const char *value, struct err *e)
{
    unsigned long n;
    char *end;

    (void)p;
    n = strtoul(value, &end, 10);
    if (!isdigit((unsigned char)*value) || *end || n == 0 || n > 86400)
        return err_set(e, -EINVAL, "expected a number of seconds (1 to 86400)");
    return 0;
}

static int set_interval(struct log_rotate_policy *p, const char *value, struct err *e)
{
    p->timed = true;
    return cron_parse(value, &p->interval, e);
}

static int set_module(struct log_rotate_policy *p, const char *value, struct err *e)
{
    bool yes;

    (void)p;
    return is_bool(value, &yes) ? 0 : err_set(e, -EINVAL, "expected true or false");
}

static int set_zone(struct log_rotate_policy *p, const char *value, struct err *e)
{
    struct zone *z;
    int rc;

    if (strlen(value) >= sizeof p->zone)
        return err_set(e, -EINVAL, "is longer than %zu bytes", sizeof p->zone - 1);
    rc = zone_open(value, &z, e);
    zone_free(z);
    if (rc == 0)
        memcpy(p->zone, value, strlen(value) + 1);
    return rc;
}

static const struct {
    const char *key;
    int (*set)(struct log_rotate_policy *p, const char *value, struct err *e);
} settings[] = {
    {"max_size", set_size},         {"retain", set_retain},
    {"compress", set_compress},     {"dateFormat", set_format},
    {"workerInterval", set_worker}, {"rotateInterval", set_interval},
    {"rotateModule", set_module},   {"TZ", set_zone},
};

int log_rotate_setting(struct log_rotate_policy *p, const char *key, const char *value, struct err *e)
{
    struct log_rotate_policy copy = {0};

    if (p)
        copy = *p;
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (strcmp(settings[i].key, key) != 0)
            continue;
        if (settings[i].set(&copy, value, e) < 0)
            return err_wrap(e, "pm2-logrotate:%s", key);
        copy.on = true;
        if (p)
            *p = copy;
        return 0;
    }
    return err_set(
        e, -EINVAL,
        "pm2-logrotate has no key \"%.40s\" (max_size, retain, compress, dateFormat, workerInterval,"
        " rotateInterval, rotateModule, TZ)",
        key);
}
