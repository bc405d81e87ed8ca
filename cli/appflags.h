/* Flags of start that set a config key, put into apps. */
#ifndef PM_CLI_APPFLAGS_H
#define PM_CLI_APPFLAGS_H

#include <stdbool.h>

#include "cli/args.h"
#include "config/spec.h"

struct err;

/*
 * Sets every key whose flag was given. `cwd` non-NULL: the app is resolved already (it comes from a config
 * file), so relative paths are taken from there. 0, or -EINVAL with a message that names the flag.
 */
int appflags_apply(const struct args *a, struct app_spec *spec, const char *cwd, struct err *e);

/*
 * What follows from flags once the app has its name: the file of a bare --log (in the logs folder of `home`),
 * and the date format of --time, which for an app of a config file nobody else would set.
 */
void appflags_finish(const struct args *a, struct app_spec *spec, const char *home);

/*
 * What the flags, and the arguments after "--", change of an app that the daemon knows: keys with their
 * values as the daemon takes them, {} for nothing. `name` is the app's for the file of a bare --log; NULL
 * when they are several. NULL, with a message, when a value is wrong.
 */
json_t *appflags_to_set(const struct args *a, const char *cwd, const char *name, const char *home,
                        struct err *e);

#endif
