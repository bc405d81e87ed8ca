/* The child's side of a spawn, between fork and exec: async-signal-safe calls only. */
#ifndef PM_KEEPER_CHILD_H
#define PM_KEEPER_CHILD_H

#include <sys/resource.h>

#include "common/spawn_spec.h"

struct child_setup {
    const struct spawn_spec *spec;
    int stdio[3];         /* the child's ends */
    const int *sockets;   /* as many as the spec names: become descriptors 3, 4... */
    int ipc;              /* comes after them; -1: none */
    int err;              /* error pipe: struct exec_error, or end of file at the exec */
    int birth;            /* closed by the exec and by nothing before it; -1: none */
    struct rlimit nofile; /* when the spec names none */
};

_Noreturn void child_run(struct child_setup *c);

/* Default dispositions for all signals but those that `keep_ignored` (0: none) names, and an empty mask. */
void child_reset_signals(const int *keep_ignored);

#endif
