#include "config/env.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "config/checks.h"
#include "config/spec.h"
#include "config/text_json.h"
#include "config/tree.h"

static bool is_entry_of(const char *entry, const char *name, size_t len)
{
    return strncmp(entry, name, len) == 0 && entry[len] == '=';
}

const char *env_get(char *const *env, const char *name)
{
    size_t len = strlen(name);

    for (; env && *env; env++)
        if (is_entry_of(*env, name, len))
            return *env + len + 1;
    return NULL;
}

void env_set(char ***env, const char *name, const char *value)
{
    char *entry = xasprintf("%s=%s", name, value);
    size_t len = strlen(name);

    for (char **at = *env; at && *at; at++) {
        if (is_entry_of(*at, name, len)) {
            free(*at);
            *at = entry;
            return;
        }
    }
    strv_push(env, entry);
}

void env_unset(char **env, const char *name)
{
    size_t len = strlen(name);
    char **keep = env;

    for (; env && *env; env++) {
        if (is_entry_of(*env, name, len))
            free(*env);
        else
            *keep++ = *env;
    }
    if (keep)
        *keep = NULL;
}

static bool is_filtered(const char *entry, char *const *items)
{
    _cleanup_free_ char *name = xstrndup(entry, strcspn(entry, "="));

    for (; *items; items++)
        if (strstr(name, *items))
            return true;
    return false;
}

void env_filter(char **env, char *const *items)
{
    char **keep = env;

    if (!env || !items || !*items)
        return;
    for (; *env; env++) {
        if (is_filtered(*env, items))
            free(*env);
        else
            *keep++ = *env;
    }
    *keep = NULL;
}

bool env_is_callers_own(const char *name, size_t len)
{
    static const char *const own[] = {
        "NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE",
        "NODE_UNIQUE_ID",  "NOTIFY_SOCKET",
        "WATCHDOG_USEC",   "WATCHDOG_PID",
        "LISTEN_FDS",      "LISTEN_PID",
        "LISTEN_FDNAMES",  "PM_RUN_ID",
        "PM_ADOPT",
    };

    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (strlen(own[i]) == len && memcmp(own[i], name, len) == 0)
            return true;
    return false;
}

char **env_inherit(char *const *environ_)
{
    size_t n = 0;
    char **env = xcalloc(strv_len(environ_) + 1, sizeof(char *));

    for (; environ_ && *environ_; environ_++) {
        const char *equals = strchr(*environ_, '=');

        if (equals && equals != *environ_ && !env_is_callers_own(*environ_, (size_t)(equals - *environ_)))
            env[n++] = xstrdup(*environ_);
    }
    return env;
}

void env_apply_one(char ***env, const struct tree_node *n, struct diag *d)
{
    struct err e;

    if (check_env_name(n->key, &e) < 0) {
        diag_error(d, n->key_line, n->key_col, "the name of a variable %s", e.msg);
    } else if (n->kind == TREE_NULL) {
        env_unset(*env, n->key);
        strv_push(env, xstrdup(n->key));
    } else if (tree_is_scalar(n)) {
        env_set(env, n->key, n->text);
    } else {
        struct buf json = {0};

        tree_to_json_text(n, &json);
        env_set(env, n->key, json.data);
        buf_free(&json);
    }
}

void env_apply_tree(char ***env, const struct tree_node *map, struct diag *d)
{
    for (const struct tree_node *n = map->first; n; n = n->next)
        env_apply_one(env, n, d);
}

/*
 * The value after "=": quoted ("..." knows \n, \t, \" and \\; '...' nothing) or bare, up to " #" and without
 * blanks at the end. False when a quote is left open or something follows it.
 */
static bool take_value(const char *p, struct buf *out)
{
    char quote = *p == '"' || *p == '\'' ? *p : '\0';
    size_t len = strlen(p);

    buf_puts(out, "");
    if (!quote) {
        for (size_t i = 0; i < len; i++)
            if (p[i] == '#' && (i == 0 || p[i - 1] == ' ' || p[i - 1] == '\t'))
                len = i;
        while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t' || p[len - 1] == '\r'))
            len--;
        buf_append(out, p, len);
        return true;
    }
    for (p++; *p && *p != quote; p++) {
        if (quote == '"' && *p == '\\' && p[1]) {
            p++;
            buf_putc(out, *p == 'n' ? '\n' : *p == 't' ? '\t' : *p);
        } else {
            buf_putc(out, *p);
        }
    }
    if (!*p)
        return false;
    p++;
    p += strspn(p, " \t\r");
    return !*p || *p == '#';
}

