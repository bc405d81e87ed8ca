/*
 * Work on files that can wait. A start of many apps has something of that kind for each, and every visit to
 * the thread pool takes time from the starts themselves: so what comes within LATER_MS is done together, in
 * one visit, in the order in which it came.
 */
#ifndef PM_DAEMON_LATER_H
#define PM_DAEMON_LATER_H

#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>

#define LATER_MS 50

/* The first member of whatever the work is about. */
struct later_job {
    void (*work)(struct later_job *j); /* on the thread pool */
    void (*done)(struct later_job *j); /* on the loop; the job is the callee's again */
    STAILQ_ENTRY(later_job) entry;
};

struct later_batch;

/* One for each kind of work, zeroed, so that one that hangs in a dead file system holds up only its own. Used
 * from the loop only. It keeps the loop alive as long as there is work. */
struct later {
    struct later_batch *collecting, *working;
};

/* `hurry`: it and what came before it is done as soon as a thread is free. */
void later_put(struct later *l, uv_loop_t *loop, struct later_job *j, bool hurry);

#endif
