#include "config/checks.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/hook_list.h"
#include "config/option_fields.h"
#include "config/options.h"
#include "config/times.h"
#include "config/values.h"

static bool has_control(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0))
            return true;
    return false;
}

int check_word(const char *text, struct err *e)
{
    if (!*text)
        return err_set(e, -EINVAL, "must not be empty");
    if (has_control(text))
        return err_set(e, -EINVAL, "must not contain control characters");
    return 0;
}

int check_file_word(const char *text, struct err *e)
{
    int r = check_word(text, e);

    if (r == 0 && strchr(text, '/'))
        return err_set(e, -EINVAL, "must not contain \"/\"");
    return r;
}

int check_app_name(const char *text, struct err *e)
{
    int r = check_word(text, e);
    size_t len = strlen(text);

    if (r < 0)
        return r;
    if (len > APP_NAME_MAX)
        return err_set(e, -EINVAL, "is %zu bytes long, at most %d are possible", len, APP_NAME_MAX);
    if (value_utf8_prefix(text, len) != len)
        return err_set(e, -EINVAL, "is not valid UTF-8");
    if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return err_set(e, -EINVAL, "must not be \"%s\"", text);
    return 0;
}

int check_env_name(const char *text, struct err *e)
{
    int r = check_word(text, e);

    if (r == 0 && strchr(text, '='))
        return err_set(e, -EINVAL, "must not contain \"=\"");
    return r;
}

int option_check_text(const struct option_row *o, const char *text, struct err *e)
{
    char expected[EXPECTED_MAX];

    if (strlen(text) >= PATH_MAX)
        return err_set(e, -EINVAL, "is longer than %d bytes", PATH_MAX - 1);
    if ((o->type == OPT_PATH || o->type == OPT_LOG_PATH) && !*text)
        return err_set(e, -EINVAL, "must not be empty");
    if (o->type == OPT_ENUM) {
        for (const char *const *word = o->words; *word; word++)
            if (strcmp(*word, text) == 0)
                return 0;
        return err_set(e, -EINVAL, "expected %s", option_expected(o, expected));
    }
    return o->check ? o->check(text, e) : 0;
}

int option_check_int(const struct option_row *o, int64_t value, struct err *e)
{
    const char *unit = o->unit ? o->unit : "", *space = o->unit ? " " : "";

    if (value < o->min)
        return err_set(e, -EINVAL, "must be at least %lld%s%s", (long long)o->min, space, unit);
    if (value > o->max)
        return err_set(e, -EINVAL, "must be at most %lld%s%s", (long long)o->max, space, unit);
    return 0;
}

static int check_env(char *const *env, struct err *e)
{
    for (; env && *env; env++) {
        if (!**env || **env == '=')
            return err_set(e, -EINVAL, "has an entry without a name");
    }
    return 0;
}

static int check_hooks(char *const *list, struct err *e)
{
    int r = 0;

    if (strv_len(list) > HOOKS_MAX)
        return err_set(e, -EINVAL, "has more than %d entries", HOOKS_MAX);
    for (; list && *list && r == 0; list++)
        r = hook_check_entry(*list, e);
    return r;
}

static int check_fields(const struct option_row *rows, size_t n, const void *base, struct err *e);

static int check_list(const struct option_row *o, const void *base, struct err *e)
{
    struct option_list l = option_list_get(o, base);

    for (unsigned i = 0; i < l.n; i++) {
        int r = check_fields(o->group->rows, o->group->n, option_list_at(o, &l, i), e);

        if (r < 0) {
            err_wrap(e, "entry %u", i + 1);
            return r;
        }
    }
    return 0;
}

static int check_field(const struct option_row *o, const void *base, struct err *e)
{
    const void *field = option_field_const(o, base);
    const struct int_list *codes;
    const char *text;
    int r = 0;

    switch (o->store) {
    case STORE_STRING:
        text = *(char *const *)field;
        if (!text)
            return o->required ? err_set(e, -EINVAL, "is missing") : 0;
        r = option_check_text(o, text, e);
        if (r == 0 && (o->type == OPT_PATH || o->type == OPT_LOG_PATH) && text[0] != '/')
            return err_set(e, -EINVAL, "must be an absolute path");
        break;
    case STORE_INT:
        return option_check_int(o, *(const int64_t *)field, e);
    case STORE_ENV:
        return check_env(*(char *const *const *)field, e);
    case STORE_INT_LIST:
        codes = field;
        for (unsigned i = 0; i < codes->n && r == 0; i++)
            r = option_check_int(o, codes->v[i], e);
        break;
    case STORE_GROUP:
        return check_fields(o->group->rows, o->group->n, field, e);
    case STORE_LIST:
        return check_list(o, base, e);
    case STORE_STRV:
        return o->type == OPT_HOOKS ? check_hooks(*(char *const *const *)field, e) : 0;
    case STORE_NONE:
    case STORE_BOOL:
        break;
    }
    return r;
}

static int check_fields(const struct option_row *rows, size_t n, const void *base, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        int r = check_field(&rows[i], base, e);

        if (r < 0) {
            err_wrap(e, "%s", rows[i].name);
            return r;
        }
    }
    return 0;
}

int check_limits(const struct app_spec *s, struct err *e)
{
    if (s->max_memory.soft && s->max_memory.hard && s->max_memory.soft >= s->max_memory.hard)
        return err_set(e, -EINVAL, "max_memory: soft must be less than hard");
    return 0;
}

int app_spec_validate(const struct app_spec *s, struct err *e)
{
    size_t n;
    const struct option_row *rows = options(&n);
    int r = check_fields(rows, n, s, e);

    if (r == 0)
        r = check_limits(s, e);
    return r < 0 ? r : check_times(s, e);
}
