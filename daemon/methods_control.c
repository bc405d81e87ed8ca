/* start, stop, restart and delete of processes that are known. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/env.h"
#include "config/times.h"
#include "daemon/bringup.h"
#include "daemon/engine_order.h"
#include "daemon/methods.h"
#include "daemon/selector.h"

/* Commands that have no "wait" always do. */
static bool waits(const struct rpc_request *r)
{
    return !json_is_false(json_object_get(r->params, "wait"));
}

/* By its name or its id, and not as one of many? */
static bool is_named(const struct rpc_request *r, const struct process *p)
{
    const json_t *words = json_object_get(r->params, "selectors");
    char id[16];
    size_t i;
    json_t *word;

    snprintf(id, sizeof(id), "%u", p->id);
    json_array_foreach (words, i, word) {
        const char *text = json_string_value(word);

        if (text && (strcmp(text, p->app->spec->name) == 0 || strcmp(text, id) == 0))
            return true;
    }
    return false;
}

/* Jobs run at their times; a restart runs the one that it names, and `restart all` leaves them alone. */
static bool is_left(struct bringup *b, const struct rpc_request *r, struct process *p, enum work_kind kind)
{
    if (!app_is_job(p->app->spec) || kind == WORK_STOP || kind == WORK_DELETE)
        return false;
    if (kind == WORK_START)
        bringup_wait_job(b, p);
    else if (is_named(r, p))
        return false;
    else
        bringup_note_job(b, p->app);
    return true;
}

static bool is_selected(const void *arg, const struct app *a)
{
    const struct selection *sel = arg;

    for (size_t i = 0; i < sel->n; i++)
        if (sel->v[i]->app == a)
            return true;
    return false;
}

/* Nothing is taken down with what it depends on; that is said. */
static void note_dependents(struct engine *e, struct bringup *b, const struct selection *sel)
{
    for (size_t i = 0; i < sel->n; i++) {
        const struct app *a = sel->v[i]->app;
        const char *name =
            i && sel->v[i - 1]->app == a ? NULL : engine_order_dependent(e, a, is_selected, sel);
        char note[256];

        if (!name)
            continue;
        snprintf(note, sizeof(note), "%.80s depends on %.80s and is still up", name, a->spec->name);
        outcome_note(bringup_outcome(b), note);
    }
}

static void control(struct engine *e, struct rpc_request *r, enum work_kind kind)
{
    struct selection sel;
    struct bringup *b;

    if (!method_select(e, r, &sel))
        return;
    b = bringup_new(e, r, waits(r));
    for (size_t i = 0; i < sel.n; i++) {
        if (is_left(b, r, sel.v[i], kind))
            continue;
        bringup_order(b, sel.v[i], kind);
        if (kind == WORK_STOP)
            bringup_note_armed(b, sel.v[i]->app);
    }
    if (kind == WORK_STOP || kind == WORK_DELETE)
        note_dependents(e, b, &sel);
    selection_free(&sel);
    bringup_go(b);
}

void method_process_start(void *engine, struct rpc_request *r)
{
    control(engine, r, WORK_START);
}

void method_process_stop(void *engine, struct rpc_request *r)
{
    control(engine, r, WORK_STOP);
}

void method_process_delete(void *engine, struct rpc_request *r)
{
    control(engine, r, WORK_DELETE);
}

/* An app of the selected processes with the configuration that it is to get. */
struct change {
    struct app *app;
    struct app_spec *spec;
};

static void changes_free(struct change *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        app_spec_free(v[i].spec);
    free(v);
}

/* The configuration of `a` with "set" and "env" over it. NULL and a message. */
static struct app_spec *changed_spec(const struct app *a, const json_t *set, const json_t *env,
                                     struct err *err)
{
    struct app_spec *spec = set ? app_spec_with_json(a->spec, set, err) : app_spec_dup(a->spec);

    if (spec && env && env_merge_json(&spec->env, env, err) < 0) {
        app_spec_free(spec);
        return NULL;
    }
    return spec;
}

/* Keys that a restart cannot change. */
static int check_set(const json_t *set, size_t apps, struct err *err)
{
    if (json_object_get(set, "env"))
        return err_set(err, RPC_BAD_PARAMS, "\"set\" does not change the environment; \"env\" does");
    if (json_object_get(set, "instances"))
        return err_set(err, RPC_BAD_PARAMS, "\"instances\" is changed by scale");
    if (json_object_get(set, "name") && apps > 1)
        return err_set(err, RPC_BAD_PARAMS, "one name for %zu apps; rename them one at a time", apps);
    return 0;
}

static int by_address(const void *a, const void *b)
{
    const struct change *x = a, *y = b;

    return x->app < y->app ? -1 : x->app > y->app;
}

/* The apps of the selected processes, each once; the caller frees. */
static struct change *selected_apps(const struct selection *sel, size_t *n)
{
    struct change *v = xcalloc(sel->n + 1, sizeof(*v));
    size_t k = 0;

