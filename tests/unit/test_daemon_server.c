#include "unit.h"

#include "server_bench.h"

#include <sys/resource.h>

#include "daemon/server_int.h"
#include "ipc/frame.h"

static void handshake(void **state)
{
    struct server_bench b;
    int fd;

    (void)state;
    server_bench_open(&b);
    fd = dial(&b);
    say(&b, fd, "{\"id\":1,\"method\":\"list\"}\n");
    expect_said(&b, fd, "\"id\":1,\"error\":{\"code\":-32001");
    say(&b, fd, "{\"id\":\"a\",\"method\":\"ping\"}\n");
    expect_said(&b, fd, "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"result\":{\"msg\":\"pong\"}}\n");
    say(&b, fd, "{\"id\":2,\"method\":\"hello\",\"params\":{\"protocol\":99,\"version\":\"9\"}}\n");
    expect_said(&b, fd, "update the daemon");
    say(&b, fd, "{\"id\":2,\"method\":\"hello\",\"params\":{\"protocol\":0,\"version\":\"0\"}}\n");
    expect_said(&b, fd, "update the client");
    say(&b, fd, "{\"id\":3,\"method\":\"list\"}\n");
    expect_said(&b, fd, "-32001");
    say(&b, fd, "{\"id\":3,\"method\":\"kill\"}\n");
    assert_int_equal(b.n_held, 1);
    rpc_reply(b.held[0], json_object());
    expect_said(&b, fd, "\"id\":3,\"result\":{}");
    say(&b, fd, HELLO);
    expect_said(&b, fd, "\"keeper_pid\":77");
    say(&b, fd, "{\"id\":4,\"method\":\"list\"}\n");
    expect_said(&b, fd, "\"id\":4,\"result\":\"\"}\n");
    assert_non_null(strstr(b.by, "the test (uid "));
    close(fd);
    server_bench_close(&b);
}

static void who_asks_is_one_short_line(void **state)
{
    struct server_bench b;
    struct buf hello = {0};
    int fd;

    (void)state;
    server_bench_open(&b);
    fd = dial(&b);
    buf_puts(&hello,
             "{\"id\":0,\"method\":\"hello\",\"params\":{\"protocol\":1,\"version\":\"t\",\"by\":\"a\\nb");
    for (int i = 0; i < 300; i++)
        buf_puts(&hello, "\xc3\xa9");
    buf_puts(&hello, "\"}}\n{\"id\":1,\"method\":\"list\"}\n");
    say(&b, fd, hello.data);
    expect_said(&b, fd, "\"id\":1,\"result\"");
    assert_true(strlen(b.by) < 250);
    assert_null(strchr(b.by, '\n'));
    assert_non_null(strstr(b.by, "\xc3\xa9 (uid ")); /* not cut inside a character */
    buf_free(&hello);
    close(fd);
    server_bench_close(&b);
}

static void wrong_requests(void **state)
{
    struct server_bench b;
    struct buf bomb = {0};
    int fd;

    (void)state;
    server_bench_open(&b);
    fd = dial_hello(&b);
    say(&b, fd, "garbage\n");
    expect_said(&b, fd, "\"id\":null,\"error\":{\"code\":-32700");
    say(&b, fd, "[1,2]\n");
    expect_said(&b, fd, "-32600");
    say(&b, fd, "{\"id\":[1],\"method\":\"ping\"}\n");
    expect_said(&b, fd, "\"id\":null,\"error\":{\"code\":-32600");
    say(&b, fd, "{\"id\":5,\"method\":\"no.such\"}\n");
    expect_said(&b, fd, "\"id\":5,\"error\":{\"code\":-32601");
    say(&b, fd, "{\"id\":6,\"method\":\"process.stop\",\"params\":{\"selectors\":7}}\n");
    expect_said(&b, fd, "\"selectors\\\" must be an array of strings");
    say(&b, fd, "{\"id\":6,\"method\":\"why\",\"params\":{\"selectors\":[]}}\n");
    expect_said(&b, fd, "\"message\":\"no \\\"such\\n\\\"\"");
    for (unsigned i = 0; i < 100000; i++)
        buf_putc(&bomb, '[');
    buf_putc(&bomb, '\n');
    say(&b, fd, bomb.data);
    expect_said(&b, fd, "nested deeper");
    say(&b, fd, "\r\n  \n{\"id\":7,\"method\":\"ping\"}\r\n");
    expect_said(&b, fd, "pong");
    buf_free(&bomb);
    close(fd);
    server_bench_close(&b);
}

