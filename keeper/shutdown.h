/* The end of the daemon. The engine stops the apps; the keeper only sees to it that there is an end. */
#ifndef PM_KEEPER_SHUTDOWN_H
#define PM_KEEPER_SHUTDOWN_H

#include "keeper/state.h"

void shutdown_by_signal(struct keeper *k,
                        int sig);                /* SIGTERM, SIGINT: each engine is told until one is done */
void shutdown_by_engine(struct keeper *k);       /* KW_STOPPING */
void shutdown_bye(struct keeper *k, int status); /* KW_BYE */
void shutdown_now(struct keeper *k, int status); /* nothing runs: remove the files and end */

/* An engine ended without KW_BYE, or could not be started. Too often while the end is wanted, and the keeper
 * stops its children itself. */
void shutdown_engine_failed(struct keeper *k);

void shutdown_tick(struct keeper *k, uint64_t now_ms, uint64_t *next);

#endif
