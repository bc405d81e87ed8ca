/* Detaching, and telling whoever called `pmd` how it went. */
#ifndef PM_KEEPER_READY_H
#define PM_KEEPER_READY_H

#include "keeper/state.h"

#define READY_NOBODY (-1) /* nobody waits, but the daemon is not up yet (foreground) */
#define READY_DONE   (-2) /* told */

/*
 * Forks. In the child, which leads a session of its own, -1. In the caller's process the call returns when
 * the child has told how it went: the exit status, after the reason was printed on stderr.
 */
int ready_detach(struct keeper *k);

void ready_ok(struct keeper *k); /* up; only the first call counts */

/* Not up, with an exit status and one line for the user; goes to stderr when nobody waits. */
void ready_fail(struct keeper *k, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
