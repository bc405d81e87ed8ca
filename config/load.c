/* From files and text to lists of apps. */
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "config/app_read.h"
#include "config/suggest.h"
#include "config/tree.h"

static const char apps_expected[] =
    "expected \"apps:\" with a list of apps, a list, or one app with a \"script\"";

void app_list_free(struct app_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        app_spec_free(l->v[i]);
    free(l->v);
    *l = (struct app_list){0};
}

void config_report_free(struct config_report *r)
{
    buf_free(&r->errors);
    buf_free(&r->warnings);
    r->n_errors = r->n_warnings = 0;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n > m && strcmp(s + n - m, end) == 0;
}

bool config_is_file_name(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;

    return ends_with(base, ".yaml") || ends_with(base, ".yml") || ends_with(base, ".json");
}

static bool is_apps_key(const char *key)
{
    return strcmp(key, "apps") == 0 || strcmp(key, "pm2") == 0;
}

/* Keys beside the list of apps that PM2 knows, and places where people keep YAML anchors. */
static void check_top_key(struct diag *d, const struct tree_node *value)
{
    struct suggestion near = suggestion_start(value->key);
    char quoted[QUOTE_MAX];

    if (strcmp(value->key, "deploy") == 0 || strcmp(value->key, "static") == 0) {
        diag_warn(d, value->key_line, value->key_col, "%s: has no effect yet", value->key);
        return;
    }
    if (value->anchored || strncmp(value->key, "x-", 2) == 0 || strcmp(value->key, "$schema") == 0)
        return;
    suggestion_offer(&near, "apps");
    suggestion_offer(&near, "deploy");
    suggestion_offer(&near, "static");
    diag_error(d, value->key_line, value->key_col, "unknown key %s beside \"apps\"%s%s%s",
               diag_quote(quoted, value->key), near.best ? ", did you mean \"" : "",
               near.best ? near.best : "", near.best ? "\"?" : "");
}

/* The value of `apps:`, NULL when the map has none. */
static const struct tree_node *find_apps(struct diag *d, const struct tree_node *root)
{
    const struct tree_node *apps = NULL;

    for (const struct tree_node *value = root->first; value; value = value->next) {
        if (!is_apps_key(value->key))
            continue;
        if (apps)
            diag_error(d, value->key_line, value->key_col, "%s: the apps were given in line %u already",
                       value->key, apps->key_line);
        else
            apps = value;
    }
    for (const struct tree_node *value = root->first; apps && value; value = value->next)
        if (!is_apps_key(value->key))
            check_top_key(d, value);
    return apps;
}

static bool looks_like_app(const struct tree_node *map)
{
    return tree_get(map, "script") || tree_get(map, "exec") || tree_get(map, "cmd") ||
           tree_get(map, "command") || tree_get(map, "name");
}

static void read_one(struct app_source *source, const struct tree_node *node, struct app_list *out)
{
    char shown[QUOTE_MAX + 16];
    struct app_spec *spec;

    if (node->kind != TREE_MAP) {
        diag_error(source->diag, node->line, node->col,
                   "expected an app (a mapping with \"script\"), found %s", tree_describe(node, shown));
        return;
    }
    spec = app_read(source, node);
    if (!spec)
        return;
    out->v = xrealloc(out->v, (out->n + 1) * sizeof(void *));
    out->v[out->n++] = spec;
}

static void read_apps(struct app_source *source, const struct tree_node *root, struct app_list *out)
{
    const struct tree_node *apps = root;
    struct diag *d = source->diag;
    char shown[QUOTE_MAX + 16];

    if (root->kind == TREE_MAP) {
        apps = find_apps(d, root);
        if (!apps && looks_like_app(root))
            apps = root;
        if (!apps) {
            for (const struct tree_node *value = root->first; value; value = value->next)
                if (suggest_distance(value->key, "apps") <= 1)
                    diag_error(d, value->key_line, value->key_col,
                               "unknown key \"%s\", did you mean \"apps\"?", value->key);
            if (d->n_errors == 0)
                diag_error(d, root->line, root->col, "%s", apps_expected);
            return;
        }
    }
    if (apps->kind == TREE_MAP) {
        read_one(source, apps, out);
    } else if (apps->kind != TREE_LIST) {
        diag_error(d, apps->line, apps->col, "%s, found %s", apps_expected, tree_describe(apps, shown));
    } else {
        if (!apps->first)
            diag_error(d, apps->line, apps->col, "the list of apps is empty");
        for (const struct tree_node *app = apps->first; app; app = app->next)
            read_one(source, app, out);
    }
}

static int load(const struct config_ctx *ctx, const char *name, const char *folder, const char *text,
                size_t len, bool is_json, struct app_list *out, struct config_report *report)
{
    struct diag diag = {.file = name};
    struct tree tree = {0};
    struct app_source source = {.ctx = ctx, .folder = folder, .diag = &diag};
    bool failed;

    *out = (struct app_list){0};
    if ((is_json ? json_read : yaml_read)(&tree, text, len, &diag) == 0)
        read_apps(&source, tree.root, out);
    tree_deinit(&tree);
    failed = diag.n_errors > 0;
    if (failed)
        app_list_free(out);
    else if (ctx->env_name && !source.env_name_seen)
        diag_warn(&diag, 0, 0, "no app has \"env_%s\", so --env %s changes nothing", ctx->env_name,
                  ctx->env_name);
    diag_flush(&diag, report);
    return failed ? -EINVAL : 0;
}

int config_load_text(const struct config_ctx *ctx, const char *name, const char *text, size_t len,
                     bool is_json, struct app_list *out, struct config_report *report)
{
    return load(ctx, name, ctx->cwd, text, len, is_json, out, report);
}

int config_load_file(const struct config_ctx *ctx, const char *path, struct app_list *out,
                     struct config_report *report)
{
    _cleanup_free_ char *absolute = fs_absolute(ctx->cwd, path);
    _cleanup_free_ char *folder = xstrdup(absolute);
    struct diag diag = {.file = path};
    struct buf text = {0};
    struct err e = {0};
    char *slash = strrchr(folder, '/');
    int r;

    *out = (struct app_list){0};
    if (slash)
        slash[slash == folder] = '\0';
    if (fs_read_file(absolute, TREE_INPUT_MAX, &text, &e) < 0) {
        diag_error(&diag, 0, 0, "%s", e.msg);
        diag_flush(&diag, report);
        buf_free(&text);
        return -EINVAL;
    }
    r = load(ctx, path, folder, text.data ? text.data : "", text.len, ends_with(path, ".json"), out, report);
    buf_free(&text);
    return r;
}
