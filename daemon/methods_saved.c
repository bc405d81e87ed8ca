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

void method_resurrect(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    json_t *skipped = json_array();
    struct saved_list l;
    struct bringup *b;
    struct err err;
    char note[512];

    if (saved_read(e, &l, note, sizeof(note), &err) < 0) {
        rpc_fail(r, RPC_FAILED, "%s", err.msg);
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
