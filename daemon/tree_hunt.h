/*
 * A hunt: all processes of this home whose run nobody knows. It happens once, at the start of an engine whose
 * predecessor and keeper both died; a child that they had just started is in no list then, and its app would
 * run twice.
 */
#ifndef PM_DAEMON_TREE_HUNT_H
#define PM_DAEMON_TREE_HUNT_H

#include "daemon/tree.h"
#include "daemon/tree_proc.h"

/* Runs of this process up to this one are known, or left alone on purpose (treekill). */
struct hunt_known {
    uint32_t proc;
    uint64_t run;
    bool only; /* earlier ones are not: what a reload had replaced dies with the daemon that knew of it */
};

struct hunt_found {
    uint64_t run;  /* 0: it was between fork and exec */
    uint32_t proc; /* UINT32_MAX = not told */
    pid_t pid;
};

struct tree_hunt {
    struct tree_ctx ctx;
    uint64_t *held; /* runs that are known whatever their number, ascending */
    size_t n_held;
    struct hunt_known *known; /* ascending by process */
    size_t n_known;
    uint64_t last_run; /* the same for processes that are not in `known` */

    struct hunt_found *found; /* the first process of each run */
    size_t n_found, cap_found;
    int alive; /* what SIGKILL has not ended; negative errno when /proc cannot be read */
};

/* Is the hunt after this process? Remembers it if so. Blocking. */
bool tree_hunt_wants(struct tree_hunt *h, const struct proc_stat *st);

/* SIGKILL for all, as tree_kill; blocking. */
void tree_hunt_kill(struct tree_hunt *h);

void tree_hunt_deinit(struct tree_hunt *h);

#endif
