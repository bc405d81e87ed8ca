/* start: new apps, or known ones with a new configuration. */
#include <string.h>

#include "common/cpus.h"
#include "common/err.h"
#include "common/mem.h"
#include "config/env.h"
#include "config/times.h"
#include "daemon/bringup.h"
#include "daemon/engine_order.h"
#include "daemon/methods.h"

static bool is_taken(const struct app *a, struct app *const *taken, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (taken[i] == a)
            return true;
    return false;
}

/*
 * The app that is meant, NULL when it is new. A file may hold two apps of one name and script: the second one
 * is not what the first has just been, so those that this request has `taken` already do not count.
 */
static struct app *find_app(struct engine *e, const struct app_spec *s, struct app *const *taken, size_t n)
{
    struct app *a;

    TAILQ_FOREACH (a, supervisor_apps(e->sup), entry) {
        if (strcmp(a->spec->name, s->name) == 0 && strcmp(a->spec->script, s->script) == 0 &&
            strcmp(a->spec->ns, s->ns) == 0 && !TAILQ_EMPTY(&a->processes) && !is_taken(a, taken, n))
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

/* One start of an app that a request asks for. */
struct wanted {
    struct app_spec *spec;
    bool says_instances;
    json_t *env; /* as it came: what the app has beside the base of the connection, null for what is to go */
};

/*
 * As PM2: what a file no longer names stays, so that a worker that got a variable from another shell keeps
 * it; only null takes one away. The variables were looked at when the request was read.
 */
static void merge_env(struct rpc_request *r, const struct app *a, const struct wanted *w)
{
    const json_t *base = r->conn ? conn_env(r->conn) : NULL;
    char **env = strv_dup(a->spec->env);

    if (base)
        env_merge_json(&env, base, NULL);
    if (w->env)
        env_merge_json(&env, w->env, NULL);
    strv_free(w->spec->env);
    w->spec->env = env;
}

enum when_known { LEAVE_RUNNING, RESTART, RELOAD, FORCE_RELOAD };

static size_t count_processes(const struct app *a)
{
    const struct process *p;
    size_t n = 0;

    TAILQ_FOREACH (p, &a->processes, app_entry) {
        n += !p->delete_when_down;
    }
    return n;
}

/* Those that are to go, from the lowest id, as scaling does it, are not brought up once more before that. */
static void bring_up(struct bringup *b, struct app *a, const struct app_spec *with, enum when_known how,
                     size_t skip)
{
    struct process *p;

    TAILQ_FOREACH (p, supervisor_processes(bringup_engine(b)->sup), entry) {
        if (p->app != a)
            continue;
        if (skip > 0) {
            skip--;
            continue;
        }
        if (how == RELOAD || how == FORCE_RELOAD)
            bringup_reload(b, p, with, how == FORCE_RELOAD);
        else
            bringup_order(b, p, how == RESTART && is_up(p) ? WORK_RESTART : WORK_START);
    }
}

/* It is a job from now on: a run that goes on is one of it, unless it was none before. */
static void start_known_job(struct engine *e, struct bringup *b, struct app *a, struct app_spec *take_spec)
{
    bool was_job = app_is_job(a->spec);
    struct process *p;

    engine_set_spec(e, a, take_spec);
    TAILQ_FOREACH (p, &a->processes, app_entry) {
        if (!was_job && is_up(p))
            bringup_order(b, p, WORK_STOP);
        else
            bringup_wait_job(b, p);
    }
}

static void start_known(struct engine *e, struct bringup *b, struct app *a, struct app_spec *take_spec,
                        enum when_known how, bool says_instances)
{
    size_t want = (size_t)take_spec->instances, now = count_processes(a);
    bool scale = says_instances && how != LEAVE_RUNNING && want != now;
    struct process *p;

    if (how == LEAVE_RUNNING && all_up(a) && !app_is_job(a->spec)) {
        app_spec_free(take_spec);
        TAILQ_FOREACH (p, &a->processes, app_entry) {
            outcome_process(bringup_outcome(b), p,
                            "is running already; use pm restart, or --force for a second one of that name");
        }
        return;
    }
    if (scale)
        bringup_scale(b, a, want);
    take_spec->instances = (int64_t)now; /* until the rest is done */
    if (app_is_job(take_spec)) {
        start_known_job(e, b, a, take_spec);
        return;
    }
    if (how >= RELOAD && !bringup_note_restart(b, a, take_spec)) {
        bring_up(b, a, bringup_keep(b, take_spec), how, scale && now > want ? now - want : 0);
        return;
    }
    bring_up(b, a, NULL, how >= RELOAD ? RESTART : how, scale && now > want ? now - want : 0);
    engine_set_spec(e, a, take_spec);
}

static void start_new(struct engine *e, struct bringup *b, struct app_spec *take_spec)
{
    struct app *a = bringup_app(e, take_spec);
    uint32_t *numbers = bringup_instances(e, a->spec->name, (size_t)a->spec->instances);

    for (int64_t i = 0; i < a->spec->instances; i++) {
        struct process *p = bringup_process(e, a, numbers[i]);

        if (a->spec->autostart)
            bringup_add(b, p, false);
        else
            outcome_process(bringup_outcome(b), p, NULL);
    }
    free(numbers);
}

/* All or nothing: NULL and an answered request when one is not valid. */
static struct wanted *read_specs(struct rpc_request *r, const json_t *apps)
{
    struct wanted *wanted = xcalloc(json_array_size(apps) + 1, sizeof(*wanted));
    struct err err;
    size_t i;
    json_t *app;

    json_array_foreach (apps, i, app) {
        wanted[i].says_instances = json_object_get(app, "instances") != NULL;
        wanted[i].env = json_incref(json_object_get(app, "env"));
        if (method_complete_env(r, app, &err) == 0)
            wanted[i].spec = app_spec_from_json(app, &err);
        if (wanted[i].spec) {
            wanted[i].spec->instances = cpus_instances(wanted[i].spec->instances);
            continue;
        }
        rpc_fail(r, RPC_BAD_PARAMS, "start: app %zu: %s", i + 1, err.msg);
        for (size_t k = 0; k <= i; k++) {
            app_spec_free(wanted[k].spec);
            json_decref(wanted[k].env);
        }
        free(wanted);
        return NULL;
    }
    return wanted;
}

static void wanted_free(struct wanted *wanted, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        app_spec_free(wanted[i].spec);
        json_decref(wanted[i].env);
    }
    free(wanted);
}

/* Do the apps name others in depends_on that are there, and no circle? Else the request is answered. */
static bool check_order(struct engine *e, struct rpc_request *r, const struct wanted *wanted,
                        struct app *const *taken, size_t n)
{
    struct app_spec **specs = xcalloc(n + 1, sizeof(*specs));
    struct err err;
    int rc;

