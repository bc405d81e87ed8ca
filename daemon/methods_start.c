/* start: new apps, or known ones with a new configuration. */
#include <string.h>

#include "common/cpus.h"
#include "common/err.h"
#include "common/mem.h"
#include "config/env.h"
#include "daemon/bringup.h"
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

static void start_known(struct engine *e, struct bringup *b, struct app *a, struct app_spec *take_spec,
                        bool restart)
{
    struct process *p;
    unsigned n = 0;

    if (!restart && all_up(a)) {
        app_spec_free(take_spec);
        TAILQ_FOREACH (p, &a->processes, app_entry) {
            outcome_process(bringup_outcome(b), p,
                            "is running already; use pm restart, or --force for a second one of that name");
        }
        return;
    }
    TAILQ_FOREACH (p, &a->processes, app_entry) {
        bringup_add(b, p, restart && is_up(p));
        n++;
    }
    take_spec->instances = n; /* how many there are is changed by scaling, not by starting again */
    engine_set_spec(e, a, take_spec);
}

static struct app *start_new(struct engine *e, struct bringup *b, struct app_spec *take_spec)
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
    return a;
}

/* All or nothing: NULL and an answered request when one is not valid. */
static struct wanted *read_specs(struct rpc_request *r, const json_t *apps)
{
    struct wanted *wanted = xcalloc(json_array_size(apps) + 1, sizeof(*wanted));
    struct err err;
    size_t i;
    json_t *app;

    json_array_foreach (apps, i, app) {
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

void method_start(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    bool force = json_is_true(json_object_get(r->params, "force"));
    bool restart = json_is_true(json_object_get(r->params, "restart"));
    json_t *wait = json_object_get(r->params, "wait"), *apps = json_object_get(r->params, "apps");
    struct wanted *wanted = read_specs(r, apps);
    struct app **taken;
    struct bringup *b;

    if (!wanted)
        return;
    b = bringup_new(e, r, !wait || json_is_true(wait));
    taken = xcalloc(json_array_size(apps) + 1, sizeof(*taken));
    for (size_t i = 0; i < json_array_size(apps); i++) {
        taken[i] = force ? NULL : find_app(e, wanted[i].spec, taken, i);
        if (taken[i] && restart)
            merge_env(r, taken[i], &wanted[i]);
        if (taken[i])
            start_known(e, b, taken[i], wanted[i].spec, restart);
        else
            taken[i] = start_new(e, b, wanted[i].spec);
        json_decref(wanted[i].env);
        bringup_some(b); /* the keeper starts these while the next app is made ready */
    }
    free(taken);
    free(wanted);
    bringup_go(b);
}
