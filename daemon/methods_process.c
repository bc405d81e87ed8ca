/* What is done to processes without stopping them: a signal, counters, a look at the environment. */
#include <errno.h>
#include <string.h>
#include <sys/pidfd.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/env.h"
#include "config/values.h"
#include "daemon/launch.h"
#include "daemon/methods.h"
#include "daemon/outcome.h"
#include "daemon/selector.h"
#include "daemon/users.h"

/* The descriptor of the running child, or -1. With it no other process can be hit that got the same pid. */
static int running_pidfd(struct engine *e, const struct process *p)
{
    const struct hold *hold = p->run ? holds_get(&e->holds, p->run) : NULL;

    return hold && hold->pid > 0 && !hold->exited ? hold->fds[KW_FD_PIDFD] : -1;
}

static void signal_selected(struct engine *e, struct rpc_request *r, const struct selection *sel, int sig)
{
    struct outcome *o = outcome_new(e, r);
    char words[128];

    for (size_t i = 0; i < sel->n; i++) {
        int pidfd = running_pidfd(e, sel->v[i]);
        int rc = pidfd < 0 ? 0 : pidfd_send_signal(pidfd, sig, NULL, 0);

        if (rc < 0)
            snprintf(words, sizeof(words), "cannot be signalled: %s", strerror(errno));
        if (pidfd >= 0)
            outcome_process(o, sel->v[i], rc < 0 ? words : NULL);
    }
    outcome_close(o);
}

void method_process_signal(void *engine, struct rpc_request *r)
{
    const char *text = json_string_value(json_object_get(r->params, "signal"));
    struct engine *e = engine;
    struct selection sel;
    bool any = false;
    int64_t sig;

    if (!value_signal(text, &sig)) {
        rpc_fail(r, RPC_BAD_PARAMS, "there is no signal \"%.64s\"; give a name such as SIGHUP, or a number",
                 text);
        return;
    }
    if (!method_select(e, r, &sel))
        return;
    for (size_t i = 0; i < sel.n && !any; i++)
        any = running_pidfd(e, sel.v[i]) >= 0;
    if (any)
        signal_selected(e, r, &sel, (int)sig);
    else if (sel.n == 1)
        rpc_fail(r, RPC_FAILED, "%s (id %u) is %s: there is nothing to signal", sel.v[0]->app->spec->name,
                 sel.v[0]->id, lc_state_word(sel.v[0]->state));
    else
        rpc_fail(r, RPC_FAILED, "none of the %zu selected processes runs: there is nothing to signal", sel.n);
    selection_free(&sel);
}

void method_process_reset(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    struct selection sel;
    struct outcome *o;

    if (!method_select(e, r, &sel))
        return;
    o = outcome_new(e, r);
    for (size_t i = 0; i < sel.n; i++) {
        supervisor_reset(e->sup, sel.v[i]);
        outcome_process(o, sel.v[i], NULL);
    }
    selection_free(&sel);
    outcome_close(o);
}

struct env_question {
    struct engine *engine;
    struct rpc_request *request;
    uint32_t process;
};

static void reply_env(struct engine *e, struct rpc_request *r, const struct process *p,
                      const struct user_ids *ids)
{
    const struct launch_ctx lc = {.home = e->home.path, .home_id = e->home_id, .ids = ids};
    struct launch l;

    launch_init(&l, &lc, p);
    if (p->run == 0)
        env_unset(l.envp, "PM_RUN_ID");
    if (env_get(l.envp, "LISTEN_PID")) { /* the keeper has put it in */
        _cleanup_free_ char *pid = xasprintf("%d", (int)p->pid);

        env_set(&l.envp, "LISTEN_PID", pid);
    }
    rpc_reply(r, json_pack("{s:I,s:s,s:o}", "id", (json_int_t)p->id, "name", p->app->spec->name, "env",
                           env_to_json(l.envp)));
    launch_deinit(&l);
}

static void env_user_found(void *arg, const struct user_ids *ids, const struct err *e)
{
    struct env_question *q = arg;
    const struct process *p = supervisor_by_id(q->engine->sup, q->process);

    (void)e; /* a user that cannot be found makes a start fail, not this */
    if (p)
        reply_env(q->engine, q->request, p, ids);
    else
        rpc_fail(q->request, RPC_FAILED, "the process was deleted meanwhile");
    free(q);
}

void method_process_env(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    const struct process *p = method_select_one(e, r, "env shows one process");
    struct env_question *q;

    if (!p)
        return;
    if (!e->users || (!p->app->spec->uid && !p->app->spec->gid)) {
        reply_env(e, r, p, NULL);
        return;
    }
    q = xcalloc(1, sizeof(*q));
    *q = (struct env_question){e, r, p->id};
    users_find(e->users, p->app->spec->uid, p->app->spec->gid, env_user_found, q);
}
