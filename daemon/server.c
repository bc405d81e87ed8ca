/* Accepting: who may connect, how many, and the end. */
#include "daemon/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/server_int.h"

#define ACCEPT_A_TURN   32
#define ACCEPT_PAUSE_MS 100u /* after running out of descriptors */

static void on_listener(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct server *s = timer->data;

    uv_poll_start(&s->listener, UV_READABLE, on_listener);
}

/* One line and the end: to somebody who is not served. It is small, so it fits the fresh socket. */
static void turn_away(int fd, int code, const char *why)
{
    char line[256];
    int n =
        snprintf(line, sizeof(line),
                 "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":%d,\"message\":\"%s\"}}\n", code, why);
    ssize_t ignored = send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);

    (void)ignored;
    close(fd);
}

/* Those that connect and say nothing must not keep out a client that speaks: the oldest of them goes. */
static bool make_room(struct server *s)
{
    struct conn *c;

    TAILQ_FOREACH (c, &s->conns, entry) {
        if (c->hello || c->closing || c->in_flight)
            continue;
        conn_turn_out(c, RPC_FAILED, "too many connections, and this one has not said hello");
        return true;
    }
    return false;
}

static void take_connection(struct server *s, int fd)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
        (cred.uid != geteuid() && cred.uid != 0)) {
        log_warn("a connection of uid %d was refused", (int)cred.uid);
        turn_away(fd, RPC_FORBIDDEN, "this daemon belongs to another user");
    } else if (s->n_conns >= CONNECTIONS_MAX && !make_room(s)) {
        turn_away(fd, RPC_FAILED, "too many connections; try again later");
    } else {
        conn_open(s, fd, cred.uid, cred.pid);
    }
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
    struct server *s = poll->data;

    (void)events;
    if (status < 0)
        return;
    for (int i = 0; i < ACCEPT_A_TURN; i++) {
        int fd = accept4(s->cfg.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            take_connection(s, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* The one that waits keeps the socket readable: without a pause the loop would spin. */
            log_error("cannot accept connections: %s", strerror(errno));
            uv_poll_stop(poll);
            uv_timer_start(&s->timer, on_pause_over, ACCEPT_PAUSE_MS, 0);
        }
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

struct server *server_new(const struct server_config *cfg)
{
    struct server *s = xcalloc(1, sizeof(*s));

    s->cfg = *cfg;
    s->started_ms = clock_wall_ms();
    TAILQ_INIT(&s->conns);
    /* A poll of our own instead of uv_listen: the descriptor is the keeper's and outlives this engine. */
    if (uv_poll_init(cfg->loop, &s->listener, cfg->listen_fd) < 0) {
        free(s);
        return NULL;
    }
    uv_timer_init(cfg->loop, &s->timer);
    s->open_handles = 2;
    s->listener.data = s;
    s->timer.data = s;
    uv_poll_start(&s->listener, UV_READABLE, on_listener);
    return s;
}

void server_set_keeper_pid(struct server *s, int pid)
{
    s->cfg.keeper_pid = pid;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct server *s = handle->data;

    if (--s->open_handles > 0)
        return;
    void (*closed)(void *arg) = s->closed;
    void *arg = s->closed_arg;
    free(s);
    closed(arg);
}

static void finish_if_empty(struct server *s)
{
    if (!TAILQ_EMPTY(&s->conns) || uv_is_closing((uv_handle_t *)&s->timer))
        return;
    uv_close((uv_handle_t *)&s->listener, on_handle_closed);
    uv_close((uv_handle_t *)&s->timer, on_handle_closed);
}

void server_conn_gone(struct server *s)
{
    if (s->closing)
        finish_if_empty(s);
}

static void on_flush_over(uv_timer_t *timer)
{
    struct server *s = timer->data;
    struct conn *c;

    TAILQ_FOREACH (c, &s->conns, entry) {
        conn_close(c);
    }
}

void server_close(struct server *s, void (*closed)(void *arg), void *arg)
{
    struct conn *c;

    s->closing = true;
    s->closed = closed;
    s->closed_arg = arg;
    uv_poll_stop(&s->listener);
    TAILQ_FOREACH (c, &s->conns, entry) {
        conn_finish(c);
    }
    uv_timer_start(&s->timer, on_flush_over, CLOSE_FLUSH_MS, 0);
    finish_if_empty(s);
}
