/* Private to hooks_*.c: one hook of one event. */
#ifndef PM_DAEMON_HOOKS_INT_H
#define PM_DAEMON_HOOKS_INT_H

#include <sys/queue.h>
#include <uv.h>

#include "daemon/hooks.h"
#include "daemon/users.h"

struct err;
struct hooks;

/* Of a hook that runs. */
struct hook_child {
    uv_process_t process;
    uv_pipe_t output;
    uv_timer_t limit;
    unsigned open; /* handles */
    bool timed_out;
    struct hook_tail tail;
    char buffer[4096];
};

struct hook_job {
    TAILQ_ENTRY(hook_job) entry;
    struct hooks *hooks; /* NULL: nobody waits for it any more */
    uint32_t process;    /* whose event it is */
    char *name;          /* of the app */
    const char *word;    /* of the event */
    char *target, *cwd;
    char *home;      /* of the daemon */
    char *json;      /* the event */
    char *uid, *gid; /* whom it runs as; both NULL: as the daemon */
    int64_t limit_ms;
    struct hook_child *child; /* NULL until it runs, and after */
};
TAILQ_HEAD(hook_jobs, hook_job);

/*
 * Starts the child of j; `ids`: NULL = as the daemon. 0, or negative with words. When it has ended,
 * hook_child_done is called.
 */
int hook_child_start(uv_loop_t *loop, struct hook_job *j, const struct user_ids *ids, struct err *e);
void hook_child_leave(struct hook_job *j); /* it goes on without us */
void hook_job_end(struct hook_job *j);     /* frees it, once its handles are closed */

/* hooks_run.c. `failure`: words; NULL = it did what it should. */
void hook_child_done(struct hook_job *j, const char *failure);

#endif
