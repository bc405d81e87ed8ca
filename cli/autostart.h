/* Starting the daemon for a command that needs it. */
#ifndef PM_CLI_AUTOSTART_H
#define PM_CLI_AUTOSTART_H

#include "cli/session.h"

#define AUTOSTART_MS 10000 /* from the start of pmd until it answers */

/* Connects; if no daemon runs, starts `pmd` (beside pm itself, else on PATH) and connects then. Many at once
 * make one daemon: pmd decides by its lock. Errors are printed. */
enum session_state autostart_connect(struct cli *c);

#endif
