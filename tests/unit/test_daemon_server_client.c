/* The blocking client against the real server, which runs on a thread of its own. */
#include "unit.h"

#include "server_bench.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "ipc/client.h"

struct pair {
    struct server_bench b;
    struct rpc_client c;
    pthread_t thread;
    uv_async_t stop;
};

static void on_stop_server(uv_async_t *stop)
{
    struct pair *p = stop->data;

    for (size_t i = 0; i < p->b.n_held; i++)
        rpc_reply(p->b.held[i], json_object());
    p->b.n_held = 0;
    uv_close((uv_handle_t *)stop, NULL);
    server_close(p->b.s, on_server_closed, &p->b);
}

static void *serve(void *arg)
{
    struct pair *p = arg;

    uv_run(&p->b.loop, UV_RUN_DEFAULT);
    return NULL;
}

static void pair_open(struct pair *p, const char *by)
{
    struct err e = {0};
    sigset_t alarm_only;

    server_bench_open(&p->b);
    uv_async_init(&p->b.loop, &p->stop, on_stop_server);
    p->stop.data = p;
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm_only, NULL);
    assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
    pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
    assert_int_equal(rpc_connect(&p->c, &p->b.home, by, 5000, &e), 0);
}

static void pair_close(struct pair *p)
{
    char path[100];

    rpc_close(&p->c);
    uv_async_send(&p->stop);
    pthread_join(p->thread, NULL);
    assert_true(p->b.closed);
    assert_int_equal(uv_loop_close(&p->b.loop), 0);
    close(p->b.listen_fd);
    home_close(&p->b.home);
    snprintf(path, sizeof(path), "%s/%s", p->b.dir, HOME_SOCKET);
    unlink(path);
    rmdir(p->b.dir);
}

static json_t *selectors(void)
{
    return json_pack("{s:[s]}", "selectors", "all");
}

static void calls(void **state)
{
    static struct pair p;
    json_t *result = NULL;
    struct err e = {0};

    (void)state;
    pair_open(&p, "a test \xff\n");
    assert_int_equal(json_integer_value(json_object_get(p.c.server, "keeper_pid")), 77);
    assert_int_equal(rpc_call(&p.c, "ping", NULL, 5000, &result, &e), 0);
    assert_string_equal(json_string_value(json_object_get(result, "msg")), "pong");
    json_decref(result);
    assert_int_equal(rpc_call(&p.c, "why", selectors(), 5000, &result, &e), 32011);
    assert_int_equal(e.code, RPC_NO_MATCH);
    assert_string_equal(e.msg, "no \"such\n\"");
    assert_null(result);
    assert_int_equal(rpc_call(&p.c, "none", NULL, 5000, NULL, &e), 32601);
    assert_int_equal(rpc_call(&p.c, "list", NULL, -1, NULL, &e), 0);
    assert_non_null(strstr(p.b.by, "a test \xef\xbf\xbd  (uid"));
    pair_close(&p);
}

static void large_answer_untouched(void **state)
{
    static struct pair p;
    struct rpc_text result;
    struct err e = {0};

    (void)state;
    pair_open(&p, NULL);
    p.b.list_bytes = 40 << 20;
    assert_int_equal(rpc_call_raw(&p.c, "list", NULL, 20000, &result, &e), 0);
    assert_int_equal(result.len, (40 << 20) + 2);
    assert_int_equal(result.text[0], '"');
    assert_int_equal(result.text[result.len - 1], '"');
    assert_int_equal(result.text[result.len], '\0');
    rpc_text_free(&result);
    assert_int_equal(rpc_call_raw(&p.c, "why", selectors(), 5000, &result, &e), 32011);
    assert_null(result.text);
    pair_close(&p);
}

static void too_large_request(void **state)
{
    static struct pair p;
    struct err e = {0};
    char *big = xcalloc(1, (2 << 20) + 1);

    (void)state;
    memset(big, 'x', 2 << 20);
    pair_open(&p, NULL);
    assert_int_equal(rpc_call(&p.c, "list", json_pack("{s:s}", "x", big), 5000, NULL, &e), -EMSGSIZE);
    assert_int_equal(rpc_call(&p.c, "ping", NULL, 5000, NULL, &e), 0);
    free(big);
    pair_close(&p);
}

static void on_alarm(int sig)
{
    (void)sig;
}

static void timeout_and_interrupt(void **state)
{
    static struct pair p;
    struct err e = {0};
    struct sigaction sa = {.sa_handler = on_alarm};
    const struct itimerval in = {.it_value = {.tv_usec = 100000}};
    json_t *result = NULL;

    (void)state;
    pair_open(&p, NULL);
    assert_int_equal(rpc_call(&p.c, "process.stop", selectors(), 50, NULL, &e), -ETIMEDOUT);
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &in, NULL);
    assert_int_equal(rpc_call(&p.c, "process.stop", selectors(), -1, NULL, &e), -EINTR);
    assert_int_equal(rpc_call(&p.c, "ping", NULL, 5000, &result, &e), 0);
    json_decref(result);
    pair_close(&p);
}

