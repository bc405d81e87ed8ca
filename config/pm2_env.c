#include "config/pm2_env.h"

#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/checks.h"
#include "config/env.h"
#include "config/options.h"

/* Fields of PM2's records that are no options; a `pm2 start` that an app of PM2 has called finds them all in
 * its environment. */
static const char *const fields[] = {
    "unique_id",         "status",         "created_at",        "restart_time",
    "unstable_restarts", "vizion_running", "NODE_APP_INSTANCE", "node_version",
    "version",           "instances",      "versioning",        "prev_restart_delay",
    "exit_code",         "_pm2_version",
};

static bool is_listed(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (strcmp(fields[i], name) == 0)
            return true;
    return false;
}

static bool starts_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* PM2 sets a variable of the app's name to its settings, an object. */
static bool is_settings(const struct tree_node *n, const char *app)
{
    return strcmp(n->key, app) == 0 && (n->kind == TREE_MAP || (tree_is_scalar(n) && n->text[0] == '{'));
}

static bool is_pm2s(const struct tree_node *n, const char *app, bool nested)
{
    /* The static server of PM2 is told by variables what to serve; all others of the prefix are about PM2. */
    if (starts_with(n->key, "PM2_") && !starts_with(n->key, "PM2_SERVE_"))
        return true;
    if (strcmp(n->key, "unique_id") == 0 || is_settings(n, app) || env_is_callers_own(n->key, strlen(n->key)))
        return true;
    return nested && (starts_with(n->key, "pm_") || starts_with(n->key, "axm_") || is_listed(n->key) ||
                      option_by_name(n->key) || foreign_key_find(n->key));
}

void pm2_env_apply(char ***env, const struct tree_node *map, const char *app, struct diag *d)
{
    bool nested = tree_get(map, "pm_id") || tree_get(map, "pm_exec_path");

    for (const struct tree_node *n = map->first; n; n = n->next)
        if (n->kind != TREE_NULL && !is_pm2s(n, app, nested))
            env_apply_one(env, n, d);
}
