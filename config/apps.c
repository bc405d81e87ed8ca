/* What stands around the apps of a config: the list of them, and other keys at the top. */
#include "config/apps.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "config/depends_file.h"
#include "config/suggest.h"

static const char apps_expected[] =
    "expected \"apps:\" with a list of apps, a list, or one app with a \"script\"";

bool apps_is_key(const char *key)
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
    char where[IN_LINE_MAX];

    for (const struct tree_node *value = root->first; value; value = value->next) {
        if (!apps_is_key(value->key))
            continue;
        if (apps)
            diag_error(d, value->key_line, value->key_col, "%s: the apps were given%s already", value->key,
                       diag_in_line(d, apps->key_line, where));
        else
            apps = value;
    }
    for (const struct tree_node *value = root->first; apps && value; value = value->next)
        if (!apps_is_key(value->key))
            check_top_key(d, value);
    return apps;
}

static bool looks_like_app(const struct tree_node *map)
{
    return tree_get(map, "script") || tree_get(map, "exec") || tree_get(map, "cmd") ||
           tree_get(map, "command") || tree_get(map, "name");
}

static void read_one(struct app_source *source, const struct tree_node *node, struct app_list *out,
                     const struct tree_node ***nodes)
{
    char shown[QUOTE_MAX + 16];
    struct app_spec *spec;
    char *plain_name;

    if (node->kind != TREE_MAP) {
        diag_error(source->diag, node->line, node->col,
                   "expected an app (a mapping with \"script\"), found %s", tree_describe(node, shown));
        return;
    }
    spec = app_read(source, node, &plain_name);
    if (!spec)
        return;
    out->names = xrealloc(out->names, (out->n + 1) * sizeof(char *));
    out->names[out->n] = plain_name;
    out->v = xrealloc(out->v, (out->n + 1) * sizeof(void *));
    out->v[out->n++] = spec;
    *nodes = xrealloc(*nodes, out->n * sizeof(void *));
    (*nodes)[out->n - 1] = node;
}

void apps_read(struct app_source *source, const struct tree_node *root, struct app_list *out)
{
    _cleanup_free_ const struct tree_node **nodes = NULL; /* of each app in `out` */
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
        read_one(source, apps, out, &nodes);
    } else if (apps->kind != TREE_LIST) {
        diag_error(d, apps->line, apps->col, "%s, found %s", apps_expected, tree_describe(apps, shown));
    } else {
        if (!apps->first)
            diag_error(d, apps->line, apps->col, "the list of apps is empty");
        for (const struct tree_node *app = apps->first; app; app = app->next)
            read_one(source, app, out, &nodes);
    }
    if (d->n_errors + d->suppressed == 0 && !source->ctx->names_only)
        depends_check_file(source, nodes, out);
}
