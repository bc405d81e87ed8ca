/*
 * One command on several processes, a bounded number of them at a time, in the order of their ids: so that
 * "restart all" never takes down everything at once. Knows the supervisor alone.
 */
#ifndef PM_DAEMON_WORK_H
#define PM_DAEMON_WORK_H

#include "daemon/supervisor.h"

enum work_kind {
    WORK_START,
    WORK_STOP,
    WORK_RESTART,
    WORK_DELETE,
    WORK_RELOAD, /* never all of an app at once; the first that fails leaves the rest of its app as it is */
    WORK_RETIRE  /* a delete that lets connections finish */
};

/* PM2's numbers. */
#define WORK_AT_ONCE        2
#define WORK_FEW            2 /* of so few processes one is acted on after the other */
#define WORK_DELETE_AT_ONCE 10

struct work;

struct work_client {
    void *arg;
    waiter_cb report;          /* once for each process */
    void (*done)(void *arg);   /* once, after the last report; the work is freed then; may be NULL */
    bool (*halted)(void *arg); /* true: what has not begun is reported as failed; may be NULL */
};

struct work *work_new(struct supervisor *s, const char *by, const struct work_client *client);
void work_add(struct work *w, struct process *p, enum work_kind kind);
/* `with`: the configuration that the new run has, NULL for what the app has; the caller's until the work is
 * done. `force`: see supervisor_reload. */
void work_add_reload(struct work *w, struct process *p, const struct app_spec *with, bool force);
size_t work_size(const struct work *w);

/* Begins with those added since the last time that need not wait; only where no number is given to work_go.
 */
void work_some(struct work *w);

/*
 * Begins, and frees itself in the end. `parallel`: how many are under way at a time; 0: the numbers above,
 * and then only what runs counts: processes that are down, and those that are only started, begin at once. A
 * process for which another client has asked the opposite meanwhile, or that is gone, is reported as failed
 * when its turn comes.
 */
void work_go(struct work *w, unsigned parallel);

#endif
