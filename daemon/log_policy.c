#include "daemon/log_policy.h"

#include <string.h>

#include "common/err.h"
#include "common/plog.h"

static const char *key_of(const char *setting)
{
    size_t n = strlen(LOG_POLICY_PREFIX);

    return strncmp(setting, LOG_POLICY_PREFIX, n) == 0 ? setting + n : NULL;
}

static enum log_compress compression(const char *word)
{
    if (word && strcmp(word, "gzip") == 0)
        return LOG_COMPRESS_GZIP;
    return word && strcmp(word, "zstd") == 0 ? LOG_COMPRESS_ZSTD : LOG_COMPRESS_NONE;
}

bool log_policy_of_app(const struct app_spec *s, struct log_rotate_policy *out)
{
    const struct log_rotate_options *o = &s->log_rotate;
    struct err e;

    if (!o->given)
        return false;
    log_rotate_defaults(out);
    out->on = true;
    out->max_size = (uint64_t)o->max_size;
    out->timed = o->interval && strcmp(o->interval, "0") != 0;
    /* Both were checked when the app was taken; a stored one may be of another version. */
    if (out->timed && cron_parse(o->interval, &out->interval, &e) < 0) {
        log_warn("%s: log_rotate.interval: %s: its files are not rotated by time", s->name, e.msg);
        out->timed = false;
    }
    out->max_age_ms = (uint64_t)o->max_age;
    out->retain = o->retain >= LOG_RETAIN_ALL ? LOG_ROTATE_ALL : (uint32_t)o->retain;
    out->compress = compression(o->compress);
    if (log_rotate_check_format(o->date_format, &e) == 0)
        log_rotate_set_format(out, o->date_format);
    else
        log_warn("%s: log_rotate.date_format %s: %s is used", s->name, e.msg, LOG_ROTATE_FORMAT);
    return true;
}

int log_policy_check_setting(const char *key, const char *value, struct err *e)
{
    const char *name = key_of(key);

    return name ? log_rotate_setting(NULL, name, value, e) : 0;
}

void log_policy_apply(struct engine *e)
{
    struct log_rotate_policy p;
    const char *key;
    json_t *value;

    log_rotate_defaults(&p);
    json_object_foreach (e->settings, key, value) {
        const char *name = key_of(key);
        struct err err;

        if (name && log_rotate_setting(&p, name, json_string_value(value), &err) < 0)
            log_warn("a stored setting is left out: %s", err.msg);
    }
    if (e->logs)
        logs_rotate_default(e->logs, &p);
}