    for (size_t i = 0; i < n; i++)
        specs[i] = wanted[i].spec;
    rc = engine_order_check(e, specs, taken, n, &err);
    free(specs);
    if (rc < 0)
        rpc_fail(r, RPC_BAD_PARAMS, "start: %s", err.msg);
    return rc == 0;
}

static void start_all(struct engine *e, struct rpc_request *r, struct wanted *wanted,
                      struct app *const *taken, size_t n, enum when_known how)
{
    json_t *wait = json_object_get(r->params, "wait");
    struct bringup *b = bringup_new(e, r, !wait || json_is_true(wait));

    for (size_t i = 0; i < n; i++) {
        struct app_spec *spec;

        if (taken[i] && how != LEAVE_RUNNING)
            merge_env(r, taken[i], &wanted[i]);
        spec = wanted[i].spec;
        wanted[i].spec = NULL;
        if (taken[i])
            start_known(e, b, taken[i], spec, how, wanted[i].says_instances);
        else
            start_new(e, b, spec);
        bringup_some(b); /* the keeper starts these while the next app is made ready */
    }
    bringup_go(b);
}

void method_start(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    bool force = json_is_true(json_object_get(r->params, "force"));
    bool reload = json_is_true(json_object_get(r->params, "reload"));
    enum when_known how = reload && force                                       ? FORCE_RELOAD
                          : reload                                              ? RELOAD
                          : json_is_true(json_object_get(r->params, "restart")) ? RESTART
                                                                                : LEAVE_RUNNING;
    json_t *apps = json_object_get(r->params, "apps");
    struct wanted *wanted = read_specs(r, apps);
    size_t n = json_array_size(apps);
    struct app **taken;

    if (!wanted)
        return;
    taken = xcalloc(n + 1, sizeof(*taken));
    for (size_t i = 0; i < n; i++)
        taken[i] = force && !reload ? NULL : find_app(e, wanted[i].spec, taken, i);
    if (check_order(e, r, wanted, taken, n))
        start_all(e, r, wanted, taken, n, how);
    free(taken);
    wanted_free(wanted, n);
}
