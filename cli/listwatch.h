/* The table of processes, drawn again and again. */
#ifndef PM_CLI_LISTWATCH_H
#define PM_CLI_LISTWATCH_H

#include "cli/cli.h"

/* Until Ctrl-C. `seconds` is the user's text, "" for the usual pace. Returns the exit code. */
int listwatch_run(struct cli *c, const char *seconds);

#endif
