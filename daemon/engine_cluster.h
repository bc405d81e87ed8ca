/* The Node channels of runs: what connects cluster.h with the engine, its keeper and the supervisor. */
#ifndef PM_DAEMON_ENGINE_CLUSTER_H
#define PM_DAEMON_ENGINE_CLUSTER_H

#include "daemon/engine.h"

void engine_cluster_init(struct engine *e); /* e->cluster; after e->sockets */
void engine_cluster_sys(struct sys *sys);   /* its hooks */
void engine_cluster_free(struct engine *e);

void engine_cluster_connect(struct engine *e,
                            struct process *p); /* the current run's channel, when it has one */
void engine_cluster_disconnect(struct process *p);
void engine_cluster_leave(struct process *p); /* it is going to be stopped: no more connections for it */

/* The run has ended: what its channel still holds is read. May change the state of its process. */
void engine_cluster_read_out(struct engine *e, uint64_t run);

void engine_cluster_answered(struct engine *e, const struct kw_msg *m); /* KW_ANSWERED */
void engine_cluster_keeper_changed(struct engine *e);

/* Takes no more connections, and calls `done` when none is in this engine's hands, or after a while. */
void engine_cluster_quiet(struct engine *e, void (*done)(void *arg), void *arg);
void engine_cluster_go_on(struct engine *e); /* it does not end after all */

#endif
