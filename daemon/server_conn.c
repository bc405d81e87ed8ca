/* One connection: reading lines, writing lines, and its end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/plog.h"
#include "daemon/server_int.h"
#include "ipc/frame.h"

#define READ_CHUNK  65536u
#define SEND_BUFFER (1024 * 1024)

/* Only used within one callback, so all connections share it. */
static char read_chunk[READ_CHUNK];

struct write {
    uv_write_t req;
    struct conn *conn;
    char *data[WRITE_PARTS_MAX];
    size_t len; /* of all */
};

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    struct server *s = c->server;

    if (--c->open_handles > 0)
        return;
    TAILQ_REMOVE(&s->conns, c, entry);
    buf_free(&c->in);
    json_decref(c->env);
    free(c->by);
    free(c);
    server_conn_gone(s);
}

void conn_close(struct conn *c)
{
    if (c->closing)
        return;
    c->closing = true;
    c->server->n_conns--;
    conn_requests_gone(c);
    conn_streams_gone(c);
    uv_close((uv_handle_t *)&c->pipe, on_closed);
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

static void on_timer(uv_timer_t *timer)
{
    struct conn *c = timer->data;

    /* Without a handshake only ping and kill are answered, and kill takes its time. */
    if (!c->hello && !c->finish && !c->broken && c->in_flight)
        uv_timer_start(timer, on_timer, HELLO_MS, 0);
    else
        conn_close(c);
}

static void close_if_done(struct conn *c)
{
    if (!c->closing && (c->finish || (c->eof && c->in_flight == 0)) && c->queued == 0)
        conn_close(c);
}

void conn_finish(struct conn *c)
{
    c->finish = true;
    if (!c->closing)
        uv_timer_start(&c->timer, on_timer, LINGER_MS, 0);
    close_if_done(c);
}

/* Not at once: whoever is writing now still holds the connection, its streams and requests. */
static void break_soon(struct conn *c)
{
    c->broken = true;
    uv_timer_start(&c->timer, on_timer, 0, 0);
}

static void write_free(struct write *w)
{
    for (int i = 0; i < WRITE_PARTS_MAX; i++)
        free(w->data[i]);
    free(w);
}

static void on_written(uv_write_t *req, int status)
{
    struct write *w = (struct write *)req;
    struct conn *c = w->conn;

    c->queued -= w->len;
    write_free(w);
    if (c->closing)
        return;
    if (status < 0) {
        conn_close(c);
        return;
    }
    if (c->queued < STREAM_QUEUE_MAX / 2)
        conn_streams_drained(c);
    conn_resume(c);
}

void conn_write_parts(struct conn *c, struct buf *take, unsigned n)
{
    uv_buf_t b[WRITE_PARTS_MAX];
    struct write *w = xcalloc(1, sizeof(*w));

    w->conn = c;
    for (unsigned i = 0; i < n; i++) {
        w->len += take[i].len;
        b[i] = uv_buf_init(NULL, (unsigned)take[i].len);
        b[i].base = w->data[i] = buf_steal(&take[i]);
    }
    if (c->closing || c->broken) {
        write_free(w);
        return;
    }
    if (c->queued + w->len > QUEUE_MAX && c->queued > 0) {
        log_warn("a client (pid %d) does not read its answers: closed", (int)c->pid);
        write_free(w);
        break_soon(c);
        return;
    }
    c->queued += w->len;
    if (uv_write(&w->req, (uv_stream_t *)&c->pipe, b, n, on_written) < 0) {
        c->queued -= w->len;
        write_free(w);
        break_soon(c);
    }
}

void conn_write(struct conn *c, struct buf *take)
{
    conn_write_parts(c, take, 1);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(read_chunk, sizeof(read_chunk));
}

static void write_connection_error(struct conn *c, int code, const char *why)
{
    struct buf line = {0};

    buf_printf(&line, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":%d,\"message\":\"%s\"}}\n", code,
               why);
    conn_write(c, &line);
}

void conn_turn_out(struct conn *c, int code, const char *why)
{
    write_connection_error(c, code, why);
    conn_close(c);
}

static void too_long(struct conn *c)
{
    uv_read_stop((uv_stream_t *)&c->pipe);
    write_connection_error(c, RPC_INVALID, "the request is longer than 1 MiB");
    conn_finish(c);
}

/* A peer that asks faster than it reads, or than the answers come, is not heard for a while. */
static bool too_much(const struct conn *c)
{
    return c->in_flight >= IN_FLIGHT_MAX || c->queued > UNREAD_MAX;
}

static void after_lines(struct conn *c, int rc)
{
    if (c->closing || c->finish || c->broken)
        return;
    if (rc < 0) {
        too_long(c);
    } else if (rc == 1 || too_much(c)) {
        c->paused = true;
        uv_read_stop((uv_stream_t *)&c->pipe);
    }
}

static bool on_line(void *arg, const char *text, size_t len)
{
    return conn_request(arg, text, len) && !too_much(arg);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = stream->data;

    if (n == 0)
        return;
    if (n == UV_EOF) {
        c->eof =
            true; /* the peer may only have closed its writing side: what it asked for is still answered */
        if (TAILQ_EMPTY(&c->streams))
            close_if_done(c);
        else
            conn_close(c); /* a follower that is gone: nothing else would tell */
        return;
    }
    if (n < 0) {
        conn_close(c);
        return;
    }
    after_lines(c, frame_feed(&c->in, buf->base, (size_t)n, on_line, c));
}

void conn_resume(struct conn *c)
{
    if (c->paused && c->in_flight < IN_FLIGHT_MAX / 2 && c->queued < UNREAD_MAX / 2 && !c->finish &&
        !c->broken && !c->closing) {
        c->paused = false;
        uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read);
        after_lines(c, frame_resume(&c->in, on_line, c));
    }
    close_if_done(c);
}

void conn_open(struct server *s, int fd, uint32_t uid, int32_t pid)
{
    struct conn *c = xcalloc(1, sizeof(*c));

    c->server = s;
    c->uid = uid;
    c->pid = pid;
    c->by = xasprintf("a client (uid %u, pid %d)", uid, (int)pid);
    TAILQ_INIT(&c->requests);
    TAILQ_INIT(&c->streams);
    uv_pipe_init(s->cfg.loop, &c->pipe, 0);
    uv_timer_init(s->cfg.loop, &c->timer);
    c->pipe.data = c;
    c->timer.data = c;
    c->open_handles = 2;
    TAILQ_INSERT_TAIL(&s->conns, c, entry);
    s->n_conns++;
    if (uv_pipe_open(&c->pipe, fd) < 0) {
        close(fd);
        conn_close(c);
        return;
    }
    /* Large answers go out in fewer turns, as far as the system's limit lets them. */
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){SEND_BUFFER}, sizeof(int));
    uv_timer_start(&c->timer, on_timer, HELLO_MS, 0);
    uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read);
}

const char *conn_by(const struct conn *c)
{
    return c->by;
}

json_t *conn_env(struct conn *c)
{
    return c->env;
}

void conn_set_env(struct conn *c, json_t *env)
{
    json_incref(env);
    json_decref(c->env);
    c->env = env;
}
