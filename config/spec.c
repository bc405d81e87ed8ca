/* struct app_spec as a whole: each function walks the option table and knows no key by name. */
#include "config/spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/checks.h"
#include "config/env.h"
#include "config/listen_template.h"
#include "config/option_fields.h"
#include "config/options.h"
#include "config/text_json.h"

static bool is_given(const struct option_row *o, const void *base)
{
    return o->given_offset && *(const bool *)((const char *)base + o->given_offset);
}

struct app_spec *app_spec_new(void)
{
    size_t n;
    const struct option_row *rows = options(&n);
    struct app_spec *s = xcalloc(1, sizeof(*s));

    fields_init(rows, n, s);
    return s;
}

void app_spec_free(struct app_spec *s)
{
    size_t n;
    const struct option_row *rows = options(&n);

    if (!s)
        return;
    fields_deinit(rows, n, s);
    free(s);
}

struct app_spec *app_spec_dup(const struct app_spec *s)
{
    size_t n;
    const struct option_row *rows = options(&n);
    struct app_spec *copy = xmalloc(sizeof(*copy));

    *copy = *s;
    fields_dup(rows, n, copy);
    return copy;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static json_t *strv_to_json(char *const *v)
{
    json_t *list = json_array();

    for (; v && *v; v++)
        json_array_append_new(list, text_to_json(*v));
    return list;
}

static bool is_default(const struct option_row *o, const void *base)
{
    const void *field = option_field_const(o, base);

    switch (o->store) {
    case STORE_STRING:
        return same_text(*(char *const *)field, o->def_text);
    case STORE_INT:
        return *(const int64_t *)field == o->def;
    case STORE_BOOL:
        return *(const bool *)field == (o->def != 0) && !is_given(o, base);
    case STORE_STRV:
        return strv_len(*(char *const *const *)field) == 0;
    case STORE_INT_LIST:
        return ((const struct int_list *)field)->n == 0;
    case STORE_GROUP:
        if (is_given(o, base))
            return false;
        for (size_t i = 0; i < o->group->n; i++)
            if (!is_default(&o->group->rows[i], field))
                return false;
        return true;
    case STORE_LIST:
        return option_list_get(o, base).n == 0;
    case STORE_ENV: /* always told */
    case STORE_NONE:
        break;
    }
    return false;
}

static json_t *ints_to_json(const struct int_list *l)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < l->n; i++)
        json_array_append_new(list, json_integer(l->v[i]));
    return list;
}

static json_t *rows_to_json(const struct option_row *rows, size_t n, const void *base);

static json_t *list_to_json(const struct option_row *o, const void *base)
{
    struct option_list l = option_list_get(o, base);
    json_t *list = json_array();

    for (unsigned i = 0; i < l.n; i++)
        json_array_append_new(list, rows_to_json(o->group->rows, o->group->n, option_list_at(o, &l, i)));
    return list;
}

/* NULL for a key that only files have. */
static json_t *value_to_json(const struct option_row *o, const void *base)
{
    const void *field = option_field_const(o, base);
    const char *text;

    switch (o->store) {
    case STORE_STRING:
        text = *(char *const *)field;
        return text ? text_to_json(text) : json_null();
    case STORE_INT:
        return json_integer(*(const int64_t *)field);
    case STORE_BOOL:
        return json_boolean(*(const bool *)field);
    case STORE_STRV:
        return strv_to_json(*(char *const *const *)field);
    case STORE_ENV:
        return env_to_json(*(char *const *const *)field);
    case STORE_INT_LIST:
        return ints_to_json(field);
    case STORE_GROUP:
        return rows_to_json(o->group->rows, o->group->n, field);
    case STORE_LIST:
        return list_to_json(o, base);
    case STORE_NONE:
        break;
    }
    return NULL;
}

/* The keys that differ from their defaults. */
static json_t *rows_to_json(const struct option_row *rows, size_t n, const void *base)
{
    json_t *object = json_object();

    for (size_t i = 0; i < n; i++) {
        bool skip = rows[i].local || is_default(&rows[i], base);
        json_t *value = skip ? NULL : value_to_json(&rows[i], base);

        if (value)
            json_object_set_new(object, rows[i].name, value);
    }
    return object;
}

json_t *app_spec_to_json(const struct app_spec *s)
{
    size_t n;
    const struct option_row *rows = options(&n);

    return rows_to_json(rows, n, s);
}

static int strv_from_json(const json_t *value, char ***out, struct err *e)
{
    size_t n = json_array_size(value);
    char **v;

    if (!json_is_array(value))
        return err_set(e, -EINVAL, "expected a list of strings");
    v = xcalloc(n + 1, sizeof(char *));
    for (size_t i = 0; i < n; i++) {
        v[i] = text_from_json(json_array_get(value, i));
        if (!v[i]) {
            strv_free(v);
            return err_set(e, -EINVAL, "entry %zu is not a string", i + 1);
        }
    }
    strv_free(*out);
    *out = v;
    return 0;
}

/* Keys of one object differ, so entries are filled in without a search for an older one of the same name. */
static int env_from_json(const json_t *value, char ***out, struct err *e)
{
    char **v;
    size_t n = 0;
    const char *name;
    json_t *item;

    if (!json_is_object(value))
        return err_set(e, -EINVAL, "expected an object of strings");
    v = xcalloc(json_object_size(value) + 1, sizeof(char *));
    json_object_foreach ((json_t *)value, name, item) {
        _cleanup_free_ char *text = text_from_json(item);
        int r = check_env_name(name, e);

        if (r == 0 && !text)
            r = err_set(e, -EINVAL, "the variable %.100s is not a string", name);
        if (r < 0) {
            strv_free(v);
            return r;
        }
        v[n++] = xasprintf("%s=%s", name, text);
    }
    strv_free(*out);
    *out = v;
    return 0;
}