static int apply_line(char ***env, char *line, struct err *e)
{
    struct buf value = {0};
    char *equals, *end;
    int r;

    line += strspn(line, " \t\r");
    if (!*line || *line == '#')
        return 0;
    if (strncmp(line, "export ", 7) == 0)
        line += 7 + strspn(line + 7, " \t");
    equals = strchr(line, '=');
    if (!equals)
        return err_set(e, -EINVAL, "expected NAME=value, all of it in one line");
    for (end = equals; end > line && (end[-1] == ' ' || end[-1] == '\t'); end--)
        ;
    *end = '\0';
    r = check_env_name(line, e);
    if (r < 0)
        return err_wrap(e, "the name"), r;
    if (line[strcspn(line, " \t")])
        return err_set(e, -EINVAL, "the name \"%.100s\" has a blank in it", line);
    equals++;
    equals += strspn(equals, " \t");
    if (!take_value(equals, &value))
        r = err_set(e, -EINVAL,
                    "the closing quote is missing (a value ends in its line; \"\\n\" is a line break), "
                    "or something follows it");
    else
        env_set(env, line, value.data);
    buf_free(&value);
    return r;
}

int env_apply_file_text(char ***env, const char *text, size_t len, struct err *e)
{
    static const char bom[] = "\xef\xbb\xbf"; /* editors of Windows put it first */
    const char *end = text + len;

    if (len >= 3 && memcmp(text, bom, 3) == 0)
        text += 3;
    if (memchr(text, '\0', (size_t)(end - text)))
        return err_set(e, -EINVAL, "a NUL byte is not allowed");
    for (unsigned number = 1; text < end; number++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;
        _cleanup_free_ char *line = xstrndup(text, (size_t)(stop - text));
        int r = apply_line(env, line, e);

        if (r < 0)
            return err_wrap(e, "line %u", number), r;
        text = newline ? newline + 1 : end;
    }
    return 0;
}

json_t *env_to_json(char *const *env)
{
    json_t *object = json_object();

    for (; env && *env; env++) {
        size_t len = strcspn(*env, "=");
        _cleanup_free_ char *name = xstrndup(*env, len);

        json_object_set_new(object, name, (*env)[len] ? text_to_json(*env + len + 1) : json_null());
    }
    return object;
}

int env_merge_json(char ***env, const json_t *object, struct err *e)
{
    const char *name;
    json_t *value;

    if (!json_is_object(object))
        return err_set(e, -EINVAL, "expected an object of strings");
    json_object_foreach ((json_t *)object, name, value) {
        _cleanup_free_ char *text = NULL;

        if (check_env_name(name, e) < 0)
            return err_wrap(e, "the name of a variable"), -EINVAL;
        if (json_is_null(value)) {
            env_unset(*env, name);
            continue;
        }
        text = text_from_json(value);
        if (!text)
            return err_set(e, -EINVAL, "the variable %.100s is not a string", name);
        env_set(env, name, text);
    }
    return 0;
}

json_t *env_diff_to_json(char *const *base, char *const *env)
{
    json_t *object = json_object();

    for (char *const *at = env; at && *at; at++) {
        const char *equals = strchr(*at, '=');
        _cleanup_free_ char *name = equals ? xstrndup(*at, (size_t)(equals - *at)) : NULL;
        const char *old = name ? env_get(base, name) : NULL;

        if (name && (!old || strcmp(old, equals + 1) != 0))
            json_object_set_new(object, name, text_to_json(equals + 1));
    }
    for (char *const *at = base; at && *at; at++) {
        const char *equals = strchr(*at, '=');
        _cleanup_free_ char *name = equals ? xstrndup(*at, (size_t)(equals - *at)) : NULL;

        if (name && !env_get(env, name))
            json_object_set_new(object, name, json_null());
    }
    return object;
}