    for (size_t i = 0; i < sel->n; i++)
        v[i].app = sel->v[i]->app;
    qsort(v, sel->n, sizeof(*v), by_address);
    for (size_t i = 0; i < sel->n; i++)
        if (k == 0 || v[k - 1].app != v[i].app)
            v[k++] = v[i];
    *n = k;
    return v;
}

static int check_order(struct engine *e, const struct change *v, size_t n, struct err *err)
{
    struct app_spec **specs = xcalloc(n + 1, sizeof(*specs));
    struct app **instead = xcalloc(n + 1, sizeof(*instead));
    int rc;

    for (size_t i = 0; i < n; i++) {
        specs[i] = v[i].spec;
        instead[i] = v[i].app;
    }
    rc = engine_order_check(e, specs, instead, n, err);
    free(specs);
    free(instead);
    return rc;
}

/* All or nothing: every app's new configuration is checked before the first gets it. */
static int make_changes(struct engine *e, struct change *v, size_t n, const json_t *set, const json_t *env,
                        struct err *err)
{
    int rc = check_set(set, n, err);

    for (size_t i = 0; rc == 0 && i < n; i++) {
        v[i].spec = changed_spec(v[i].app, set, env, err);
        rc = v[i].spec ? 0 : -1;
    }
    return rc == 0 && json_object_get(set, "depends_on") ? check_order(e, v, n, err) : rc;
}

static int change_apps(struct engine *e, const struct selection *sel, const json_t *set, const json_t *env,
                       struct err *err)
{
    size_t n;
    struct change *v = selected_apps(sel, &n);
    int rc = make_changes(e, v, n, set, env, err);

    for (size_t i = 0; rc == 0 && i < n; i++) {
        engine_set_spec(e, v[i].app, v[i].spec);
        v[i].spec = NULL;
    }
    changes_free(v, n);
    return rc;
}

static void reload_all(struct bringup *b, const struct rpc_request *r, const struct selection *sel,
                       const struct change *v, size_t n, bool force)
{
    for (size_t k = 0; k < n; k++) {
        const struct app_spec *with = v[k].spec;
        bool restart = bringup_note_restart(b, v[k].app, with);

        if (restart && with)
            engine_set_spec(bringup_engine(b), v[k].app, app_spec_dup(with));
        for (size_t i = 0; i < sel->n; i++) {
            if (sel->v[i]->app != v[k].app)
                continue;
            if (is_left(b, r, sel->v[i], WORK_RELOAD))
                continue;
            if (restart)
                bringup_order(b, sel->v[i], WORK_RESTART);
            else
                bringup_reload(b, sel->v[i], with, force);
        }
    }
}

void method_process_reload(void *engine, struct rpc_request *r)
{
    const json_t *env = json_object_get(r->params, "env"), *set = json_object_get(r->params, "set");
    bool force = json_is_true(json_object_get(r->params, "force"));
    struct engine *e = engine;
    struct selection sel;
    struct bringup *b;
    struct change *v;
    struct err err;
    size_t n;

    if (!method_select(e, r, &sel))
        return;
    v = selected_apps(&sel, &n);
    if ((set || env) && make_changes(e, v, n, set, env, &err) < 0) {
        rpc_fail(r, RPC_BAD_PARAMS, "process.reload: %s", err.msg);
    } else {
        b = bringup_new(e, r, waits(r));
        for (size_t i = 0; i < n; i++)
            bringup_keep(b, v[i].spec);
        reload_all(b, r, &sel, v, n, force);
        for (size_t i = 0; i < n; i++)
            v[i].spec = NULL;
        bringup_go(b);
    }
    changes_free(v, n);
    selection_free(&sel);
}

static void restart_changed(struct engine *e, struct rpc_request *r, const json_t *set, const json_t *env)
{
    bool only_update = json_is_true(json_object_get(r->params, "only_update"));
    struct selection sel;
    struct bringup *b;
    struct err err;

    if (!method_select(e, r, &sel))
        return;
    if (change_apps(e, &sel, set, env, &err) < 0) {
        rpc_fail(r, RPC_BAD_PARAMS, "process.restart: %s", err.msg);
        selection_free(&sel);
        return;
    }
    b = bringup_new(e, r, waits(r));
    for (size_t i = 0; i < sel.n; i++) {
        if (only_update)
            outcome_process(bringup_outcome(b), sel.v[i], NULL);
        else if (!is_left(b, r, sel.v[i], WORK_RESTART))
            bringup_order(b, sel.v[i], WORK_RESTART);
    }
    selection_free(&sel);
    bringup_go(b);
}

void method_process_restart(void *engine, struct rpc_request *r)
{
    const json_t *env = json_object_get(r->params, "env"), *set = json_object_get(r->params, "set");

    if (env || set)
        restart_changed(engine, r, set, env);
    else if (json_is_true(json_object_get(r->params, "only_update")))
        rpc_fail(r, RPC_BAD_PARAMS, "process.restart: \"only_update\" needs \"env\" or \"set\"");
    else
        control(engine, r, WORK_RESTART);
}
