/*
 * A command on several processes: collects how each came out, adds the last stderr lines of those that
 * failed, waits for the commit, and answers the request. With the parameter "progress" the client is told of
 * each process as it comes out.
 */
#ifndef PM_DAEMON_OUTCOME_H
#define PM_DAEMON_OUTCOME_H

#include "daemon/engine.h"

struct outcome;

/* Takes the request; it is answered when outcome_close was called and every process has come out. */
struct outcome *outcome_new(struct engine *e, struct rpc_request *r);
void outcome_expect(struct outcome *o); /* one more process will report */
/* All that are expected are known: a request that asked for progress is told of it from now on. */
void outcome_begin(struct outcome *o);
void outcome_report(void *outcome, const struct waiter_result *r);  /* a waiter_cb */
void outcome_add(struct outcome *o, const struct waiter_result *r); /* one that was not expected */
void outcome_process(struct outcome *o, const struct process *p,
                     const char *error);                             /* as it is now; error NULL = ok */
void outcome_set(struct outcome *o, const char *key, json_t *value); /* beside "processes"; takes the value */
void outcome_note(struct outcome *o, const char *text); /* one of "notes": what the user should know */
void outcome_close(struct outcome *o);                  /* no more are expected */

#endif
