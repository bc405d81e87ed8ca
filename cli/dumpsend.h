/* Sending the apps of a PM2 dump to the daemon. */
#ifndef PM_CLI_DUMPSEND_H
#define PM_CLI_DUMPSEND_H

#include "cli/cli.h"
#include "config/pm2_dump.h"

/* What became of the processes of a list that was to be brought back. */
struct resurrected {
    size_t n; /* that came into the list */
    unsigned n_failed;
};

/* Prints what the answer to "resurrect" tells, and adds to `r`. */
void resurrected_print(const struct cli *c, const json_t *result, struct resurrected *r);

/*
 * Sends them in as many requests as their size demands; apps of one name go together, since the daemon leaves
 * out what it has by name. Returns the exit code.
 */
int dumpsend(struct cli *c, const struct pm2_dump *dump, struct resurrected *r);

#endif
