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
    struct conn_stream *progress; /* NULL: nobody wants to know, or the client is gone */
    bool begun;                   /* the total is known */
    unsigned total, done, failed;
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

    if (o->progress)
        conn_stream_free(o->progress);
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

static void progress_closed(void *arg)
{
    struct outcome *o = arg;

    o->progress = NULL;
}

/* The numbers are complete in each message, so that one that a slow client misses does no harm. */
static void tell_progress(struct outcome *o, const json_t *entry)
{
    json_t *params, *msg;
    char *text;

    if (!o->progress || !o->begun)
        return;
    params = json_pack("{s:O,s:i,s:i,s:i}", "request", o->request->id, "done", (int)o->done, "failed",
                       (int)o->failed, "total", (int)o->total);
    if (entry)
        json_object_set(params, "outcome", (json_t *)entry);
    msg = json_pack("{s:s,s:s,s:o}", "jsonrpc", "2.0", "method", "progress", "params", params);
    text = json_dumps(msg, JSON_COMPACT);
    json_decref(msg);
    if (text)
        conn_stream_send(o->progress, "progress", text, strlen(text), 1);
    free(text);
}

struct outcome *outcome_new(struct engine *e, struct rpc_request *r)
{
    struct outcome *o = xcalloc(1, sizeof(*o));

    o->engine = e;
    o->request = r;
    o->list = json_array();
    o->pending = 1;
    if (r->conn && r->id && json_is_true(json_object_get(r->params, "progress")))
        o->progress = conn_stream_new(r->conn, progress_closed, o);
    return o;
}

void outcome_expect(struct outcome *o)
{
    o->pending++;
    o->total++;
}

void outcome_begin(struct outcome *o)
{
    o->begun = true;
    tell_progress(o, NULL);
}

/* Returns the entry, which stays the list's. */
static json_t *add(struct outcome *o, const struct waiter_result *r)
{
    json_t *entry =
        json_pack("{s:I,s:s,s:i,s:b,s:s,s:i}", "id", (json_int_t)r->id, "name", r->name, "instance",
                  (int)r->instance, "ok", r->ok, "status", r->status ? r->status : "", "pid", r->pid);

    json_array_append_new(o->list, entry);
    o->done++;
    if (r->ok)
        return entry;
    o->failed++;
    json_object_set_new(entry, "error", json_string(r->error));
    if (r->left)
        json_object_set_new(entry, "left", json_true());
    if (r->failed_run && o->shown < OUTCOME_STDERR_RUNS) {
        o->shown++;
        o->pending++;
        last_lines_add(o->engine->logs, r->failed_run, OUTCOME_STDERR_LINES, entry, one_less, o);
    }
    return entry;
}

void outcome_add(struct outcome *o, const struct waiter_result *r)
{
    o->total++;
    add(o, r);
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

void outcome_note(struct outcome *o, const char *text)
{
    json_t *notes = json_object_get(o->more, "notes");

    if (!notes) {
        notes = json_array();
        outcome_set(o, "notes", notes);
    }
    json_array_append_new(notes, json_string(text));
}

void outcome_report(void *outcome, const struct waiter_result *r)
{
    tell_progress(outcome, add(outcome, r));
    one_less(outcome);
}

void outcome_close(struct outcome *o)
{
    one_less(o);
}
