/* One app of a config file. Private to config/. */
#ifndef PM_CONFIG_APP_READ_H
#define PM_CONFIG_APP_READ_H

#include <stdbool.h>

#include "config/config.h"
#include "config/tree.h"

struct app_source {
    const struct config_ctx *ctx;
    const char *folder; /* of the file: where relative paths start */
    struct diag *diag;
    bool env_name_seen; /* set once an app has the env_<name> that was asked for */
};

/*
 * The resolved app, or NULL after errors in source->diag. `plain_name` is set with it, for free(): the name
 * without what name_prefix and append_env_to_name add.
 */
struct app_spec *app_read(struct app_source *source, const struct tree_node *map, char **plain_name);

#endif
