#include "config/option_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/hook_list.h"
#include "config/option_fields.h"
#include "config/option_text.h"
#include "config/values.h"
#include "config/yaml_scalar.h"

static void wrong_kind(const struct option_row *o, const char *key, const struct tree_node *found,
                       struct diag *d)
{
    char scratch[QUOTE_MAX + 16], expected[EXPECTED_MAX];

    diag_error(d, found->line, found->col, "%s: expected %s, found %s", key, option_expected(o, expected),
               tree_describe(found, scratch));
}

static bool read_word_list(const struct option_row *o, void *base, const struct tree_node *list,
                           const char *key, struct diag *d)
{
    char **words = xcalloc(list->count + 1, sizeof(char *));
    size_t n = 0;

    for (const struct tree_node *item = list->first; item; item = item->next) {
        if (!tree_is_scalar(item) || item->kind == TREE_NULL) {
            wrong_kind(o, key, item, d);
            strv_free(words);
            return false;
        }
        if (!*item->text && o->type != OPT_WORDS) {
            diag_error(d, item->line, item->col, "%s: must not hold an empty text", key);
            strv_free(words);
            return false;
        }
        words[n++] = xstrdup(item->text);
    }
    if (o->store == STORE_NONE) {
        strv_free(words);
        return true;
    }
    strv_free(*(char ***)option_field(o, base));
    *(char ***)option_field(o, base) = words;
    return true;
}

static bool read_code_list(const struct option_row *o, void *base, const struct tree_node *list,
                           const char *key, struct diag *d)
{
    struct int_list *field = option_field(o, base);
    struct err e;
    int64_t code;

    if (list->count > 256) {
        diag_error(d, list->line, list->col, "%s: more than 256 exit codes", key);
        return false;
    }
    for (const struct tree_node *item = list->first; item; item = item->next) {
        /* PM2's users write them in quotes too. */
        if (!(KIND(item->kind) & NUMBERS) || !value_int(item->text, &code)) {
            wrong_kind(o, key, item, d);
            return false;
        }
        if (option_check_int(o, code, &e) < 0) {
            diag_error(d, item->line, item->col, "%s: %s", key, e.msg);
            return false;
        }
        option_push_code(field, (int)code);
    }
    return true;
}

/* `autorestart: ${AUTO}` is a text to the reader of the file, but what it becomes may be more. */
static bool takes(const struct option_row *o, const struct tree_node *value)
{
    const struct option_row *shorthand = o->type == OPT_GROUP ? option_group_shorthand(o->group) : NULL;
    unsigned kinds = opt_type_kinds(o->type);

    return (kinds & KIND(value->kind)) ||
           (value->substituted && (kinds & KIND(yaml_scalar_kind(value->text)))) ||
           (shorthand && takes(shorthand, value)) ||
           (o->type == OPT_LIST && o->group->from_text && (KIND(value->kind) & TEXTS));
}

static bool read_value(const struct option_row *o, void *base, const struct tree_node *value, const char *key,
                       struct diag *d);

/* What the map already has for the same row, under this or another name of it. */
static const struct tree_node *given_before(const struct option_group *g, const struct tree_node *map,
                                            const struct tree_node *value)
{
    const struct option_row *o = option_group_find(g, value->key);

    for (const struct tree_node *other = map->first; other != value; other = other->next)
        if (option_group_find(g, other->key) == o)
            return other;
    return NULL;
}

static bool read_group_key(const struct option_group *g, void *fields, const struct tree_node *map,
                           const struct tree_node *value, const char *key, struct diag *d)
{
    const struct option_row *o = option_group_find(g, value->key);
    const struct tree_node *before = o ? given_before(g, map, value) : NULL;
    const char *near = o ? NULL : option_group_suggest(g, value->key);
    _cleanup_free_ char *full = xasprintf("%s.%s", key, value->key);
    char quoted[QUOTE_MAX], where[IN_LINE_MAX];

    if (before) {
        diag_error(d, value->key_line, value->key_col, "%s: was given%s already, as %s", full,
                   diag_in_line(d, before->key_line, where), before->key);
        return false;
    }
    if (o)
        return read_value(o, fields, value, full, d);
    for (const char *const *idle = g->idle; idle && *idle; idle++) {
        if (!option_key_matches(*idle, value->key))
            continue;
        diag_warn(d, value->key_line, value->key_col, "%s: ignored, %s", full, g->idle_why);
        return true;
    }
    diag_error(d, value->key_line, value->key_col, "%s: unknown key %s%s%s%s", key,
               diag_quote(quoted, value->key), near ? ", did you mean \"" : "", near ? near : "",
               near ? "\"?" : "");
    return false;
}

/* All of its keys are read, so that all mistakes are told. */
static bool read_group(const struct option_row *o, void *base, const struct tree_node *map, const char *key,
                       struct diag *d)
{
    void *fields = option_field(o, base);
    bool ok = true;

    option_mark_given(o, base);
    for (const struct tree_node *value = map->first; value; value = value->next)
        ok = read_group_key(o->group, fields, map, value, key, d) && ok;
    return ok;
}

static bool read_entry(const struct option_row *o, void *base, const struct tree_node *item, const char *key,
                       struct diag *d)
{
    const struct option_group *g = o->group;
    void *entry = option_list_add(o, base);
    struct err e = {0};
    bool ok = true;

