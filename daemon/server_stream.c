/* Streams of notifications: a peer that does not read loses lines and is told how many; it never slows the
 * daemon. */
#include <stdio.h>
#include <stdlib.h>

#include "common/mem.h"
#include "daemon/server_int.h"

struct conn_stream *conn_stream_new(struct conn *c, conn_stream_closed closed, void *arg)
{
    struct conn_stream *s = xcalloc(1, sizeof(*s));

    s->conn = c;
    s->closed = closed;
    s->arg = arg;
    TAILQ_INSERT_TAIL(&c->streams, s, entry);
    return s;
}

static void tell_missed(struct conn_stream *s)
{
    struct buf line = {0};

    if (!s->missed || !*s->method)
        return;
    buf_printf(&line, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":{\"missed\":%llu}}\n", s->method,
               (unsigned long long)s->missed);
    s->missed = 0;
    conn_write(s->conn, &line);
}

void conn_stream_send(struct conn_stream *s, const char *method, const char *text, size_t len,
                      uint64_t weight)
{
    struct buf line = {0};

    if (!*s->method)
        snprintf(s->method, sizeof(s->method), "%s", method);
    /* One message alone may be larger than the bound; else it could never be sent. */
    if (!s->conn || (s->conn->queued > 0 && s->conn->queued + len > STREAM_QUEUE_MAX)) {
        s->missed += weight;
        return;
    }
    tell_missed(s);
    buf_reserve(&line, len + 1);
    buf_append(&line, text, len);
    buf_putc(&line, '\n');
    conn_write(s->conn, &line);
}

void conn_stream_missed(struct conn_stream *s, uint64_t weight)
{
    s->missed += weight;
    if (s->conn && s->conn->queued < STREAM_QUEUE_MAX / 2)
        tell_missed(s);
}

void conn_streams_drained(struct conn *c)
{
    struct conn_stream *s, *next;

    for (s = TAILQ_FIRST(&c->streams); s; s = next) {
        next = TAILQ_NEXT(s, entry);
        tell_missed(s);
        if (s->full) {
            s->full = false;
            s->room(s->arg);
        }
    }
}

bool conn_stream_must_send(struct conn_stream *s, const char *text, size_t len)
{
    struct buf line = {0};

    if (!s->conn)
        return true;
    buf_reserve(&line, len + 1);
    buf_append(&line, text, len);
    buf_putc(&line, '\n');
    conn_write(s->conn, &line);
    s->full = s->room && s->conn->queued >= STREAM_QUEUE_MAX / 2;
    return !s->full;
}

void conn_stream_on_room(struct conn_stream *s, void (*room)(void *arg))
{
    s->room = room;
}

void conn_stream_free(struct conn_stream *s)
{
    if (s->conn)
        TAILQ_REMOVE(&s->conn->streams, s, entry);
    free(s);
}

void conn_streams_gone(struct conn *c)
{
    struct conn_stream *s;

    while ((s = TAILQ_FIRST(&c->streams))) {
        TAILQ_REMOVE(&c->streams, s, entry);
        s->conn = NULL;
        s->closed(s->arg);
        free(s);
    }
}
