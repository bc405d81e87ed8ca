/* start: new apps, or known ones with a new configuration. */
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "config/env.h"
#include "daemon/methods.h"
#include "daemon/outcome.h"

/* A process to start once its rows are on disk: so that no child ever runs that state.db does not know. */
struct to_start {
    uint32_t id;
    bool restart;
};

struct start_request {
    struct engine *engine;
    struct outcome *outcome;
    char *by;
    bool wait;
    struct to_start *v;
    size_t n;
};

static void push(struct start_request *s, const struct process *p, bool restart)
{
    s->v = xrealloc(s->v, (s->n + 1) * sizeof(*s->v));
    s->v[s->n++] = (struct to_start){p->id, restart};
}

static void report_now(struct start_request *s, const struct process *p, bool ok, const char *error)
{
    struct waiter_result r = {.ok = ok,
                              .id = p->id,
                              .instance = p->instance,
                              .pid = p->exited ? 0 : p->pid,
                              .status = lc_state_word(p->state)};

    snprintf(r.name, sizeof(r.name), "%s", p->app->spec->name);
    snprintf(r.error, sizeof(r.error), "%s", error);
    outcome_add(s->outcome, &r);
}

static struct app *find_app(struct engine *e, const struct app_spec *s)
{
    struct app *a;

    TAILQ_FOREACH (a, supervisor_apps(e->sup), entry) {
        if (strcmp(a->spec->name, s->name) == 0 && strcmp(a->spec->script, s->script) == 0 &&
            strcmp(a->spec->ns, s->ns) == 0 && !TAILQ_EMPTY(&a->processes))
            return a;
    }
    return NULL;
}

static bool is_up(const struct process *p)
{
    return p->desired == DESIRED_UP && p->state != LC_ERRORED && p->state != LC_STOPPED;
}

static bool all_up(const struct app *a)
{
    const struct process *p;

    TAILQ_FOREACH (p, &a->processes, app_entry) {
        if (!is_up(p))
            return false;
    }
    return true;
}

static void start_known(struct start_request *s, struct app *a, struct app_spec *take_spec, bool restart)
{
    struct process *p;
    unsigned n = 0;

    if (!restart && all_up(a)) {
        app_spec_free(take_spec);
        TAILQ_FOREACH (p, &a->processes, app_entry) {
            report_now(s, p, false,
                       "is running already; use pm restart, or --force for a second one of that name");
        }
        return;
    }
    TAILQ_FOREACH (p, &a->processes, app_entry) {
        push(s, p, restart && is_up(p));
        n++;
    }
    app_spec_free(a->spec);
    a->spec = take_spec;
    a->spec->instances = n; /* how many there are is changed by scaling, not by starting again */
    engine_save_app(s->engine, a);
}

static bool app_id_is_taken(struct engine *e, uint64_t id)
{
    const struct app *a;

    TAILQ_FOREACH (a, supervisor_apps(e->sup), entry) {
        if (a->id == id)
            return true;
    }
    return false;
}

static void start_new(struct start_request *s, struct app_spec *take_spec)
{
    struct engine *e = s->engine;
    uint64_t id = store_next_app(e->store);
    struct app *a;

    while (app_id_is_taken(e, id)) /* of what was taken in after state.db was lost */
        id = store_next_app(e->store);
    a = supervisor_add_app(e->sup, id, take_spec);
    engine_save_app(e, a);
    for (int64_t i = 0; i < a->spec->instances; i++) {
        struct process *p = engine_add_process(e, a, (uint32_t)i, -1);

        p->created_ms = clock_wall_ms();
        engine_save_process(e, p);
        if (a->spec->autostart)
            push(s, p, false);
        else
            report_now(s, p, true, "");
    }
}

static void on_stored(void *arg, int rc, const char *msg)
{
    struct start_request *s = arg;

    (void)rc; /* the answer waits for a commit of its own and tells of the failure then */
    (void)msg;
    for (size_t i = 0; i < s->n; i++) {
        struct process *p = supervisor_by_id(s->engine->sup, s->v[i].id);

        if (!p)
            continue;              /* deleted by another client meanwhile */
        if (s->engine->shutdown) { /* what is asked to stop already would come up again, unnoticed */
            report_now(s, p, false, "the daemon is being stopped");
            continue;
        }
        if (s->wait)
            outcome_expect(s->outcome);
        (s->v[i].restart ? supervisor_restart : supervisor_start)(
            s->engine->sup, p, s->by, s->wait ? outcome_report : NULL, s->outcome);
        if (!s->wait)
            report_now(s, p, true, "");
    }
    outcome_close(s->outcome);
    free(s->by);
    free(s->v);
    free(s);
}

/* The app's own variables over the base of the connection; null removes one. */
static int complete_env(struct rpc_request *r, json_t *app, struct err *err)
{
    const json_t *base = r->conn ? conn_env(r->conn) : NULL, *own = json_object_get(app, "env");
    char **env = strv_dup(NULL);
    int rc = 0;

    if (base)
        rc = env_merge_json(&env, base, err);
    if (rc == 0 && own)
        rc = env_merge_json(&env, own, err);
    if (rc == 0)
        json_object_set_new(app, "env", env_to_json(env));
    strv_free(env);
    return rc;
}

/* All or nothing: NULL and an answered request when one is not valid. */
static struct app_spec **read_specs(struct rpc_request *r, const json_t *apps)
{
    struct app_spec **specs = xcalloc(json_array_size(apps) + 1, sizeof(*specs));
    struct err err;
    size_t i;
    json_t *app;

    json_array_foreach (apps, i, app) {
        if (complete_env(r, app, &err) == 0)
            specs[i] = app_spec_from_json(app, &err);
        if (specs[i])
            continue;
        rpc_fail(r, RPC_BAD_PARAMS, "start: app %zu: %s", i + 1, err.msg);
        while (i > 0)
            app_spec_free(specs[--i]);
        free(specs);
        return NULL;
    }
    return specs;
}

void method_start(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    bool force = json_is_true(json_object_get(r->params, "force"));
    bool restart = json_is_true(json_object_get(r->params, "restart"));
    json_t *wait = json_object_get(r->params, "wait"), *apps = json_object_get(r->params, "apps");
    struct app_spec **specs = read_specs(r, apps);
    struct start_request *s;

    if (!specs)
        return;
    s = xcalloc(1, sizeof(*s));
    s->engine = e;
    s->by = xstrdup(r->conn ? conn_by(r->conn) : "a client");
    s->wait = !wait || json_is_true(wait);
    s->outcome = outcome_new(e, r);
    for (size_t i = 0; i < json_array_size(apps); i++) {
        struct app *known = force ? NULL : find_app(e, specs[i]);

        if (known)
            start_known(s, known, specs[i], restart);
        else
            start_new(s, specs[i]);
    }
    free(specs);
    store_commit(e->store, on_stored, s);
}
