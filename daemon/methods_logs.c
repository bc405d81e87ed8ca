/* logs: what was asked for in the reply or as notifications, and the later lines as notifications. */
#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/jsonw.h"
#include "common/mem.h"
#include "daemon/log_grep.h"
#include "daemon/log_level.h"
#include "daemon/methods.h"
#include "daemon/selector.h"

#define LOGS_LINES 15
/* A notification carries at most so many bytes of lines, so that one is never larger than a queue's bound. */
#define LOGS_PART_MAX (256u * 1024)

/* Without "stream" the answer is one message, of so many bytes of lines. */
#define LOGS_REPLY_MAX (32u * 1024 * 1024)

struct log_ask {
    struct rpc_request *request; /* until the history was sent */
    struct conn_stream *stream;  /* NULL when all comes in the reply */
    struct log_search *search;
    bool streamed, follows;
    struct buf text; /* of the reply */
    struct jsonw w;
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
    if (log_level_word(log_level_in(l->flags)))
        jsonw_kstr(w, "level", log_level_word(log_level_in(l->flags)));
    if (l->marks & LOG_MARK_CONTEXT)
        jsonw_kbool(w, "context", true);
    if (l->marks & LOG_MARK_GAP)
        jsonw_kbool(w, "gap", true);
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

/* At most LOGS_PART_MAX and a line; returns how many of the lines it holds. */
static size_t write_part(struct buf *text, const struct log_line *lines, size_t n, bool history)
{
    struct jsonw w = jsonw_init(text);
    size_t i = 0;

    jsonw_obj_begin(&w);
    jsonw_kstr(&w, "jsonrpc", "2.0");
    jsonw_kstr(&w, "method", "log");
    jsonw_key(&w, "params");
    jsonw_obj_begin(&w);
    jsonw_key(&w, "lines");
    jsonw_arr_begin(&w);
    while (i < n && text->len < LOGS_PART_MAX)
        write_line(&w, &lines[i++]);
    jsonw_arr_end(&w);
    if (history)
        jsonw_kbool(&w, "history", true);
    jsonw_obj_end(&w);
    jsonw_obj_end(&w);
    return i;
}

static void ask_free(struct log_ask *a)
{
    if (a->stream)
        conn_stream_free(a->stream);
    buf_free(&a->text);
    free(a);
}

static bool on_history(void *arg, const struct log_line *lines, size_t n)
{
    struct log_ask *a = arg;
    bool room = true;

    if (!a->request->conn) { /* nobody waits for it any more */
        logs_search_cancel(a->search);
        rpc_fail(a->request, RPC_FAILED, "the connection is gone");
        ask_free(a);
        return true;
    }
    for (size_t i = 0; i < n && !a->streamed; i++)
        write_line(&a->w, &lines[i]);
    for (size_t i = 0; i < n && a->streamed;) {
        struct buf text = {0};

        i += write_part(&text, lines + i, n - i, true);
        room = conn_stream_must_send(a->stream, text.data, text.len);
        buf_free(&text);
    }
    return room;
}

static void on_end(void *arg, const struct log_search_end *end)
{
    struct log_ask *a = arg;
    struct rpc_request *r = a->request;

    a->request = NULL;
    if (end->rc < 0) {
        rpc_fail(r, end->rc == -EOVERFLOW ? RPC_BAD_PARAMS : RPC_FAILED, "%s", end->msg);
    } else {
        jsonw_arr_end(&a->w);
        jsonw_kuint(&a->w, "matched", end->matched);
        if (end->cut)
            jsonw_kbool(&a->w, "truncated", true);
        jsonw_obj_end(&a->w);
        rpc_reply_text(r, &a->text);
    }
    if (end->rc < 0 || !a->follows)
        ask_free(a);
}

static void on_live(void *arg, const struct log_line *lines, size_t n, uint64_t missed)
{
    struct log_ask *a = arg;

    for (size_t i = 0, part; i < n; i += part) {
        struct buf text = {0};

        part = write_part(&text, lines + i, n - i, false);
        conn_stream_send(a->stream, "log", text.data, text.len, part);
        buf_free(&text);
    }
    if (missed)
        conn_stream_missed(a->stream, missed);
}

static void on_failed(void *arg, const char *msg)
{
    struct log_ask *a = arg;
    struct buf text = {0};
    struct jsonw w = jsonw_init(&text);

    jsonw_obj_begin(&w);
    jsonw_kstr(&w, "jsonrpc", "2.0");
    jsonw_kstr(&w, "method", "log");
    jsonw_key(&w, "params");
    jsonw_obj_begin(&w);
    jsonw_kstr(&w, "failed", msg);
    jsonw_obj_end(&w);
    jsonw_obj_end(&w);
    conn_stream_must_send(a->stream, text.data, text.len);
    buf_free(&text);
    ask_free(a);
}

static void asker_gone(void *arg)
{
    struct log_ask *a = arg;

    a->stream = NULL; /* freed by the connection */
    logs_search_cancel(a->search);
    if (a->request)
        rpc_fail(a->request, RPC_FAILED, "the connection is gone");
    ask_free(a);
}

static void asker_reads(void *arg)
{
    logs_search_resume(((struct log_ask *)arg)->search);
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

static uint64_t number(const struct rpc_request *r, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(r->params, name));
}

/* Without any limit the last few are shown; else all that match. */
static unsigned lines_wanted(const struct rpc_request *r)
{
    static const char *const limits[] = {"since", "until", "grep", "level", "run", "count"};
    const json_t *lines = json_object_get(r->params, "lines");

    if (lines)
        return (unsigned)json_integer_value(lines);
    for (size_t i = 0; i < ARRAY_LEN(limits); i++)
        if (json_object_get(r->params, limits[i]))
            return LOG_LINES_ALL;
    return LOGS_LINES;
}

/* The patterns and the level; false: answered with what is wrong about them. */
static bool take_patterns(struct rpc_request *r, struct log_query *q)
{
    const json_t *grep = json_object_get(r->params, "grep"), *level = json_object_get(r->params, "level");
    const char *patterns[LOG_GREP_MAX];
    struct err e = {0};
    json_t *word;
    size_t i;

    if (level && !(q->level = log_level_parse(json_string_value(level), json_string_length(level)))) {
        rpc_fail(r, RPC_BAD_PARAMS, "level: \"%.40s\" is none of trace, debug, info, warn, error, fatal",
                 json_string_value(level));
        return false;
    }
    if (json_array_size(grep) == 0 && flag(r, "invert", false)) {
        rpc_fail(r, RPC_BAD_PARAMS, "invert: there is no pattern in grep to be inverted");
        return false;
    }
    if (json_array_size(grep) == 0)
        return true;
    if (json_array_size(grep) > LOG_GREP_MAX) {
        rpc_fail(r, RPC_BAD_PARAMS, "grep: at most %u patterns, not %zu", LOG_GREP_MAX,
                 json_array_size(grep));
        return false;
    }
    json_array_foreach (grep, i, word)
        patterns[i] = json_string_value(word);
    q->grep = log_grep_new(patterns, i, flag(r, "ignore_case", false), flag(r, "invert", false), &e);
    if (!q->grep)
        rpc_fail(r, RPC_BAD_PARAMS, "%s", e.msg);
    return q->grep;
}

/* False: answered with what is wrong. */
static bool take_query(struct rpc_request *r, struct log_query *q)
{
    const json_t *run = json_object_get(r->params, "run");
    bool follow = flag(r, "follow", false);

    *q = (struct log_query){.lines = lines_wanted(r),
                            .out = flag(r, "out", !flag(r, "err", false)),
                            .err = flag(r, "err", !flag(r, "out", false)),
                            .since_us = number(r, "since"),
                            .until_us = number(r, "until"),
                            .run = (uint64_t)json_integer_value(run),
                            .newest_run = json_is_string(run),
                            .one_instance = json_object_get(r->params, "instance"),
                            .instance = (uint32_t)number(r, "instance"),
                            .before = (unsigned)number(r, "before"),
                            .after = (unsigned)number(r, "after"),
                            .reverse = flag(r, "reverse", false),
                            .count = flag(r, "count", false)};
    if (follow && (q->reverse || q->count)) {
        rpc_fail(r, RPC_BAD_PARAMS, "follow: not together with %s, which needs an end",
                 q->reverse ? "reverse" : "count");
        return false;
    }
    if (json_object_get(r->params, "until") && q->until_us <= q->since_us) {
        rpc_fail(r, RPC_BAD_PARAMS, "until: must be later than since");
        return false;
    }
    return take_patterns(r, q);
}

static void ask(struct engine *e, struct rpc_request *r, const struct log_query *q)
{
    struct log_ask *a = xcalloc(1, sizeof(*a));
    struct log_search_hooks hooks = {.arg = a, .lines = on_history, .end = on_end, .failed = on_failed};

    a->request = r;
    a->follows = flag(r, "follow", false) && r->conn;
    a->streamed = flag(r, "stream", false) && r->conn;
    a->w = jsonw_init(&a->text);
    jsonw_obj_begin(&a->w);
    jsonw_key(&a->w, "lines");
    jsonw_arr_begin(&a->w);
    if (a->follows)
        hooks.live = on_live;
    if (a->follows || a->streamed) {
        a->stream = conn_stream_new(r->conn, asker_gone, a);
        conn_stream_on_room(a->stream, asker_reads);
    }
    a->search = logs_search(e->logs, q, a->streamed ? 0 : LOGS_REPLY_MAX, &hooks);
}

void method_logs(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    struct selection sel = {0};
    uint32_t *ids = NULL;
    struct log_query q;

    if (!take_query(r, &q))
        return;
    /* "all" means also those that come later. */
    if (!says_all(json_object_get(r->params, "selectors"))) {
        if (!method_select(e, r, &sel)) {
            log_grep_free(q.grep);
            return;
        }
        ids = xcalloc(sel.n + 1, sizeof(*ids));
        for (size_t i = 0; i < sel.n; i++)
            ids[i] = sel.v[i]->id;
        q.processes = ids;
        q.n_processes = sel.n;
        selection_free(&sel);
    }
    ask(e, r, &q);
    free(ids);
}
