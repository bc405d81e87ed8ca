/* The engine as the keeper sees it: one process at a time, started, listened to, killed when it hangs, and
 * followed by the next only when it is surely gone. */
#ifndef PM_KEEPER_ENGINE_H
#define PM_KEEPER_ENGINE_H

#include "keeper/state.h"

void engine_init(struct engine *e, char *const *argv);

/* KW_HELLO came. For an engine that is not our child this is where it is checked and watched from. */
void engine_hello(struct keeper *k, pid_t pid);

void engine_serves(struct keeper *k); /* KW_READY came */

void engine_reaped(struct keeper *k, int wait_status); /* our child, waited for */
void engine_vanished(struct keeper *k);                /* the pidfd of one that is not our child says so */

/* Does what is due (start, kill); lowers *next to when it wants to be called again. */
void engine_tick(struct keeper *k, uint64_t now_ms, uint64_t *next);

/* This process itself did not run for a while (stopped, frozen): silence is not the engine's fault then. */
void engine_forgive(struct keeper *k, uint64_t now_ms);

#endif
