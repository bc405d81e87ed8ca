/* The handlers of the requests, one file a group; engine_handlers in methods.c has them by method. */
#ifndef PM_DAEMON_METHODS_H
#define PM_DAEMON_METHODS_H

#include "daemon/engine.h"

void method_env_set(void *engine, struct rpc_request *r);
void method_start(void *engine, struct rpc_request *r);
void method_process_start(void *engine, struct rpc_request *r);
void method_process_stop(void *engine, struct rpc_request *r);
void method_process_restart(void *engine, struct rpc_request *r);
void method_process_reload(void *engine, struct rpc_request *r);
void method_process_delete(void *engine, struct rpc_request *r);
void method_list(void *engine, struct rpc_request *r);
void method_describe(void *engine, struct rpc_request *r);
void method_metrics(void *engine, struct rpc_request *r);
void method_why(void *engine, struct rpc_request *r);
void method_logs(void *engine, struct rpc_request *r);
void method_events(void *engine, struct rpc_request *r);
void method_process_signal(void *engine, struct rpc_request *r);
void method_process_reset(void *engine, struct rpc_request *r);
void method_process_env(void *engine, struct rpc_request *r);
void method_process_send(void *engine, struct rpc_request *r);
void method_process_trigger(void *engine, struct rpc_request *r);
void method_scale(void *engine, struct rpc_request *r);
void method_save(void *engine, struct rpc_request *r);
void method_resurrect(void *engine, struct rpc_request *r);
void method_cleardump(void *engine, struct rpc_request *r);
void method_flush(void *engine, struct rpc_request *r);
void method_logrotate(void *engine, struct rpc_request *r);
void method_settings_get(void *engine, struct rpc_request *r);
void method_settings_set(void *engine, struct rpc_request *r);
void method_settings_unset(void *engine, struct rpc_request *r);
void method_update(void *engine, struct rpc_request *r);
void method_reload_logs(void *engine, struct rpc_request *r);
void method_kill(void *engine, struct rpc_request *r);

/* methods_update.c: the keeper's answer to KW_UPGRADE; and what makes an answer impossible. */
void update_keeper_answered(struct engine *e, const struct kw_msg *m);
void update_abort(struct engine *e, const char *why); /* nothing when no update is asked for */

struct bringup;
/* methods_scale.c: to so many processes of this app, as part of b's work */
void scale_app(struct engine *e, struct bringup *b, struct app *a, size_t want);

struct selection;
struct process;
/* Matches the request's selectors; false: the request was answered with the failure. */
bool method_select(struct engine *e, struct rpc_request *r, struct selection *out);
/* The same for the one process of "selector". NULL: answered, with `what` when it is not exactly one. */
struct process *method_select_one(struct engine *e, struct rpc_request *r, const char *what);
/*
 * Completes an app's "env": what it holds over the base of the connection; null removes a variable. 0, or
 * -EINVAL with the message.
 */
int method_complete_env(struct rpc_request *r, json_t *app, struct err *err);
/* Who asks, for the records. */
const char *method_by(const struct rpc_request *r);

#endif
