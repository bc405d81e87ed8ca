/* Questions about metrics that take time: they run on the thread pool, between the passes. */
#ifndef PM_DAEMON_METRICS_ASK_H
#define PM_DAEMON_METRICS_ASK_H

#include "daemon/metrics.h"
#include "daemon/metrics_store.h"

/* `work` on a thread, which may use the two below; then `done` on the loop, also when the engine ends
 * meanwhile; `failed` when there was no thread to be had. */
void metrics_ask(struct metrics *m, void (*work)(struct metrics *m, void *arg),
                 void (*done)(void *arg, bool failed), void *arg);

/* As metrics_store_read. */
long metrics_history(struct metrics *m, struct metrics_key key, unsigned step, uint64_t from, uint64_t to,
                     struct metrics_point **out, struct err *e);
/* PSS of a run's tree now, in bytes; 0 = not known. */
uint64_t metrics_pss_now(struct metrics *m, uint64_t run);

#endif