static int ints_from_json(const json_t *value, struct int_list *out, struct err *e)
{
    size_t n = json_array_size(value);

    if (!json_is_array(value) || n > 256)
        return err_set(e, -EINVAL, "expected a list of at most 256 numbers");
    free(out->v);
    *out = (struct int_list){.v = n ? xcalloc(n, sizeof(int)) : NULL};
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(value, i);

        if (!json_is_integer(item) || json_integer_value(item) < 0 || json_integer_value(item) > 255)
            return err_set(e, -EINVAL, "expected numbers from 0 to 255");
        out->v[out->n++] = (int)json_integer_value(item);
    }
    return 0;
}

static int rows_from_json(const struct option_group *g, void *base, const json_t *j, struct err *e);

static int list_from_json(const struct option_row *o, void *base, const json_t *value, struct err *e)
{
    struct option_list l;
    unsigned at = 0;
    int r = 0;

    if (!json_is_array(value) || json_array_size(value) > OPTION_LIST_MAX)
        return err_set(e, -EINVAL, "expected a list of at most %d objects", OPTION_LIST_MAX);
    option_list_clear(o, base);
    for (size_t i = 0; r == 0 && i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);

        at = (unsigned)i;
        if (json_is_object(item))
            r = rows_from_json(o->group, option_list_add(o, base), item, e);
        else
            r = err_set(e, -EINVAL, "expected an object");
    }
    l = option_list_get(o, base);
    if (r == 0 && o->group->complete)
        r = o->group->complete(l.v, l.n, &at, e);
    if (r < 0)
        err_wrap(e, "entry %u", at + 1);
    return r;
}

static int field_from_json(const struct option_row *o, void *base, const json_t *value, struct err *e)
{
    void *field = option_field(o, base);
    char *text;

    switch (o->store) {
    case STORE_STRING:
        text = json_is_null(value) ? NULL : text_from_json(value);
        if (!text && !json_is_null(value))
            return err_set(e, -EINVAL, "expected a string");
        free(*(char **)field);
        *(char **)field = text;
        return 0;
    case STORE_INT:
        if (!json_is_integer(value))
            return err_set(e, -EINVAL, "expected a whole number");
        *(int64_t *)field = json_integer_value(value);
        return 0;
    case STORE_BOOL:
        if (!json_is_boolean(value))
            return err_set(e, -EINVAL, "expected true or false");
        *(bool *)field = json_is_true(value);
        option_mark_given(o, base);
        return 0;
    case STORE_STRV:
        return strv_from_json(value, field, e);
    case STORE_ENV:
        return env_from_json(value, field, e);
    case STORE_INT_LIST:
        return ints_from_json(value, field, e);
    case STORE_GROUP:
        if (!json_is_object(value))
            return err_set(e, -EINVAL, "expected an object");
        /* As a whole: what it does not name has its default, also over a known app. */
        field_deinit(o, base);
        field_init(o, base);
        option_mark_given(o, base);
        return rows_from_json(o->group, field, value, e);
    case STORE_LIST:
        return list_from_json(o, base, value, e);
    case STORE_NONE:
        break;
    }
    return err_set(e, -EINVAL, "this key is for config files only");
}

/* `g` is NULL for the keys of the app itself. */
static int rows_from_json(const struct option_group *g, void *base, const json_t *j, struct err *e)
{
    const struct option_row *o;
    const char *key;
    json_t *value;
    int r;

    json_object_foreach ((json_t *)j, key, value) {
        o = g ? option_group_by_name(g, key) : option_by_name(key);
        if (!o)
            return err_set(e, -EINVAL, "unknown key \"%.100s\"", key);
        if (o->local)
            r = err_set(e, -EINVAL, "this key is for config files only");
        else
            r = field_from_json(o, base, value, e);
        if (r < 0)
            return err_wrap(e, "%s", o->name), r;
    }
    return 0;
}

/* Puts the keys of the object over the spec, and checks it as a whole. */
static int fields_from_json(struct app_spec *s, const json_t *j, struct err *e)
{
    int r = rows_from_json(NULL, s, j, e);

    if (r < 0)
        return r;
    /* Which program runs the script was chosen before an app is sent; no word about it means the script
     * itself. */
    if (!s->interpreter)
        s->interpreter = xstrdup("none");
    r = app_spec_validate(s, e);
    r = r < 0 ? r : listen_check_app(s, e);
    return r < 0 ? r : health_check_app(s, e);
}

struct app_spec *app_spec_from_json(const json_t *j, struct err *e)
{
    struct app_spec *s;

    if (!json_is_object(j)) {
        err_set(e, -EINVAL, "an app must be an object");
        return NULL;
    }
    s = app_spec_new();
    if (fields_from_json(s, j, e) < 0) {
        app_spec_free(s);
        return NULL;
    }
    return s;
}

struct app_spec *app_spec_with_json(const struct app_spec *base, const json_t *set, struct err *e)
{
    struct app_spec *s = app_spec_dup(base);

    if (fields_from_json(s, set, e) < 0) {
        app_spec_free(s);
        return NULL;
    }
    return s;
}

json_t *app_spec_key_to_json(const struct app_spec *s, const struct option_row *o)
{
    return value_to_json(o, s);
}
