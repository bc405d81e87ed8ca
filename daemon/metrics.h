/*
 * What processes use: each one's whole tree, and the host, sampled once a second on a thread in one pass over
 * /proc. The last sample is here; the history is in state.db.
 */
#ifndef PM_DAEMON_METRICS_H
#define PM_DAEMON_METRICS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct engine;
struct metrics;
struct process;

/* Of one process with all its children and children's children. */
struct metrics_sample {
    uint64_t time_ms;   /* wall clock of the pass; 0 = none yet */
    double cpu_percent; /* of one core, over the time since the last pass */
    uint64_t rss_bytes;
    uint64_t pss_bytes; /* of the last time it was asked for; 0 = not known */
    uint32_t processes, threads, fds;
    uint64_t read_bytes, write_bytes;        /* of disk, since the start of the run */
    uint64_t switches, switches_involuntary; /* of context, since the start of the run */
};

struct metrics_host {
    uint64_t time_ms;
    double cpu_percent; /* of all cores together: 100 = all busy */
    double load[3];
    uint64_t memory_total, memory_available, swap_total, swap_free; /* bytes */
    uint64_t disk_read, disk_written, net_received, net_sent;       /* bytes a second */
    unsigned cpus;
};

/* After each pass, from the loop. */
struct metrics_observer {
    void (*sampled)(void *arg);
    void *arg;
    TAILQ_ENTRY(metrics_observer) entry;
};

struct metrics *metrics_new(struct engine *e);
void metrics_free(struct metrics *m); /* accepts NULL; a pass that is under way ends by itself */

/* Never NULL; time_ms is 0 when nothing of the current run was seen yet. */
const struct metrics_sample *metrics_of(const struct process *p);
const struct metrics_host *metrics_host(const struct metrics *m);

void metrics_observe(struct metrics *m, struct metrics_observer *o);
void metrics_unobserve(struct metrics *m, struct metrics_observer *o);

/* Looks at PSS of this process's tree in the next passes (2 ms a process, on the thread): once. */
void metrics_want_pss(struct metrics *m, struct process *p);

/* For lists: of the last sample, or, right after the start, of one look at the child at once. */
void metrics_shown(const struct process *p, double *cpu_percent, uint64_t *bytes);

#endif
