#include "daemon/outcome.h"

#include <string.h>

#include "common/mem.h"
#include "common/plog.h"
#include "daemon/last_lines.h"

#define OUTCOME_STDERR_LINES 10
#define OUTCOME_STDERR_RUNS  20 /* of how many failed processes the last lines are shown */

struct outcome {
    struct engine *engine;
    struct rpc_request *request;
    json_t *list;
    json_t *more;     /* what else the answer holds; NULL = nothing */
    unsigned pending; /* processes and log queries, and one until outcome_close */
    unsigned shown;
};

static int by_id_instance(const void *a, const void *b)
{
    json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    json_int_t i = json_integer_value(json_object_get(x, "id")),
               k = json_integer_value(json_object_get(y, "id"));

    return i < k ? -1 : i > k;
}

/* Processes come out in any order; people read them by id. */
static json_t *sorted(json_t *list)
{
    size_t n = json_array_size(list);
    json_t **v = xcalloc(n, sizeof(*v)), *out = json_array();

    for (size_t i = 0; i < n; i++)
        v[i] = json_array_get(list, i);
    qsort(v, n, sizeof(*v), by_id_instance);
    for (size_t i = 0; i < n; i++)
        json_array_append(out, v[i]);
    free(v);
    return out;
}

static json_t *whole(const struct outcome *o)
{
    json_t *result = json_pack("{s:o}", "processes", sorted(o->list));

    if (o->more)
        json_object_update(result, o->more);
    return result;
}

static void on_committed(void *arg, int rc, const char *msg)
{
    struct outcome *o = arg;

    if (rc < 0)
        rpc_fail(o->request, RPC_NOT_SAVED, "done, but not saved: %s; it is tried again", msg);
    else
        rpc_reply(o->request, whole(o));
    json_decref(o->list);
    json_decref(o->more);
    free(o);
}

/* Who asks for the logs after the answer finds all that came before it. */
static void on_flushed(void *arg)
{
    struct outcome *o = arg;

    store_commit(o->engine->store, on_committed, o);
}

static void one_less(void *arg)
{
    struct outcome *o = arg;

    if (--o->pending == 0)
        logs_flush(o->engine->logs, on_flushed, o);
}

struct outcome *outcome_new(struct engine *e, struct rpc_request *r)
{
    struct outcome *o = xcalloc(1, sizeof(*o));

    o->engine = e;
    o->request = r;
    o->list = json_array();
    o->pending = 1;
    return o;
}

void outcome_expect(struct outcome *o)
{
    o->pending++;
}

void outcome_add(struct outcome *o, const struct waiter_result *r)
{
    json_t *entry =
        json_pack("{s:I,s:s,s:i,s:b,s:s,s:i}", "id", (json_int_t)r->id, "name", r->name, "instance",
                  (int)r->instance, "ok", r->ok, "status", r->status ? r->status : "", "pid", r->pid);

    json_array_append_new(o->list, entry);
    if (r->ok)
        return;
    json_object_set_new(entry, "error", json_string(r->error));
    if (r->failed_run && o->shown < OUTCOME_STDERR_RUNS) {
        o->shown++;
        o->pending++;
        last_lines_add(o->engine->logs, r->failed_run, OUTCOME_STDERR_LINES, entry, one_less, o);
    }
}

void outcome_process(struct outcome *o, const struct process *p, const char *error)
{
    struct waiter_result r = {.ok = !error,
                              .id = p->id,
                              .instance = p->instance,
                              .pid = p->exited ? 0 : p->pid,
                              .status = lc_state_word(p->state)};

    snprintf(r.name, sizeof(r.name), "%s", p->app->spec->name);
    snprintf(r.error, sizeof(r.error), "%s", error ? error : "");
    outcome_add(o, &r);
}

void outcome_set(struct outcome *o, const char *key, json_t *value)
{
    if (!o->more)
        o->more = json_object();
    json_object_set_new(o->more, key, value);
}

void outcome_report(void *outcome, const struct waiter_result *r)
{
    outcome_add(outcome, r);
    one_less(outcome);
}

void outcome_close(struct outcome *o)
{
    one_less(o);
}
