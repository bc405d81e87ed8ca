/* fork or cluster: which one an app gets, and which apps can have it. */
#ifndef PM_CONFIG_EXEC_MODE_H
#define PM_CONFIG_EXEC_MODE_H

#include <stdbool.h>

#include "config/spec.h"

struct err;

/* Is it the name or path of node, also with a version (node18, node@20)? */
bool program_is_node(const char *program);

/* Does the app run as workers of a Node cluster: in this mode, by node or bun? */
bool app_is_cluster(const struct app_spec *s);

/*
 * Once the interpreter is chosen, before `instances` is counted out. Without a mode from the user,
 * `instances` given as at least 1, 0 or -1 makes a cluster of an app of node or bun, as in PM2; all else is
 * fork. 0, or -EINVAL with what to do for a cluster that cannot be. Private to config/.
 */
int exec_mode_choose(struct app_spec *s, bool mode_given, bool instances_given, struct err *e);

#endif
