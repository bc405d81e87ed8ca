/* Sending the apps of a PM2 dump to the daemon. */
#ifndef PM_CLI_DUMPSEND_H
#define PM_CLI_DUMPSEND_H

#include "cli/action.h"
#include "config/pm2_dump.h"

/* Prints what the answer to "resurrect" tells beside the outcomes. Returns how many processes came in. */
size_t resurrected_print(const struct cli *c, const json_t *result);

/*
 * Sends them in as many requests as their size demands; apps of one name go together, since the daemon leaves
 * out what it has by name. Adds to *n how many processes came in. Returns the exit code.
 */
int dumpsend(struct action *t, const struct pm2_dump *dump, size_t *n);

#endif
