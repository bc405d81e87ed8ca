/*
 * What a request does to processes: which ones, how many at a time (its parameter "parallel", else as work.h
 * says), and its answer. Processes that are to come up wait until their rows are on disk, so that no child
 * ever runs that state.db does not know.
 */
#ifndef PM_DAEMON_BRINGUP_H
#define PM_DAEMON_BRINGUP_H

#include "daemon/outcome.h"
#include "daemon/work.h"

struct bringup;

/* Takes the request. `wait`: it is answered when each process is settled; else when they are on their way. */
struct bringup *bringup_new(struct engine *e, struct rpc_request *r, bool wait);
struct outcome *bringup_outcome(struct bringup *b); /* for what does not have to come up */
void bringup_add(struct bringup *b, struct process *p, bool restart);
void bringup_order(struct bringup *b, struct process *p, enum work_kind kind);
/* Waits for the commit of what was queued, carries all out, and answers. */
void bringup_go(struct bringup *b);
void bringup_go_now(struct bringup *b); /* without that wait: where nothing was made or changed */

/* A new app without processes, and one more process for an app; both are queued for state.db. The mark that
 * pm kill left is taken off: from now on there is a list again. */
struct app *bringup_app(struct engine *e, struct app_spec *take_spec);
struct process *bringup_process(struct engine *e, struct app *a, uint32_t instance);

#endif