    if (!entry) {
        diag_error(d, item->line, item->col, "%s: more than %d entries", key, OPTION_LIST_MAX);
        return false;
    }
    if (item->kind == TREE_MAP) {
        for (const struct tree_node *value = item->first; value; value = value->next)
            ok = read_group_key(g, entry, item, value, key, d) && ok;
        return ok;
    }
    if (item->kind == TREE_LIST || !takes(o, item)) {
        wrong_kind(o, key, item, d);
        return false;
    }
    if (g->from_text(entry, item->text, &e) == 0)
        return true;
    diag_error(d, item->line, item->col, "%s: %s", key, e.msg);
    return false;
}

/* One key of a mapping that stands for a list of entries, see option_group.keyed. */
static bool read_keyed_entry(const struct option_row *o, void *base, const struct tree_node *value,
                             const char *key, struct diag *d)
{
    const struct option_group *g = o->group;
    const struct option_row *shorthand = option_group_shorthand(g);
    _cleanup_free_ char *full = xasprintf("%s.%s", key, value->key);
    void *entry = option_list_add(o, base);
    struct err e = {0};
    bool ok = true;

    if (!entry) {
        diag_error(d, value->key_line, value->key_col, "%s: more than %d entries", key, OPTION_LIST_MAX);
        return false;
    }
    if (option_set_text(option_group_by_name(g, g->keyed), entry, value->key, &e) < 0) {
        diag_error(d, value->key_line, value->key_col, "%s: %s", key, e.msg);
        return false;
    }
    if (value->kind != TREE_MAP)
        return read_value(shorthand, entry, value, full, d);
    for (const struct tree_node *inner = value->first; inner; inner = inner->next)
        ok = read_group_key(g, entry, value, inner, full, d) && ok;
    return ok;
}

static bool is_keyed(const struct option_row *o, const struct tree_node *map)
{
    return o->group->keyed && map->kind == TREE_MAP && !tree_get(map, o->group->keyed);
}

static bool read_keyed(const struct option_row *o, void *base, const struct tree_node *map, const char *key,
                       struct diag *d)
{
    bool ok = true;

    for (const struct tree_node *value = map->first; value && ok; value = value->next)
        ok = read_keyed_entry(o, base, value, key, d);
    return ok;
}

/* An entry of a list is named by its number from 0, as in a way through the file. */
static bool read_list(const struct option_row *o, void *base, const struct tree_node *value, const char *key,
                      struct diag *d)
{
    const struct tree_node *item = value->kind == TREE_LIST ? value->first : value;
    _cleanup_free_ const struct tree_node **items = NULL;
    struct option_list l;
    struct err e = {0};
    unsigned n = 0;
    bool ok = true;

    if (value->kind == TREE_LIST && value->count > OPTION_LIST_MAX) {
        diag_error(d, value->line, value->col, "%s: more than %d entries", key, OPTION_LIST_MAX);
        return false;
    }
    option_list_clear(o, base);
    items = xcalloc(OPTION_LIST_MAX, sizeof(void *));
    for (; item; item = value->kind == TREE_LIST ? item->next : NULL) {
        _cleanup_free_ char *full = item == value ? xstrdup(key) : xasprintf("%s[%u]", key, n);

        ok = (is_keyed(o, item) ? read_keyed : read_entry)(o, base, item, full, d) && ok;
        while (n < option_list_get(o, base).n)
            items[n++] = item;
    }
    l = option_list_get(o, base);
    n = 0;
    if (ok && o->group->complete && o->group->complete(l.v, l.n, &n, &e) < 0) {
        ok = false;
        if (items[n] == value)
            diag_error(d, value->line, value->col, "%s: %s", key, e.msg);
        else
            diag_error(d, items[n]->line, items[n]->col, "%s[%u]: %s", key, n, e.msg);
    }
    if (!ok)
        option_list_clear(o, base); /* half of it would lead to errors that follow from these */
    return ok;
}

static bool read_hooks(const struct option_row *o, void *base, const struct tree_node *value, const char *key,
                       struct diag *d)
{
    char **list = hook_list_read(value, key, d), ***field = option_field(o, base);

    if (!list)
        return false;
    strv_free(*field);
    *field = list;
    return true;
}

/* `key`: as the file names it, with the keys around it before it. */
static bool read_value(const struct option_row *o, void *base, const struct tree_node *value, const char *key,
                       struct diag *d)
{
    struct err e = {0};
    int r;

    if (!takes(o, value)) {
        wrong_kind(o, key, value, d);
        return false;
    }
    if (o->type == OPT_ENV || o->type == OPT_MAP || o->type == OPT_ANY)
        return true;
    if (o->type == OPT_HOOKS)
        return read_hooks(o, base, value, key, d);
    if (o->type == OPT_GROUP && value->kind == TREE_MAP)
        return read_group(o, base, value, key, d);
    if (o->type == OPT_LIST)
        return read_list(o, base, value, key, d);
    if (value->kind == TREE_LIST)
        return o->type == OPT_EXIT_CODES ? read_code_list(o, base, value, key, d)
                                         : read_word_list(o, base, value, key, d);
    r = option_try_text(o, base, value->text, &e);
    if (r == -EDOM || (r < 0 && o->type == OPT_ENUM))
        wrong_kind(o, key, value, d);
    else if (r < 0)
        diag_error(d, value->line, value->col, "%s: %s", key, e.msg);
    return r == 0;
}

bool option_read(const struct option_row *o, void *base, const struct tree_node *value, struct diag *d)
{
    return read_value(o, base, value, value->key, d);
}
