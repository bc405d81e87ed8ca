/* save, resurrect, cleardump. */
#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "daemon/bringup.h"
#include "daemon/methods.h"
#include "daemon/saved.h"

struct saved_request {
    struct rpc_request *request;
    json_t *result;
};

static void on_stored(void *arg, int rc, const char *msg)
{
    struct saved_request *s = arg;

    if (rc < 0)
        rpc_fail(s->request, RPC_NOT_SAVED, "not saved: %s; it is tried again", msg);
    else
        rpc_reply(s->request, json_incref(s->result));
    json_decref(s->result);
    free(s);
}

static void answer_when_stored(struct engine *e, struct rpc_request *r, json_t *result)
{
    struct saved_request *s = xcalloc(1, sizeof(*s));

    *s = (struct saved_request){r, result};
    store_commit(e->store, on_stored, s);
}

void method_save(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    bool force = json_is_true(json_object_get(r->params, "force"));

    if (TAILQ_EMPTY(supervisor_processes(e->sup)) && !force) {
        rpc_fail(r, RPC_FAILED, "the list is empty; --force saves it all the same");
        return;
    }
    answer_when_stored(e, r, json_pack("{s:i}", "processes", (int)saved_store(e)));
}

void method_cleardump(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;

    saved_clear(e);
    answer_when_stored(e, r, json_object());
}

static bool exists(struct engine *e, const struct app_spec *s)
{
    const struct process *p;

    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        if (strcmp(p->app->spec->name, s->name) == 0 && strcmp(p->app->spec->ns, s->ns) == 0)
            return true;
    }
    return false;
}

static void bring_back(struct engine *e, struct bringup *b, struct saved_app *saved)
{
    struct app *a = bringup_app(e, saved->spec);

    saved->spec = NULL;
    for (size_t i = 0; i < saved->n; i++) {
        struct process *p = bringup_process(e, a, saved->processes[i].instance);

        if (saved->processes[i].up)
            bringup_add(b, p, false);
        else
            outcome_process(bringup_outcome(b), p, NULL);
    }
}

/* The apps of the request, or the saved list. False: the request was answered with the failure. */
static bool list_to_bring(struct engine *e, struct rpc_request *r, struct saved_list *out, char *note,
                          size_t cap)
{
    const json_t *apps = json_object_get(r->params, "apps");
    struct err err;
    json_t *app;
    size_t i;
    int rc;

    if (!apps) {
        rc = saved_read(e, out, note, cap, &err);
        if (rc < 0)
            rpc_fail(r, rc == -ENOENT ? RPC_NO_MATCH : RPC_FAILED, "%s", err.msg);
        return rc == 0;
    }
    note[0] = '\0';
    json_array_foreach (apps, i, app) {
        json_t *spec = json_object_get(app, "spec");

        if (!json_is_object(spec)) {
            rpc_fail(r, RPC_BAD_PARAMS, "resurrect: app %zu: \"spec\" must be an object", i + 1);
            return false;
        }
        if (method_complete_env(r, spec, &err) < 0) {
            rpc_fail(r, RPC_BAD_PARAMS, "resurrect: app %zu: %s", i + 1, err.msg);
            return false;
        }
    }
    rc = saved_list_from_json(apps, out, &err);
    if (rc < 0)
        rpc_fail(r, RPC_BAD_PARAMS, "resurrect: %s", err.msg);
    return rc == 0;
}

void method_resurrect(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    json_t *skipped = json_array();
    struct saved_list l;
    struct bringup *b;
    char note[512];

    if (!list_to_bring(e, r, &l, note, sizeof(note))) {
        json_decref(skipped);
        return;
    }
    b = bringup_new(e, r, true);
    /* All are looked at before the first comes in: the saved list may hold one name twice. */
    for (size_t i = 0; i < l.n; i++) {
        if (!exists(e, l.apps[i].spec))
            continue;
        json_array_append_new(skipped, json_string(l.apps[i].spec->name));
        app_spec_free(l.apps[i].spec);
        l.apps[i].spec = NULL;
    }
    for (size_t i = 0; i < l.n; i++)
        if (l.apps[i].spec)
            bring_back(e, b, &l.apps[i]);
    saved_list_free(&l);
    outcome_set(bringup_outcome(b), "skipped", skipped);
    if (note[0])
        outcome_set(bringup_outcome(b), "note", json_string(note));
    bringup_go(b);
}
