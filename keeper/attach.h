/* Becoming the keeper of an engine that lives already. */
#ifndef PM_KEEPER_ATTACH_H
#define PM_KEEPER_ATTACH_H

#include "keeper/state.h"

enum attach_answer {
    ATTACH_TAKEN,  /* the engine accepted; *fd is the link */
    ATTACH_RUNS,   /* a whole daemon runs */
    ATTACH_SILENT, /* nobody listens: a daemon comes up or goes down just now */
};

/* Asks on the attach socket. Blocks for `wait_ms` at most. */
enum attach_answer attach_ask(struct keeper *k, int wait_ms, int *fd);

/* Takes the link and finds out, from the kernel, which process is at its other end. 0 or negative errno. */
int attach_engine(struct keeper *k, int fd);

#endif
