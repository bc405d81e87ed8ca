/* events: what was stored in the reply, and what happens from then on as notifications. */
#include <stdlib.h>
#include <string.h>

#include "common/jsonw.h"
#include "common/mem.h"
#include "daemon/events.h"
#include "daemon/methods.h"
#include "daemon/selector.h"

#define EVENTS_LINES 10
#define EVENTS_MAX   10000
/* What happens while the stored events are read waits here; beyond, it is counted as missed. */
#define WAITING_MAX (1024u * 1024)

struct ask {
    struct engine *engine;
    struct event_listener listener;
    struct rpc_request *request; /* until the stored events were sent */
    struct conn_stream *stream;  /* NULL when only those are asked for */
    uint32_t *ids;
    unsigned lines;
    struct buf waiting; /* notifications, each with a line break */
    uint64_t missed;    /* of those that waited */
};

static void ask_free(struct ask *a)
{
    if (a->stream) {
        TAILQ_REMOVE(&a->engine->listeners, &a->listener, entry);
        conn_stream_free(a->stream);
    }
    buf_free(&a->waiting);
    free(a->ids);
    free(a);
}

static void on_event(void *arg, const char *json, size_t len)
{
    static const char head[] = "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":";
    struct ask *a = arg;
    struct buf line = {0};

    if (a->request && a->waiting.len + len > WAITING_MAX) {
        a->missed++;
        return;
    }
    buf_reserve(&line, sizeof(head) + len + 2);
    buf_append(&line, head, sizeof(head) - 1);
    buf_append(&line, json, len);
    buf_putc(&line, '}');
    if (a->request) {
        buf_append(&a->waiting, line.data, line.len);
        buf_putc(&a->waiting, '\n');
    } else {
        conn_stream_send(a->stream, "event", line.data, line.len, 1);
    }
    buf_free(&line);
}

/* The connection is gone; it frees the stream. */
static void asker_gone(void *arg)
{
    struct ask *a = arg;

    TAILQ_REMOVE(&a->engine->listeners, &a->listener, entry);
    a->stream = NULL;
    if (!a->request) /* else the answer of the store, which is still to come, ends it */
        ask_free(a);
}

static void send_waiting(struct ask *a)
{
    const char *at = a->waiting.data, *end;

    while (at && (end = strchr(at, '\n'))) {
        conn_stream_send(a->stream, "event", at, (size_t)(end - at), 1);
        at = end + 1;
    }
    buf_free(&a->waiting);
    if (a->missed)
        conn_stream_missed(a->stream, a->missed);
}

/* The newest that are meant, the oldest of them first. */
static void write_stored(struct ask *a, const struct store_event *events, size_t n, struct buf *out)
{
    struct jsonw w = jsonw_init(out);
    size_t first = 0;

    for (unsigned left = a->lines; first < n && left > 0; first++)
        if (event_is_for(&a->listener, events[first].process))
            left--;
    jsonw_obj_begin(&w);
    jsonw_key(&w, "events");
    jsonw_arr_begin(&w);
    for (size_t i = first; i-- > 0;)
        if (events[i].json && event_is_for(&a->listener, events[i].process))
            jsonw_raw(&w, events[i].json, strlen(events[i].json));
    jsonw_arr_end(&w);
    jsonw_obj_end(&w);
}

static void on_stored(void *arg, int rc, const struct store_event *events, size_t n)
{
    struct ask *a = arg;
    struct rpc_request *r = a->request;
    struct buf out = {0};

    a->request = NULL;
    /* Without a database that can be read there are none; what happens is told all the same. */
    write_stored(a, events, rc == 0 ? n : 0, &out);
    if (rc < 0 && !a->stream)
        rpc_fail(r, RPC_FAILED, "state.db cannot be read: %s", strerror(-rc));
    else
        rpc_reply_text(r, &out);
    buf_free(&out);
    if (a->stream)
        send_waiting(a);
    else
        ask_free(a);
}

static bool is_all(const json_t *words)
{
    return json_array_size(words) == 0 ||
           (json_array_size(words) == 1 && strcmp(json_string_value(json_array_get(words, 0)), "all") == 0);
}

void method_events(void *engine, struct rpc_request *r)
{
    const json_t *words = json_object_get(r->params, "selectors"),
                 *lines = json_object_get(r->params, "lines"), *since = json_object_get(r->params, "since");
    struct engine *e = engine;
    struct selection sel = {0};
    struct ask *a;

    /* "all" means also those that come later, and the daemon's own. */
    if (!is_all(words) && !method_select(e, r, &sel))
        return;
    a = xcalloc(1, sizeof(*a));
    *a = (struct ask){.engine = e,
                      .request = r,
                      .lines = lines   ? (unsigned)json_integer_value(lines)
                               : since ? EVENTS_MAX
                                       : EVENTS_LINES,
                      .listener = {.event = on_event, .arg = a}};
    if (sel.n) {
        a->ids = xcalloc(sel.n, sizeof(*a->ids));
        for (size_t i = 0; i < sel.n; i++)
            a->ids[i] = sel.v[i]->id;
        a->listener.ids = a->ids;
        a->listener.n_ids = sel.n;
    }
    selection_free(&sel);
    if (json_is_true(json_object_get(r->params, "follow")) && r->conn) {
        a->stream = conn_stream_new(r->conn, asker_gone, a);
        TAILQ_INSERT_TAIL(&e->listeners, &a->listener, entry);
    }
    store_get_events(e->store, (uint64_t)json_integer_value(since) / 1000, a->ids ? EVENTS_MAX : a->lines,
                     on_stored, a);
}
