/* logs: the last lines in the reply, and the later ones as notifications. */
#include <string.h>

#include "common/jsonw.h"
#include "common/mem.h"
#include "daemon/log_level.h"
#include "daemon/methods.h"
#include "daemon/selector.h"

#define LOGS_LINES 15
/* A notification carries at most so many bytes of lines, so that one is never larger than a queue's bound. */
#define LOGS_PART_MAX (256u * 1024)

struct log_follow {
    struct engine *engine;
    struct rpc_request *request; /* until the history was sent */
    struct conn_stream *stream;
    struct log_sub *sub;
};

static bool is_utf8(const char *s, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        n = jsonw_utf8_len((const unsigned char *)s + i, len - i);
        if (n == 0)
            return false;
    }
    return true;
}

static void write_base64(struct jsonw *w, const char *s, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)s;
    struct buf out = {0};

    for (size_t i = 0; i < len; i += 3) {
        uint32_t v =
            (uint32_t)p[i] << 16 | (i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < len ? p[i + 2] : 0);

        buf_putc(&out, digits[v >> 18]);
        buf_putc(&out, digits[v >> 12 & 63]);
        buf_putc(&out, i + 1 < len ? digits[v >> 6 & 63] : '=');
        buf_putc(&out, i + 2 < len ? digits[v & 63] : '=');
    }
    jsonw_kstr(w, "base64", out.data ? out.data : "");
    buf_free(&out);
}

static void write_line(struct jsonw *w, const struct log_line *l)
{
    jsonw_obj_begin(w);
    jsonw_kuint(w, "row", l->id);
    jsonw_kuint(w, "time", l->time_us);
    jsonw_kuint(w, "id", l->process);
    jsonw_kstr(w, "name", l->app);
    jsonw_kuint(w, "instance", l->instance);
    jsonw_kuint(w, "run", l->run);
    jsonw_kstr(w, "stream", l->stream == LOG_ERR ? "err" : "out");
    if (log_level_in(l->flags))
        jsonw_kstr(w, "level", log_level_word(log_level_in(l->flags)));
    if (l->flags & LOG_F_PARTIAL)
        jsonw_kbool(w, "partial", true);
    if (l->flags & LOG_F_DROPPED)
        jsonw_kbool(w, "dropped", true);
    if (is_utf8(l->text, l->len)) {
        jsonw_key(w, "text");
        jsonw_strn(w, l->text, l->len);
    } else {
        write_base64(w, l->text, l->len);
    }
    jsonw_obj_end(w);
}

static void reply_history(struct rpc_request *r, const struct log_line *lines, size_t n)
{
    struct buf text = {0};
    struct jsonw w = jsonw_init(&text);

    jsonw_obj_begin(&w);
    jsonw_key(&w, "lines");
    jsonw_arr_begin(&w);
    for (size_t i = 0; i < n; i++)
        write_line(&w, &lines[i]);
    jsonw_arr_end(&w);
    jsonw_obj_end(&w);
    rpc_reply_text(r, &text);
}

static void on_history(void *arg, int rc, const struct log_line *lines, size_t n)
{
    if (rc < 0)
        rpc_fail(arg, RPC_FAILED, "the logs cannot be read: %s", strerror(-rc));
    else
        reply_history(arg, lines, n);
}

static void send_lines(struct log_follow *f, const struct log_line *lines, size_t n)
{
    size_t i = 0;

    while (i < n) {
        struct buf text = {0};
        struct jsonw w = jsonw_init(&text);
        size_t first = i;

        jsonw_obj_begin(&w);
        jsonw_kstr(&w, "jsonrpc", "2.0");
        jsonw_kstr(&w, "method", "log");
        jsonw_key(&w, "params");
        jsonw_obj_begin(&w);
        jsonw_key(&w, "lines");
        jsonw_arr_begin(&w);
        while (i < n && text.len < LOGS_PART_MAX)
            write_line(&w, &lines[i++]);
        jsonw_arr_end(&w);
        jsonw_obj_end(&w);
        jsonw_obj_end(&w);
        conn_stream_send(f->stream, "log", text.data, text.len, i - first);
        buf_free(&text);
    }
}

static void on_live(void *arg, const struct log_line *lines, size_t n, uint64_t missed)
{
    struct log_follow *f = arg;

    if (f->request) {
        reply_history(f->request, lines, n);
        f->request = NULL;
    } else {
        send_lines(f, lines, n);
    }
    if (missed)
        conn_stream_missed(f->stream, missed);
}

static void follower_gone(void *arg)
{
    struct log_follow *f = arg;

    logs_unsubscribe(f->sub);
    if (f->request)
        rpc_fail(f->request, RPC_FAILED, "the connection is gone");
    free(f);
}

static bool says_all(const json_t *words)
{
    size_t i;
    json_t *word;

    json_array_foreach (words, i, word) {
        if (strcmp(json_string_value(word), "all") == 0)
            return true;
    }
    return json_array_size(words) == 0;
}

static bool flag(const struct rpc_request *r, const char *name, bool fallback)
{
    const json_t *v = json_object_get(r->params, name);

    return v ? json_is_true(v) : fallback;
}

void method_logs(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    const json_t *lines = json_object_get(r->params, "lines");
    struct log_query q = {.lines = lines ? (unsigned)json_integer_value(lines) : LOGS_LINES};
    struct selection sel = {0};
    uint32_t *ids = NULL;

    q.out = flag(r, "out", !flag(r, "err", false));
    q.err = flag(r, "err", !flag(r, "out", false));
    /* "all" means also those that come later. */
    if (!says_all(json_object_get(r->params, "selectors"))) {
        if (!method_select(e, r, &sel))
            return;
        ids = xcalloc(sel.n, sizeof(*ids));
        for (size_t i = 0; i < sel.n; i++)
            ids[i] = sel.v[i]->id;
        q.processes = ids;
        q.n_processes = sel.n;
        selection_free(&sel);
    }
    if (flag(r, "follow", false) && r->conn) {
        struct log_follow *f = xcalloc(1, sizeof(*f));

        f->engine = e;
        f->request = r;
        f->stream = conn_stream_new(r->conn, follower_gone, f);
        f->sub = logs_subscribe(e->logs, &q, on_live, f);
    } else {
        logs_query(e->logs, &q, on_history, r);
    }
    free(ids);
}
