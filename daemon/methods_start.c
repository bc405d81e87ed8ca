/* start: new apps, or known ones with a new configuration. */
#include <string.h>

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
    app_spec_free(a->spec);
    a->spec = take_spec;
    a->spec->instances = n; /* how many there are is changed by scaling, not by starting again */
    engine_save_app(e, a);
}

static struct app *start_new(struct engine *e, struct bringup *b, struct app_spec *take_spec)
{
    struct app *a = bringup_app(e, take_spec);

    for (int64_t i = 0; i < a->spec->instances; i++) {
        const struct process *p = bringup_process(e, a, (uint32_t)i);

        if (a->spec->autostart)
            bringup_add(b, p, false);
        else
            outcome_process(bringup_outcome(b), p, NULL);
    }
    return a;
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
    struct app **taken;
    struct bringup *b;

    if (!specs)
        return;
    b = bringup_new(e, r, !wait || json_is_true(wait));
    taken = xcalloc(json_array_size(apps) + 1, sizeof(*taken));
    for (size_t i = 0; i < json_array_size(apps); i++) {
        taken[i] = force ? NULL : find_app(e, specs[i], taken, i);
        if (taken[i])
            start_known(e, b, taken[i], specs[i], restart);
        else
            taken[i] = start_new(e, b, specs[i]);
    }
    free(taken);
    free(specs);
    bringup_go(b);
}
