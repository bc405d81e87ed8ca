/* The environment in a record of PM2. Private to config/. */
#ifndef PM_CONFIG_PM2_ENV_H
#define PM_CONFIG_PM2_ENV_H

#include "config/diag.h"
#include "config/tree.h"

/* Puts the app's own variables of the mapping over *env. What PM2 has added for itself is left out. */
void pm2_env_apply(char ***env, const struct tree_node *map, const char *app, struct diag *d);

#endif
