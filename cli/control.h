/* Acting on processes by selectors: what the commands that do so share. */
#ifndef PM_CLI_CONTROL_H
#define PM_CLI_CONTROL_H

#include "cli/cli.h"

/* {"selectors": [...]} of the words from `first` on; config files stand for the names of their apps. Returns
 * the exit code, after errors were printed. */
int control_selectors(struct cli *c, const struct args *a, size_t first, json_t **params);

/* Calls the command's method (steals params), prints what became of each process. Returns the exit code. */
int control_run(struct cli *c, const struct args *a, json_t *params);

#endif