static void notifications_get_no_answer(void **state)
{
    struct server_bench b;
    struct buf text = {0};
    int fd;

    (void)state;
    server_bench_open(&b);
    fd = dial_hello(&b);
    say(&b, fd,
        "{\"method\":\"list\"}\n{\"method\":\"none\"}\n{\"method\":\"why\"}\n{\"method\":\"process.stop\","
        "\"params\":{\"selectors\":[]}}\n");
    assert_int_equal(b.n_held, 1);
    rpc_reply(b.held[0], json_null());
    hear_more(&b, fd, &text);
    assert_int_equal(text.len, 0);
    close(fd);
    server_bench_close(&b);
}

static void pieces_and_halves(void **state)
{
    static const char text[] = HELLO "{\"id\":1,\"method\":\"env.set\",\"params\":{\"env\":{\"A\":\"b\"}}}\n";
    struct server_bench b;
    int fd, half;

    (void)state;
    server_bench_open(&b);
    fd = dial(&b);
    half = dial(&b);
    say(&b, half, "{\"id\":1,\"meth");
    for (const char *p = text; *p; p++) {
        assert_int_equal(send(fd, p, 1, 0), 1);
        turn(&b);
    }
    expect_said(&b, fd, "\"id\":1,\"result\":{}");
    close(half);
    close(fd);
    server_bench_close(&b);
}

