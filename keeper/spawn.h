/* Making children and following them to their end. */
#ifndef PM_KEEPER_SPAWN_H
#define PM_KEEPER_SPAWN_H

#include "keeper/state.h"

struct rusage;

/* What a child reports through its error pipe when it cannot exec. Both ends are the same program image. */
struct exec_error {
    int32_t step, error;
};

/* Handles KW_SPAWN. 0, or -errno with *step set: then nothing runs and no record is left. */
int spawn_child(struct keeper *k, struct kw_msg *m, int *step);

/* The exec error pipe of this run has something to say. */
void spawn_exec_ready(struct keeper *k, uint64_t token);

/* A child of ours was reaped: keeps the exit record and tells the engine. */
void spawn_reaped(struct keeper *k, struct record *r, int wait_status, const struct rusage *ru);

#endif
