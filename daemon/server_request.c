/* Requests: checked against the method table, handed to their handlers, answered. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/jsonw.h"
#include "common/mem.h"
#include "daemon/server_int.h"
#include "ipc/frame.h"

#define BY_MAX 200

static void write_id(struct jsonw *w, const json_t *id)
{
    jsonw_key(w, "id");
    if (json_is_integer(id))
        jsonw_int(w, json_integer_value(id));
    else if (json_is_string(id))
        jsonw_strn(w, json_string_value(id), json_string_length(id));
    else
        jsonw_null(w);
}

static void begin_reply(struct buf *out, struct jsonw *w, const json_t *id)
{
    *w = jsonw_init(out);
    jsonw_obj_begin(w);
    jsonw_kstr(w, "jsonrpc", "2.0");
    write_id(w, id);
}

static void write_error(struct conn *c, const json_t *id, int code, const char *message)
{
    struct buf out = {0};
    struct jsonw w;

    begin_reply(&out, &w, id);
    jsonw_key(&w, "error");
    jsonw_obj_begin(&w);
    jsonw_kint(&w, "code", code);
    jsonw_kstr(&w, "message", message);
    jsonw_obj_end(&w);
    jsonw_obj_end(&w);
    buf_putc(&out, '\n');
    conn_write(c, &out);
}

static void request_free(struct rpc_request *r)
{
    struct conn *c = r->conn;

    if (c) {
        TAILQ_REMOVE(&c->requests, r, entry);
        c->in_flight--;
    }
    json_decref(r->params);
    json_decref(r->id);
    free(r);
    if (c && !c->closing)
        conn_resume(c);
}

void rpc_reply_text(struct rpc_request *r, struct buf *result)
{
    struct buf parts[WRITE_PARTS_MAX] = {{0}};
    struct jsonw w;

    if (r->conn && r->id) {
        begin_reply(&parts[0], &w, r->id);
        jsonw_key(&w, "result");
        if (!result->data)
            buf_puts(result, "null");
        parts[1] = *result; /* not copied: it may be megabytes */
        *result = (struct buf){0};
        buf_puts(&parts[2], "}\n");
        conn_write_parts(r->conn, parts, WRITE_PARTS_MAX);
    }
    buf_free(result);
    request_free(r);
}

void rpc_reply(struct rpc_request *r, json_t *result)
{
    struct buf text = {0};
    char *dump = json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY);

    json_decref(result);
    if (!dump) {
        rpc_fail(r, RPC_INTERNAL, "the answer cannot be written as JSON");
        return;
    }
    buf_puts(&text, dump);
    free(dump);
    rpc_reply_text(r, &text);
}

void rpc_fail(struct rpc_request *r, int code, const char *fmt, ...)
{
    char message[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    if (r->conn && r->id)
        write_error(r->conn, r->id, code, message);
    request_free(r);
}

void conn_requests_gone(struct conn *c)
{
    struct rpc_request *r;

    while ((r = TAILQ_FIRST(&c->requests))) {
        TAILQ_REMOVE(&c->requests, r, entry);
        r->conn = NULL;
    }
    c->in_flight = 0;
}

/* It is stored, shown and logged: one line of bounded length, not cut inside a character. */
static char *by_text(const struct conn *c, const char *by)
{
    size_t len = strnlen(by, BY_MAX);
    char *text;

    while (len && ((unsigned char)by[len] & 0xc0) == 0x80)
        len--;
    text = xasprintf("%.*s (uid %u, pid %d)", (int)len, by, c->uid, (int)c->pid);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    return text;
}

static void answer_hello(struct rpc_request *r)
{
    struct conn *c = r->conn;
    struct server *s = c->server;
    long long protocol = json_integer_value(json_object_get(r->params, "protocol"));
    const char *version = json_string_value(json_object_get(r->params, "version"));
    const char *by = json_string_value(json_object_get(r->params, "by"));

    if (protocol != PM_PROTOCOL) {
        rpc_fail(r, RPC_HANDSHAKE,
                 "this daemon (pm %s) speaks protocol %d, the client (pm %.32s) speaks %lld: update the %s",
                 PM_VERSION, PM_PROTOCOL, version, protocol,
                 protocol < PM_PROTOCOL ? "client" : "daemon (pm kill, then start again)");
        return;
    }
    c->hello = true;
    uv_timer_stop(&c->timer);
    free(c->by);
    c->by = by_text(c, by && *by ? by : "a client");
    rpc_reply(r, json_pack("{s:i,s:s,s:i,s:i,s:s,s:I,s:s*}", "protocol", PM_PROTOCOL, "version", PM_VERSION,
                           "pid", (int)getpid(), "keeper_pid", s->cfg.keeper_pid, "home", s->cfg.home,
                           "started_at", (json_int_t)s->started_ms, "update_error", s->cfg.update_error));
}

static void dispatch(struct rpc_request *r, enum method_id id)
{
    struct server *s = r->conn->server;
    struct err e;

    if (!r->conn->hello && !r->method->before_hello)
        rpc_fail(r, RPC_HANDSHAKE, "say hello first");
    else if (method_check(r->method, r->params, &e) < 0)
        rpc_fail(r, RPC_BAD_PARAMS, "%s", e.msg);
    else if (id == M_HELLO)
        answer_hello(r);
    else if (id == M_PING)
        rpc_reply(r, json_pack("{s:s}", "msg", "pong"));
    else if (s->closing || (s->cfg.refuse && s->cfg.refuse(s->cfg.arg, r->method)))
        rpc_fail(r, RPC_SHUTTING_DOWN, "the daemon is shutting down");
    else
        s->cfg.handlers[id](s->cfg.arg, r);
}

static bool is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
            return false;
    return true;
}

bool conn_request(struct conn *c, const char *text, size_t len)
{
    struct rpc_message m;
    struct rpc_request *r;
    struct err e;
    int rc, id;

    if (c->closing || c->finish || c->broken)
        return false;
    if (is_blank(text, len))
        return true;
    rc = rpc_message_parse(text, len, &m, &e);
    id = rc == 0 ? method_find(m.method) : -1;
    if (rc < 0) {
        write_error(c, m.id, rc, e.msg);
    } else if (id < 0) {
        err_set(&e, RPC_NO_METHOD, "there is no method \"%.64s\"", m.method);
        if (m.id)
            write_error(c, m.id, RPC_NO_METHOD, e.msg);
    } else {
        r = xcalloc(1, sizeof(*r));
        r->conn = c;
        r->method = &methods[id];
        r->params = json_incref(m.params);
        r->id = json_incref(m.id);
        TAILQ_INSERT_TAIL(&c->requests, r, entry);
        c->in_flight++;
        dispatch(r, (enum method_id)id);
    }
    rpc_message_deinit(&m);
    return !c->closing && !c->broken;
}