/* Stands in for a daemon: says these bytes to the first that connects, after it has said something. */
struct fake {
    int fd;
    const char *says;
};

static void *fake_daemon(void *arg)
{
    const struct fake *f = arg;
    int fd = accept(f->fd, NULL, NULL);
    char sink[4096];

    if (f->says) {
        assert_true(recv(fd, sink, sizeof(sink), 0) > 0);
        assert_int_equal(send(fd, f->says, strlen(f->says), MSG_NOSIGNAL), strlen(f->says));
        while (recv(fd, sink, sizeof(sink), 0) > 0)
            ;
    }
    close(fd);
    return NULL;
}

static int with_fake(struct rpc_client *c, struct server_bench *b, const char *says, pthread_t *thread,
                     struct err *e)
{
    static struct fake f;
    struct sockaddr_un addr;
    socklen_t len;

    memset(b, 0, sizeof(*b));
    snprintf(b->dir, sizeof(b->dir), "/tmp/pm-server-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    assert_int_equal(home_open(&b->home, b->dir, 0, NULL), 0);
    len = home_sockaddr(&b->home, HOME_SOCKET, &addr);
    assert_int_equal(rpc_connect(c, &b->home, "x", 1000, e), -ENOENT);
    f = (struct fake){socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), says};
    assert_int_equal(bind(f.fd, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(rpc_connect(c, &b->home, "x", 1000, e), -ECONNREFUSED);
    assert_int_equal(listen(f.fd, 1), 0);
    b->listen_fd = f.fd;
    assert_int_equal(pthread_create(thread, NULL, fake_daemon, &f), 0);
    return rpc_connect(c, &b->home, "x", 5000, e);
}

static void fake_close(struct rpc_client *c, struct server_bench *b, pthread_t thread)
{
    char path[100];

    rpc_close(c);
    pthread_join(thread, NULL);
    close(b->listen_fd);
    home_close(&b->home);
    snprintf(path, sizeof(path), "%s/%s", b->dir, HOME_SOCKET);
    unlink(path);
    rmdir(b->dir);
}

static void other_version(void **state)
{
    struct server_bench b;
    struct rpc_client c;
    struct err e = {0};
    pthread_t thread;

    (void)state;
    assert_int_equal(
        with_fake(&c, &b,
                  "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32001,\"message\":\"update "
                  "the client\"}}\n{\"id\":2,\"result\":{}}\n",
                  &thread, &e),
        -EPROTO);
    assert_string_equal(e.msg, "update the client");
    assert_int_equal(rpc_call(&c, "kill", NULL, 1000, NULL, &e), 0); /* still usable */
    fake_close(&c, &b, thread);
}

static void turned_away(void **state)
{
    static const char *const says[] = {
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32002,\"message\":\"another user\"}}\n", NULL,
        "this is no daemon\n"};
    static const int rcs[] = {-EPERM, -ECONNRESET, -EBADMSG};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct server_bench b;
        struct rpc_client c;
        struct err e = {0};
        pthread_t thread;

        assert_int_equal(with_fake(&c, &b, says[i], &thread, &e), rcs[i]);
        assert_int_equal(c.fd, -1);
        assert_true(e.msg[0] != '\0');
        fake_close(&c, &b, thread);
    }
}

static void notifications_during_calls(void **state)
{
    struct server_bench b;
    struct rpc_client c;
    struct err e = {0};
    pthread_t thread;
    json_t *msg = NULL;
    struct buf says = {0};
    struct rpc_text text;

    (void)state;
    for (int i = 0; i < 12000; i++)
        buf_printf(&says, "{\"method\":\"log\",\"params\":{\"lines\":[%d,0]}}\n", i);
    buf_puts(&says, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
    buf_puts(&says,
             "{\"method\":\"log\",\"params\":{\"missed\":7}}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":[1]}\n"
             "{\"method\":\"log\",\"params\":{\"lines\":[]}}\n");
    assert_int_equal(with_fake(&c, &b, says.data, &thread, &e), 0);
    assert_int_equal(rpc_call_raw(&c, "list", NULL, 1000, &text, &e), 0);
    assert_string_equal(text.text, "[1]");
    rpc_text_free(&text);
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(rpc_next(&c, 0, &msg, &e), 0);
        assert_int_equal(
            json_integer_value(json_array_get(json_object_get(json_object_get(msg, "params"), "lines"), 0)),
            i);
        json_decref(msg);
    }
    assert_int_equal(rpc_next(&c, 0, &msg, &e), 0);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(msg, "params"), "missed")),
                     2 * 2000 + 7);
    json_decref(msg);
    assert_int_equal(rpc_next(&c, 1000, &msg, &e), 0);
    json_decref(msg);
    assert_int_equal(rpc_next(&c, 20, &msg, &e), -ETIMEDOUT);
    fake_close(&c, &b, thread);
    buf_free(&says);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls),
        cmocka_unit_test(large_answer_untouched),
        cmocka_unit_test(too_large_request),
        cmocka_unit_test(timeout_and_interrupt),
        cmocka_unit_test(other_version),
        cmocka_unit_test(turned_away),
        cmocka_unit_test(notifications_during_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
