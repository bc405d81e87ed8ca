#include "config/interpolate.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "config/apps.h"
#include "config/spec.h"

#define PLAIN_HINT "write \"$${\" for a plain \"${\""

struct interpolation {
    struct tree *tree;
    char *const *env;
    const char *env_name;
    struct diag *diag;
    bool lenient; /* variables may be missing */
};

static size_t name_length(const char *p)
{
    size_t n = 0;

    if (!isalpha((unsigned char)*p) && *p != '_')
        return 0;
    while (isalnum((unsigned char)p[n]) || p[n] == '_')
        n++;
    return n;
}

/* `inside` is what stands between the braces. */
static int put_variable(const struct interpolation *in, const char *inside, struct buf *out, struct err *e)
{
    size_t len = name_length(inside);
    _cleanup_free_ char *name = xstrndup(inside, len);
    const char *fallback = strncmp(inside + len, ":-", 2) == 0 ? inside + len + 2 : NULL, *value;
    char quoted[QUOTE_MAX];

    if (!len || (inside[len] && !fallback))
        return err_set(e, -EINVAL, "expected ${NAME} or ${NAME:-default}, found ${...} with %s; " PLAIN_HINT,
                       diag_quote(quoted, inside));
    if (fallback && strstr(fallback, "${"))
        return err_set(e, -EINVAL, "the default of ${%.100s} must not have variables in it", name);
    value = env_get(in->env, name);
    if (fallback && (!value || !*value))
        value = fallback;
    if (!value && !in->lenient)
        return err_set(e, -EINVAL, "the variable %.100s is not set; give it a default as in ${%.100s:-value}",
                       name, name);
    buf_puts(out, value ? value : "");
    return 0;
}

static int substitute(const struct interpolation *in, const char *p, struct buf *out, struct err *e)
{
    int r = 0;

    buf_puts(out, "");
    while (*p && r == 0) {
        const char *dollar = strchr(p, '$'), *end;
        _cleanup_free_ char *inside = NULL;

        if (!dollar)
            dollar = p + strlen(p);
        buf_append(out, p, (size_t)(dollar - p));
        p = dollar;
        if (p[0] == '$' && p[1] == '{') {
            end = strchr(p, '}');
            if (!end)
                return err_set(e, -EINVAL, "\"${\" without its \"}\"; " PLAIN_HINT);
            inside = xstrndup(p + 2, (size_t)(end - p - 2));
            r = put_variable(in, inside, out, e);
            p = end + 1;
        } else if (*p) {
            p += p[1] == '$' ? 2 : 1;
            buf_putc(out, '$');
        }
    }
    return r;
}

static void change_text(const struct interpolation *in, struct tree_node *n, const char *key)
{
    struct buf text = {0};
    struct err e = {0};

    if (substitute(in, n->text, &text, &e) < 0) {
        diag_error(in->diag, n->line, n->col, "%s%s%s", key ? key : "", key ? ": " : "", e.msg);
        diag_seal(in->diag);
    } else {
        const char *kept = tree_text(in->tree, text.data, text.len);

        if (kept)
            n->text = kept;
        else
            diag_error(in->diag, n->line, n->col, "too much text in one config");
        n->substituted = true;
    }
    buf_free(&text);
}

/* `key` is the nearest one, for messages. The depth is bounded by the readers. */
static void change(const struct interpolation *in, struct tree_node *n, const char *key)
{
    if (n->kind == TREE_STRING && strchr(n->text, '$'))
        change_text(in, n, key);
    for (struct tree_node *c = n->first; c; c = c->next)
        change(in, c, c->key ? c->key : key);
}

static void change_app(struct interpolation *in, struct tree_node *app)
{
    for (struct tree_node *value = app->first; value; value = value->next) {
        const char *key = value->key;

        if (key && strncmp(key, "x-", 2) == 0)
            continue;
        in->lenient = key && strncmp(key, "env_", 4) == 0 && strcmp(key, "env_file") != 0 &&
                      !(in->env_name && strcmp(key + 4, in->env_name) == 0);
        change(in, value, key);
    }
}

static void change_apps(struct interpolation *in, struct tree_node *apps)
{
    if (apps->kind == TREE_MAP)
        change_app(in, apps);
    else
        for (struct tree_node *app = apps->first; app; app = app->next)
            change_app(in, app);
}

void interpolate_apps(struct tree *t, char *const *env, const char *env_name, struct diag *d)
{
    struct interpolation in = {.tree = t, .env = env, .env_name = env_name, .diag = d};
    bool below = false;

    if (t->root->kind == TREE_MAP) {
        for (struct tree_node *n = t->root->first; n; n = n->next) {
            if (!apps_is_key(n->key))
                continue;
            change_apps(&in, n);
            below = true;
        }
    }
    if (!below)
        change_apps(&in, t->root);
}
