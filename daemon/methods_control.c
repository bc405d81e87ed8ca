/* start, stop, restart and delete of processes that are known. */
#include "common/err.h"
#include "common/mem.h"
#include "config/env.h"
#include "daemon/bringup.h"
#include "daemon/methods.h"
#include "daemon/selector.h"

typedef void (*process_command)(struct supervisor *s, struct process *p, const char *by, waiter_cb cb,
                                void *arg);

static void stop_command(struct supervisor *s, struct process *p, const char *by, waiter_cb cb, void *arg)
{
    supervisor_stop(s, p, LC_R_STOPPED, by, cb, arg);
}

static void control(struct engine *e, struct rpc_request *r, process_command command)
{
    const char *by = method_by(r);
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

/* Puts `env` over the stored environment of every app that has a process among the selected. */
static int update_envs(struct engine *e, const struct selection *sel, const json_t *env, struct err *err)
{
    const struct app *done = NULL;

    for (size_t i = 0; i < sel->n; i++) {
        struct app *a = sel->v[i]->app;
        char **merged;
        int rc;

        if (a == done)
            continue; /* the processes of an app mostly follow one another; twice does no harm */
        merged = strv_dup(a->spec->env);
        rc = env_merge_json(&merged, env, err);
        if (rc < 0) {
            strv_free(merged);
            return rc;
        }
        strv_free(a->spec->env);
        a->spec->env = merged;
        engine_save_app(e, a);
        done = a;
    }
    return 0;
}

static void restart_with_env(struct engine *e, struct rpc_request *r, const json_t *env)
{
    bool only_update = json_is_true(json_object_get(r->params, "only_update"));
    struct selection sel;
    struct bringup *b;
    struct err err;

    if (!method_select(e, r, &sel))
        return;
    if (update_envs(e, &sel, env, &err) < 0) {
        rpc_fail(r, RPC_BAD_PARAMS, "process.restart: %s", err.msg);
        selection_free(&sel);
        return;
    }
    b = bringup_new(e, r, true);
    for (size_t i = 0; i < sel.n; i++) {
        if (only_update)
            outcome_process(bringup_outcome(b), sel.v[i], NULL);
        else
            bringup_add(b, sel.v[i], true);
    }
    selection_free(&sel);
    bringup_go(b);
}

void method_process_restart(void *engine, struct rpc_request *r)
{
    const json_t *env = json_object_get(r->params, "env");

    if (env)
        restart_with_env(engine, r, env);
    else if (json_is_true(json_object_get(r->params, "only_update")))
        rpc_fail(r, RPC_BAD_PARAMS, "process.restart: \"only_update\" needs \"env\"");
    else
        control(engine, r, supervisor_restart);
}

void method_process_delete(void *engine, struct rpc_request *r)
{
    control(engine, r, supervisor_delete);
}
