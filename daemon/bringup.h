/*
 * Processes that are to come up once their rows are on disk: so that no child ever runs that state.db does
 * not know. Used by every command that makes processes or changes what they run with.
 */
#ifndef PM_DAEMON_BRINGUP_H
#define PM_DAEMON_BRINGUP_H

#include "daemon/outcome.h"

struct bringup;

/* Takes the request. `wait`: it is answered when each process is settled; else when they are on their way. */
struct bringup *bringup_new(struct engine *e, struct rpc_request *r, bool wait);
struct outcome *bringup_outcome(struct bringup *b); /* for what does not have to come up */
void bringup_add(struct bringup *b, const struct process *p, bool restart);
/* Waits for the commit of what was queued, brings all up, and answers. */
void bringup_go(struct bringup *b);

/* A new app without processes, and one more process for an app; both are queued for state.db. The mark that
 * pm kill left is taken off: from now on there is a list again. */
struct app *bringup_app(struct engine *e, struct app_spec *take_spec);
struct process *bringup_process(struct engine *e, struct app *a, uint32_t instance);

/*
 * The lowest `n` instance numbers that no process of this name has, in any namespace, as in PM2. Those of
 * processes that are just being deleted are not free: they still run. The array is for free().
 */
uint32_t *bringup_instances(struct engine *e, const char *name, size_t n);

#endif
