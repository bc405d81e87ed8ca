/* Variables in the values of a config: ${NAME}, ${NAME:-default}, and $$ for a dollar. Private to config/. */
#ifndef PM_CONFIG_INTERPOLATE_H
#define PM_CONFIG_INTERPOLATE_H

#include "config/tree.h"

/*
 * Puts in the variables of `env`, in the text values of all apps (not in keys, and not in what stands beside
 * the apps). A variable that is not set and has no default is an error; not so in an env_<name> other than
 * env_<env_name>, which is not used now. A default counts also for an empty variable, as in the shell.
 */
void interpolate_apps(struct tree *t, char *const *env, const char *env_name, struct diag *d);

#endif
