/*
 * One look at all of /proc: what each run's tree uses. Blocking, for one thread at a time. The tables are
 * kept from pass to pass: by the last one it is known to which run a process belongs that has lost its
 * parent, and how much CPU time each had.
 */
#ifndef PM_DAEMON_METRICS_PASS_H
#define PM_DAEMON_METRICS_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/metrics.h"
#include "daemon/tree.h"

/* A run's child; in order of the pids after the pass. */
struct metrics_root {
    uint64_t run;
    pid_t pid;
    uint64_t start_ticks;
    uint64_t started_ms; /* wall clock */
    bool want_pss;
    /* for the history: of its app, and its place in it; not of one beside the slot */
    uint64_t app;
    uint32_t instance;
    bool in_slot;
    struct metrics_sample sample; /* in: the last one; time_ms 0 = none. Out: this one */
};

struct metrics_pass;

/* Of `proc_root`, "/proc" but in tests. */
struct metrics_pass *metrics_pass_new(const char *proc_root);
void metrics_pass_free(struct metrics_pass *m); /* accepts NULL */

/* `foreign`: some of the runs had another keeper, so that their orphans may be under anybody. The roots are
 * sorted. 0 or negative errno: then nothing was changed. */
int metrics_pass_run(struct metrics_pass *m, const struct tree_ctx *ctx, bool foreign,
                     struct metrics_root *roots, size_t n, uint64_t wall_ms, uint64_t mono_ms);

/* PSS of the run's tree as the last pass saw it, in bytes; 0 = unknown. Reads at most 256 processes. */
uint64_t metrics_pass_pss(const struct metrics_pass *m, uint64_t run);

#endif