static void ten_megabytes(void **state)
{
    struct server_bench b;
    char *big = xmalloc(1 << 16);
    ssize_t sent = 0, n = 0;
    int fd;

    (void)state;
    memset(big, 'x', 1 << 16);
    server_bench_open(&b);
    fd = dial_hello(&b);
    while (sent < 10 << 20) {
        n = send(fd, big, 1 << 16, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            break;
        sent += n > 0 ? n : 0;
        turn(&b);
        if (n < 0 && sent > 2 << 20)
            break;
    }
    assert_true(n < 0); /* it stopped reading long before */
    expect_end(&b, fd, "longer than 1 MiB");
    close(fd);
    free(big);
    server_bench_close(&b);
}

static void half_close_still_gets_answers(void **state)
{
    struct server_bench b;
    int fd;

    (void)state;
    server_bench_open(&b);
    fd = dial_hello(&b);
    b.list_bytes = 3 << 20; /* more than the socket takes at once */
    say(&b, fd,
        "{\"id\":1,\"method\":\"process.stop\",\"params\":{\"selectors\":[]}}\n{\"id\":2,\"method\":\"list\"}"
        "\n");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    turn(&b);
    assert_int_equal(b.n_held, 1);
    rpc_reply(b.held[0], json_pack("{s:s}", "late", "answer"));
    expect_end(&b, fd, "\"late\":\"answer\"");
    close(fd);
    server_bench_close(&b);
}

static void connection_gone_before_the_answer(void **state)
{
    struct server_bench b;
    int fd;

    (void)state;
    server_bench_open(&b);
    for (int i = 0; i < 3; i++) {
        fd = dial_hello(&b);
        say(&b, fd, "{\"id\":1,\"method\":\"process.stop\",\"params\":{\"selectors\":[]}}\n");
        say(&b, fd, "{\"id\":2,\"method\":\"list\"}\n"); /* its answer stays unread: the close is a reset */
        close(fd);
        turn(&b);
    }
    assert_int_equal(b.n_held, 3);
    rpc_reply(b.held[0], json_object());
    turn(&b);
    rpc_fail(b.held[1], RPC_FAILED, "too late");
    server_bench_close(&b);
    assert_null(b.held[2]->conn);
    rpc_reply(b.held[2], json_object()); /* also after the server is gone */
}

static void refused_while_shutting_down(void **state)
{
    struct server_bench b;
    int fd;

    (void)state;
    server_bench_open(&b);
    fd = dial_hello(&b);
    b.refuse = true;
    say(&b, fd, "{\"id\":1,\"method\":\"process.stop\",\"params\":{\"selectors\":[]}}\n");
    expect_said(&b, fd, "-32013");
    say(&b, fd, "{\"id\":1,\"method\":\"list\"}\n");
    expect_said(&b, fd, "result");
    server_bench_close(&b);
    assert_int_equal(recv(fd, &(char){0}, 1, 0), 0); /* closed */
    close(fd);
}

/* What was answered before the close reaches a client that reads slowly. */
static void close_flushes(void **state)
{
    struct server_bench b;
    char *text = xmalloc(200000);
    int fd;

    (void)state;
    server_bench_open(&b);
    fd = dial_hello(&b);
    b.list_bytes = 100000;
    assert_true(send(fd, "{\"id\":1,\"method\":\"list\"}\n", 25, 0) == 25);
    turn(&b);
    server_bench_close(&b);
    assert_true(recv(fd, text, 200000, MSG_WAITALL) > 100000);
    free(text);
    close(fd);
}

static void pipelining_is_bounded(void **state)
{
    static const char one[] = "{\"id\":1,\"method\":\"process.stop\",\"params\":{\"selectors\":[]}}\n";
    struct server_bench b;
    struct buf text = {0};
    size_t answered = 0, sent = 0;
    int fd, other;

    (void)state;
    server_bench_open(&b);
    fd = dial_hello(&b);
    other = dial_hello(&b);
    while (sent < 20000 && send(fd, one, sizeof(one) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(one) - 1) {
        sent++;
        turn(&b);
    }
    assert_int_equal(b.n_held, IN_FLIGHT_MAX);
    assert_true(sent > b.n_held);
    say(&b, other, "{\"id\":9,\"method\":\"ping\"}\n");
    expect_said(&b, other, "pong");
    while (answered < b.n_held) {
        for (; answered < b.n_held; answered++)
            rpc_reply(b.held[answered], json_object());
        hear_more(&b, fd, &text);
    }
    assert_int_equal(answered, sent);
    buf_free(&text);
    close(fd);
    close(other);
    server_bench_close(&b);
}

/* Large answers that nobody reads: no further requests are taken, and others are served. */
static void unread_answers(void **state)
{
    struct server_bench b;
    struct buf text = {0};
    int fd, other;
    size_t sent = 0;

    (void)state;
    server_bench_open(&b);
    fd = dial_hello(&b);
    other = dial_hello(&b);
    b.list_bytes = 512 << 10;
    for (int i = 0; i < 200; i++) {
        if (send(fd, "{\"id\":1,\"method\":\"list\"}\n", 25, MSG_NOSIGNAL) == 25)
            sent++;
        turn(&b);
    }
    say(&b, other, "{\"id\":9,\"method\":\"ping\"}\n");
    expect_said(&b, other, "pong");
    for (int i = 0; i < 1000 && text.len < sent * b.list_bytes; i++)
        assert_true(hear_more(&b, fd, &text));
    assert_true(text.len > sent * b.list_bytes);
    buf_free(&text);
    close(fd);
    close(other);
    server_bench_close(&b);
}

static void beyond_the_queue_it_is_closed(void **state)
{
    struct server_bench b;
    struct buf many = {0};
    int fd;

    (void)state;
    server_bench_open(&b);
    fd = dial_hello(&b);
    b.list_bytes = 8 << 20;
    for (int i = 0; i < 20; i++)
        buf_puts(&many, "{\"id\":1,\"method\":\"process.stop\",\"params\":{\"selectors\":[]}}\n");
    say(&b, fd, many.data);
    assert_int_equal(b.n_held, 20);
    for (int i = 0; i < 20; i++)
        on_list(&b, b.held[i]);
    turn(&b);
    assert_int_equal(b.s->n_conns, 0);
    buf_free(&many);
    close(fd);
    server_bench_close(&b);
}

static void slow_subscriber(void **state)
{
    struct server_bench b;
    struct buf text = {0};
    char line[1000];
    unsigned long long missed = 0, got = 0;
    int fd;

    (void)state;
    server_bench_open(&b);
    fd = dial_hello(&b);
    say(&b, fd, "{\"id\":1,\"method\":\"logs\",\"params\":{\"selectors\":[],\"follow\":true}}\n");
    expect_said(&b, fd, "\"lines\":[]");
    memset(line, 'y', sizeof(line));
    line[sizeof(line) - 1] = '!';
    for (int i = 0; i < 10000; i++)
        conn_stream_send(b.stream, "log", line, sizeof(line), 2);
    conn_stream_missed(b.stream, 5);
    for (int i = 0; i < 20; i++)
        hear_more(&b, fd, &text);
    conn_stream_send(b.stream, "log", "{}", 2, 1);
    hear_more(&b, fd, &text);
    for (char *at = text.data; at < text.data + text.len; at = strchr(at, '\n') + 1) {
        const char *told = strncmp(at, "{\"jsonrpc\"", 10) == 0 ? strstr(at, "\"missed\":") : NULL;

        if (told)
            missed += strtoull(told + 9, NULL, 10);
        else if (*at == 'y')
            got += 2;
    }
    assert_int_equal(got + missed, 20005);
    assert_true(missed > 10000);
    assert_string_equal(text.data + text.len - 3, "{}\n");
    buf_free(&text);
    close(fd);
    turn(&b);
    assert_int_equal(b.streams_gone, 1);
    server_bench_close(&b);
}

/* One message that is larger than the bound of the queue still goes out when there is nothing before it. */
static void large_notification(void **state)
{
    struct server_bench b;
    struct buf text = {0};
    char *line = xmalloc(2 << 20);
    int fd;

    (void)state;
    memset(line, 'z', 2 << 20);
    server_bench_open(&b);
    fd = dial_hello(&b);
    say(&b, fd, "{\"id\":1,\"method\":\"logs\",\"params\":{\"selectors\":[]}}\n");
    expect_said(&b, fd, "\"lines\":[]");
    conn_stream_send(b.stream, "log", line, 2 << 20, 1);
    for (int i = 0; i < 20; i++)
        hear_more(&b, fd, &text);
    assert_int_equal(text.len, (2 << 20) + 1);
    conn_stream_free(b.stream);
    buf_free(&text);
    free(line);
    close(fd);
    server_bench_close(&b);
    assert_int_equal(b.streams_gone, 0);
}

static void thousands_of_idle_connections(void **state)
{
    struct server_bench b;
    struct rlimit lim, old;
    int fds[2100], n = 0, fd;

    (void)state;
    getrlimit(RLIMIT_NOFILE, &old);
    lim = old;
    lim.rlim_cur = lim.rlim_max < 8192 ? lim.rlim_max : 8192;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
    if (lim.rlim_cur < 4000)
        skip();
    server_bench_open(&b);
    while (n < 2000)
        fds[n++] = dial(&b);
    assert_int_equal(b.s->n_conns, CONNECTIONS_MAX);
    fd = dial_hello(&b); /* the oldest that says nothing gives way */
    expect_end(&b, fds[0], "too many connections");
    assert_int_equal(b.s->n_conns, CONNECTIONS_MAX);
    /* and when all have said hello, the new one is turned away */
    for (int i = 0; i < n; i++)
        close(fds[i]);
    turn(&b);
    for (n = 0; b.s->n_conns < CONNECTIONS_MAX; n++)
        fds[n] = dial_hello(&b);
    fds[n] = dial(&b);
    expect_end(&b, fds[n], "too many connections");
    for (; n >= 0; n--)
        close(fds[n]);
    close(fd);
    server_bench_close(&b);
    setrlimit(RLIMIT_NOFILE, &old);
}

/* Without descriptors the loop must neither spin nor forget the one that waits. */
static void out_of_descriptors(void **state)
{
    struct server_bench b;
    struct rlimit lim, old;
    int fd, spare;
    uint64_t before;

    (void)state;
    server_bench_open(&b);
    fd = dial_hello(&b);
    close(fd);
    turn(&b);
    getrlimit(RLIMIT_NOFILE, &old);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    spare = dup(fd);
    close(spare);
    lim = old;
    lim.rlim_cur = (rlim_t)spare;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
    {
        struct sockaddr_un addr;
        socklen_t len = home_sockaddr(&b.home, HOME_SOCKET, &addr);

        assert_int_equal(connect(fd, (struct sockaddr *)&addr, len), 0);
    }
    before = uv_now(&b.loop);
    for (int i = 0; i < 4; i++)
        uv_run(&b.loop, UV_RUN_ONCE); /* a wait or an end of the pause each, not a busy turn */
    uv_update_time(&b.loop);
    assert_true(uv_now(&b.loop) - before >= 100);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    for (int i = 0; i < 400 && b.s->n_conns == 0; i++) {
        usleep(1000);
        turn(&b);
    }
    say(&b, fd, HELLO);
    expect_said(&b, fd, "keeper_pid");
    close(fd);
    server_bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshake),
        cmocka_unit_test(who_asks_is_one_short_line),
        cmocka_unit_test(wrong_requests),
        cmocka_unit_test(notifications_get_no_answer),
        cmocka_unit_test(pieces_and_halves),
        cmocka_unit_test(ten_megabytes),
        cmocka_unit_test(half_close_still_gets_answers),
        cmocka_unit_test(connection_gone_before_the_answer),
        cmocka_unit_test(refused_while_shutting_down),
        cmocka_unit_test(close_flushes),
        cmocka_unit_test(pipelining_is_bounded),
        cmocka_unit_test(unread_answers),
        cmocka_unit_test(beyond_the_queue_it_is_closed),
        cmocka_unit_test(slow_subscriber),
        cmocka_unit_test(large_notification),
        cmocka_unit_test(thousands_of_idle_connections),
        cmocka_unit_test(out_of_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
