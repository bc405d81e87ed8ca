#include "daemon/settings.h"

#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/values.h"
#include "daemon/hooks.h"
#include "daemon/log_policy.h"

#define SIZE_MAX_BYTES ((int64_t)1 << 50)

static int check_max_bytes(const char *text, struct err *e)
{
    int64_t n;

    if (!value_size(text, &n) || n > SIZE_MAX_BYTES || (n && n < 1 << 20))
        return err_set(e, -EINVAL,
                       "expected a size of at least 1M such as \"512M\" or \"2G\", or 0 for no limit");
    return 0;
}

static bool read_min_free(const char *text, struct log_bounds *b)
{
    size_t len = strlen(text);
    int64_t n;

    if (len > 1 && len < 4 && text[len - 1] == '%') {
        _cleanup_free_ char *number = xstrndup(text, len - 1);

        if (!value_int(number, &n) || n < 0 || n > 90)
            return false;
        b->min_free = 0;
        b->min_free_percent = (unsigned)n;
        return true;
    }
    if (!value_size(text, &n) || n > SIZE_MAX_BYTES)
        return false;
    b->min_free = (uint64_t)n;
    b->min_free_percent = 0;
    return true;
}

static int check_min_free(const char *text, struct err *e)
{
    struct log_bounds b;

    if (!read_min_free(text, &b))
        return err_set(e, -EINVAL, "expected a size such as \"500M\", a part such as \"5%%\", or 0 for none");
    return 0;
}

static const char *value_of(const struct engine *e, const char *key)
{
    return json_string_value(json_object_get(e->settings, key));
}

static void apply_log_bounds(struct engine *e)
{
    struct log_bounds b = LOG_BOUNDS_DEFAULT;
    const char *bytes = value_of(e, "logs:max_bytes"), *min_free = value_of(e, "logs:min_free");
    int64_t n;

    if (bytes && value_size(bytes, &n))
        b.max_bytes = (uint64_t)n;
    if (min_free)
        read_min_free(min_free, &b);
    if (e->logs)
        logs_bound(e->logs, &b);
}

static const struct setting {
    const char *key;
    int (*check)(const char *text, struct err *e);
    void (*apply)(struct engine *e);
} table[] = {
    {"logs:max_bytes", check_max_bytes, apply_log_bounds},
    {"logs:min_free", check_min_free, apply_log_bounds},
};

int settings_check(const char *key, const char *value, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        int r = strcmp(table[i].key, key) == 0 ? table[i].check(value, e) : 0;

        if (r < 0)
            return err_wrap(e, "%s", key), r;
    }
    if (strncmp(key, "logs:", 5) == 0) {
        for (size_t i = 0; i < ARRAY_LEN(table); i++)
            if (strcmp(table[i].key, key) == 0)
                return 0;
        return err_set(e, -EINVAL,
                       "%.100s: there is no such setting of the logs: logs:max_bytes, logs:min_free", key);
    }
    if (strncmp(key, HOOK_SETTINGS, strlen(HOOK_SETTINGS)) == 0) { /* looked up at each event */
        int r = hook_check_setting(key, value, e);

        return r < 0 ? (err_wrap(e, "%.100s", key), r) : 0;
    }
    return log_policy_check_setting(key, value, e); /* pm2-logrotate has a table of its own */
}

void settings_apply(struct engine *e, const char *key)
{
    void (*last)(struct engine *) = NULL;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if ((key && strcmp(table[i].key, key) != 0) || table[i].apply == last)
            continue;
        last = table[i].apply;
        last(e);
    }
    if (!key || strncmp(key, LOG_POLICY_PREFIX, strlen(LOG_POLICY_PREFIX)) == 0)
        log_policy_apply(e);
}
