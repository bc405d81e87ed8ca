/* start, stop, restart and delete of processes that are known. */
#include "daemon/methods.h"
#include "daemon/outcome.h"
#include "daemon/selector.h"

typedef void (*process_command)(struct supervisor *s, struct process *p, const char *by, waiter_cb cb,
                                void *arg);

static void stop_command(struct supervisor *s, struct process *p, const char *by, waiter_cb cb, void *arg)
{
    supervisor_stop(s, p, LC_R_STOPPED, by, cb, arg);
}

static void control(struct engine *e, struct rpc_request *r, process_command command)
{
    const char *by = r->conn ? conn_by(r->conn) : "a client";
    struct selection sel;
    struct outcome *o;

    if (!method_select(e, r, &sel))
        return;
    o = outcome_new(e, r);
    for (size_t i = 0; i < sel.n; i++) {
        outcome_expect(o);
        command(e->sup, sel.v[i], by, outcome_report, o);
    }
    selection_free(&sel);
    outcome_close(o);
}

void method_process_start(void *engine, struct rpc_request *r)
{
    control(engine, r, supervisor_start);
}

void method_process_stop(void *engine, struct rpc_request *r)
{
    control(engine, r, stop_command);
}

void method_process_restart(void *engine, struct rpc_request *r)
{
    control(engine, r, supervisor_restart);
}

void method_process_delete(void *engine, struct rpc_request *r)
{
    control(engine, r, supervisor_delete);
}
