/* A server on a socket in a private home, with handlers that a test holds in its hand. Include after unit.h.
 */
#ifndef PM_TESTS_SERVER_BENCH_H
#define PM_TESTS_SERVER_BENCH_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "common/home.h"
#include "common/mem.h"
#include "daemon/server.h"

#define HELLO                                                                                                \
    "{\"id\":0,\"method\":\"hello\",\"params\":{\"protocol\":1,\"version\":\"t\",\"by\":\"the test\"}}\n"

struct server_bench {
    char dir[64];
    struct home home;
    uv_loop_t loop;
    struct server *s;
    int listen_fd;
    bool refuse, closed;
    struct rpc_request *held[4096]; /* process.stop: waits for the test */
    size_t n_held;
    struct conn_stream *stream; /* logs: the last one */
    unsigned streams_gone;
    size_t list_bytes; /* list: size of the answer */
    char by[600];
};

static inline void on_list(void *arg, struct rpc_request *r)
{
    struct server_bench *b = arg;
    struct buf text = {0};

    snprintf(b->by, sizeof(b->by), "%s", conn_by(r->conn));
    buf_putc(&text, '"');
    buf_reserve(&text, b->list_bytes + 1);
    memset(text.data + 1, 'x', b->list_bytes);
    text.len += b->list_bytes;
    buf_putc(&text, '"');
    rpc_reply_text(r, &text);
}

static inline void on_stop(void *arg, struct rpc_request *r)
{
    struct server_bench *b = arg;

    b->held[b->n_held++] = r;
}

static inline void on_stream_gone(void *arg)
{
    struct server_bench *b = arg;

    b->streams_gone++;
    b->stream = NULL;
}

static inline void on_logs(void *arg, struct rpc_request *r)
{
    struct server_bench *b = arg;

    b->stream = conn_stream_new(r->conn, on_stream_gone, b);
    rpc_reply(r, json_pack("{s:[]}", "lines"));
}

static inline void on_env(void *arg, struct rpc_request *r)
{
    (void)arg;
    conn_set_env(r->conn, json_object_get(r->params, "env"));
    assert_int_equal(json_object_size(conn_env(r->conn)), 1);
    rpc_reply(r, json_object());
}

static inline void on_why(void *arg, struct rpc_request *r)
{
    (void)arg;
    rpc_fail(r, RPC_NO_MATCH, "no \"%s\"", "such\n");
}

static const rpc_handler bench_handlers[METHOD_COUNT] = {
    [M_LIST] = on_list, [M_PROCESS_STOP] = on_stop, [M_KILL] = on_stop,
    [M_LOGS] = on_logs, [M_ENV_SET] = on_env,       [M_WHY] = on_why,
};

static inline bool bench_refuses(void *arg, const struct method *m)
{
    const struct server_bench *b = arg;

    return b->refuse && m->mutates;
}

static inline void server_bench_open(struct server_bench *b)
{
    struct sockaddr_un addr;
    socklen_t len;
    struct server_config cfg;

    signal(SIGPIPE, SIG_IGN); /* as the engine does: libuv writes with write(2) */
    memset(b, 0, sizeof(*b));
    snprintf(b->dir, sizeof(b->dir), "/tmp/pm-server-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    assert_int_equal(home_open(&b->home, b->dir, 0, NULL), 0);
    len = home_sockaddr(&b->home, HOME_SOCKET, &addr);
    b->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(b->listen_fd, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(b->listen_fd, 4096), 0);
    assert_int_equal(uv_loop_init(&b->loop), 0);
    cfg = (struct server_config){.loop = &b->loop,
                                 .listen_fd = b->listen_fd,
                                 .arg = b,
                                 .handlers = bench_handlers,
                                 .home = b->dir,
                                 .keeper_pid = 77,
                                 .refuse = bench_refuses};
    b->s = server_new(&cfg);
    assert_non_null(b->s);
}

static inline void on_server_closed(void *arg)
{
    struct server_bench *b = arg;

    b->closed = true;
}

/* Closes, and proves that nothing is left on the loop and no descriptor but those that were there. */
static inline void server_bench_close(struct server_bench *b)
{
    char path[100];

    server_close(b->s, on_server_closed, b);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_true(b->closed);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    close(b->listen_fd);
    home_close(&b->home);
    snprintf(path, sizeof(path), "%s/%s", b->dir, HOME_SOCKET);
    unlink(path);
    rmdir(b->dir);
}

/* Lets the loop do what it can do now. */
static inline void turn(struct server_bench *b)
{
    for (int i = 0; i < 5; i++)
        uv_run(&b->loop, UV_RUN_NOWAIT);
}

static inline int dial(struct server_bench *b)
{
    struct sockaddr_un addr;
    socklen_t len = home_sockaddr(&b->home, HOME_SOCKET, &addr);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, len), 0);
    turn(b);
    return fd;
}

static inline void say(struct server_bench *b, int fd, const char *text)
{
    size_t len = strlen(text);

    assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
    turn(b);
}

/* Appends what is there now. False at the end of the stream. */
static inline bool hear_more(struct server_bench *b, int fd, struct buf *out)
{
    static char chunk[65536];
    ssize_t n;

    turn(b);
    while ((n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0) {
        buf_append(out, chunk, (size_t)n);
        turn(b);
    }
    return !(n == 0 || (n < 0 && errno == ECONNRESET));
}

static inline void expect_said(struct server_bench *b, int fd, const char *part)
{
    struct buf text = {0};

    hear_more(b, fd, &text);
    assert_non_null(text.data);
    if (!strstr(text.data, part))
        fail_msg("no \"%s\" in: %.300s", part, text.data);
    buf_free(&text);
}

/* All that comes until the other side closes; the loop runs meanwhile. */
static inline void expect_end(struct server_bench *b, int fd, const char *part)
{
    struct buf text = {0};
    int turns = 0;

    while (hear_more(b, fd, &text) && turns++ < 2000)
        usleep(1000);
    assert_true(turns < 2000);
    if (part)
        assert_non_null(strstr(text.data ? text.data : "", part));
    buf_free(&text);
}

static inline int dial_hello(struct server_bench *b)
{
    int fd = dial(b);

    say(b, fd, HELLO);
    expect_said(b, fd, "\"id\":0,\"result\":{");
    return fd;
}

#endif
