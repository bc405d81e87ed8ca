/* Which program runs a script. Private to config/. */
#ifndef PM_CONFIG_INTERPRETER_H
#define PM_CONFIG_INTERPRETER_H

#include <stdbool.h>

#include "config/path.h"
#include "config/spec.h"

struct err;

#define INTERPRETER_NONE "none"

/*
 * Sets spec->interpreter (and its arguments, from a shebang) for the script spec->script, from what the user
 * gave, the extension, or the file itself. `on_path`: the script was found as a program on PATH, so its
 * extension does not count. 0, or negative with a message that says what to do.
 */
int interpreter_choose(struct app_spec *spec, const struct script_info *info, bool on_path, struct err *e);

#endif
