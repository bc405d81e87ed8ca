/* The primary's half of Node's cluster against scripted workers: a socket pair each, the real loop, real
 * listening sockets. The keeper's part (KW_ANSWER) is played here. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "daemon/channel.h"
#include "daemon/cluster.h"
#include "daemon/engine.h"
#include "daemon/sockets.h"
#include "daemon/users.h"

#define WORKERS 3

static struct engine e;
static struct cluster *cluster;
static char folder[40];
static int fds_before;

/* One worker as the test plays it. */
struct script {
    struct worker *w;
    struct cluster_run run;
    int ours, theirs; /* the ends of the channel */
    int state;
    struct buf in; /* what came from the primary and is not looked at yet */
    int fds[16];   /* that came along */
    int n_fds;
};
static struct script scripts[WORKERS];

static struct {
    struct buf messages;
    unsigned listening, drained, answers;
    bool keeper_full; /* it says EAGAIN */
    bool keeper_mute; /* it dies with what it was asked for */
    bool no_keeper;
    uint64_t given; /* token of what the worker has as descriptor 3 */
    bool peek;      /* then: what is in the channel when that is asked */
    char peeked[64];
} world;

static int count_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static struct script *script_of(uint64_t run)
{
    for (int i = 0; i < WORKERS; i++)
        if (scripts[i].run.run == run)
            return &scripts[i];
    fail_msg("no worker with run %llu", (unsigned long long)run);
    return NULL;
}

static void on_message(void *arg, uint64_t run, const char *line, size_t len)
{
    (void)arg;
    (void)run;
    buf_append(&world.messages, line, len < 200 ? len : 200);
    buf_putc(&world.messages, '|');
}

static void on_listening(void *arg, uint64_t run)
{
    (void)arg;
    (void)run;
    world.listening++;
}

static void on_drained(void *arg, uint64_t run)
{
    (void)arg;
    (void)run;
    world.drained++;
}

struct late {
    uv_timer_t timer;
    uint64_t run;
    bool once;
    int error;
};

static void late_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void late_answer(uv_timer_t *timer)
{
    struct late *l = timer->data;
    struct script *s = script_of(l->run);

    if (s->w)
        cluster_answered(s->w, l->once, l->error);
    uv_close((uv_handle_t *)timer, late_closed);
}

/* As keeper/answer.c; the answer comes in a later turn. */
static int answer(void *arg, uint64_t run, size_t consume, const char *line, bool once)
{
    struct script *s = script_of(run);
    char waste[65536];
    struct late *l;

    (void)arg;
    if (world.no_keeper)
        return -ENOTSUP;
    l = xcalloc(1, sizeof(*l));
    l->run = run;
    l->once = once;
    l->error = world.keeper_full ? EAGAIN : 0;
    if (!world.keeper_full) {
        assert_true(consume <= sizeof(waste));
        if (consume)
            assert_int_equal(recv(s->ours, waste, consume, MSG_DONTWAIT), consume);
        assert_int_equal(send(s->ours, line, strlen(line), MSG_DONTWAIT), strlen(line));
        world.answers++;
    }
    world.keeper_full = false;
    uv_timer_init(&e.loop, &l->timer);
    l->timer.data = l;
    if (world.keeper_mute)
        uv_close((uv_handle_t *)&l->timer, late_closed);
    else
        uv_timer_start(&l->timer, late_answer, 1, 0);
    return 0;
}

static void keep_state(void *arg, uint64_t run, int take_fd)
{
    struct script *s = script_of(run);

    (void)arg;
    assert_true(s->state < 0);
    s->state = take_fd;
}

static uint64_t given(void *arg, uint64_t run, int number)
{
    (void)arg;
    if (world.peek)
        recv(script_of(run)->ours, world.peeked, sizeof(world.peeked), MSG_PEEK | MSG_DONTWAIT);
    return number == 3 ? world.given : 0;
}

static const struct cluster_hooks hooks = {.message = on_message,
                                           .listening = on_listening,
                                           .drained = on_drained,
                                           .answer = answer,
                                           .keep_state = keep_state,
                                           .given = given};

static uint64_t mono(void *ctx)
{
    (void)ctx;
    return clock_mono_ms();
}

static void timer_clear(void *ctx, struct process *p, enum sys_timer which)
{
    (void)ctx;
    (void)p;
    (void)which;
}

static int setup(void **state)
{
    static struct sys sys;
    struct app_spec *spec = app_spec_new();
    struct app *a;

    (void)state;
    alarm(60);
    fds_before = count_fds();
    memset(&world, 0, sizeof(world));
    e = (struct engine){.keeper_version = KW_VERSION};
    uv_loop_init(&e.loop);
    sys = (struct sys){.ctx = &e, .mono_ms = mono, .wall_ms = mono, .timer_clear = timer_clear};
    e.sup = supervisor_new(&sys);
    e.users = users_open(&e.loop, users_ask);
    e.sockets = sockets_new(&e);
    cluster = cluster_new(&e.loop, e.sockets, &hooks);
    spec->name = xstrdup("web");
    spec->script = xstrdup("/bin/true");
    a = supervisor_add_app(e.sup, 1, spec);
    supervisor_add_process(e.sup, a, 0, -1)->state = LC_ONLINE;
    snprintf(folder, sizeof(folder), "/tmp/pm-cluster-XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (int i = 0; i < WORKERS; i++)
        scripts[i] = (struct script){.ours = -1, .theirs = -1, .state = -1};
    return 0;
}

static void turn(void)
{
    uv_run(&e.loop, UV_RUN_NOWAIT);
}

static void attach(struct script *s)
{
    s->run.fd = s->ours;
    s->run.state_fd = s->state;
    s->w = cluster_attach(cluster, &s->run);
    assert_non_null(s->w);
}

static struct script *worker(int i, enum cluster_schedule schedule)
{
    struct script *s = &scripts[i];
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    s->ours = pair[0];
    s->theirs = pair[1];
    s->run = (struct cluster_run){
        .run = (uint64_t)i + 1, .app = 1, .instance = (uint32_t)i, .is_worker = true, .schedule = schedule};
    attach(s);
    return s;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void drop(struct script *s)
{
    cluster_detach(s->w);
    s->w = NULL;
    turn();
    sockets_run_ended(e.sockets, s->run.run);
    while (s->n_fds > 0)
        close(s->fds[--s->n_fds]);
    close_fd(&s->ours);
    close_fd(&s->theirs);
    close_fd(&s->state);
    buf_free(&s->in);
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < WORKERS; i++)
        drop(&scripts[i]);
    cluster_free(cluster);
    users_close(e.users);
    sockets_free(e.sockets);
    uv_run(&e.loop, UV_RUN_DEFAULT);
    supervisor_free(e.sup);
    assert_int_equal(uv_loop_close(&e.loop), 0);
    rmdir(folder);
    buf_free(&world.messages);
    assert_int_equal(count_fds(), fds_before);
    return 0;
}

/* The engine dies and another takes over: nothing but channel and state is left. */
static void crash(void)
{
    for (int i = 0; i < WORKERS; i++) {
        cluster_detach(scripts[i].w);
        scripts[i].w = NULL;
    }
    for (int i = 0; i < 3; i++)
        turn();
    cluster_free(cluster);
    turn();
    cluster = cluster_new(&e.loop, e.sockets, &hooks);
    for (int i = 0; i < WORKERS; i++)
        if (scripts[i].ours >= 0)
            attach(&scripts[i]);
}

static void say(struct script *s, const char *line)
{
    struct buf b = {0};

    buf_puts(&b, line);
    buf_putc(&b, '\n');
    assert_int_equal(send(s->theirs, b.data, b.len, 0), b.len);
    buf_free(&b);
}

/* As Node sends a handle: a descriptor with the first byte. */
static void say_fd(struct script *s, const char *line, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov[2] = {{(void *)(uintptr_t)line, strlen(line)}, {(void *)(uintptr_t) "\n", 1}};
    struct msghdr m = {.msg_iov = iov,
                       .msg_iovlen = 2,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof(control.bytes)};

    control.align = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
    assert_int_equal(sendmsg(s->theirs, &m, 0), strlen(line) + 1);
}

static void take(struct script *s)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * 4)];
    } control;
    char data[65536];
    struct iovec iov = {data, sizeof(data)};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(s->theirs, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (n <= 0)
        return;
    buf_append(&s->in, data, (size_t)n);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        assert_int_equal(c->cmsg_len, CMSG_LEN(sizeof(int)));
        assert_true(s->n_fds < 16);
        memcpy(&s->fds[s->n_fds++], CMSG_DATA(c), sizeof(int));
    }
}

/* The next line as JSON; NULL when none comes within `ms`. The caller frees. */
static json_t *next_within(struct script *s, unsigned ms)
{
    uint64_t end = clock_mono_ms() + ms;
    char *nl;

    do {
        turn();
        take(s);
        nl = s->in.len ? memchr(s->in.data, '\n', s->in.len) : NULL;
        if (nl) {
            size_t skip = *s->in.data == CHANNEL_BUN_MARK;
            json_t *j =
                json_loadb(s->in.data + skip, (size_t)(nl - s->in.data) - skip, JSON_DECODE_ANY, NULL);

            if (!j)
                fail_msg("not JSON: %.*s", (int)(nl - s->in.data), s->in.data);
            buf_consume(&s->in, (size_t)(nl - s->in.data) + 1);
            return j;
        }
        usleep(500);
    } while (clock_mono_ms() < end);
    return NULL;
}

static json_t *next(struct script *s)
{
    json_t *j = next_within(s, 10000);

    if (!j)
        fail_msg("the primary said nothing to worker %d", (int)s->run.run);
    return j;
}

static void silence(struct script *s)
{
    json_t *j = next_within(s, 40);

    if (j)
        fail_msg("unexpected: %s", json_dumps(j, 0));
}

static const char *text_of(const json_t *j, const char *key)
{
    const char *t = json_string_value(json_object_get(j, key));

    return t ? t : "";
}

static int64_t number_of(const json_t *j, const char *key)
{
    const json_t *n = json_object_get(j, key);

    return json_is_integer(n) ? json_integer_value(n) : -1000000;
}

/* queryServer for a TCP address. */
static void ask(struct script *s, const char *address, int port, int seq)
{
    char line[400];

    snprintf(line, sizeof(line),
             "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,\"address\":%s,"
             "\"port\":%d,\"addressType\":4,\"backlog\":0,\"seq\":%d}",
             address, port, seq);
    say(s, line);
}

static void say_listening(struct script *s, const char *address, int port, int seq)
{
    char line[400];

    snprintf(line, sizeof(line),
             "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"listening\",\"index\":0,\"data\":null,\"address\":%s,"
             "\"port\":%d,\"addressType\":4,\"backlog\":0,\"seq\":%d}",
             address, port, seq);
    say(s, line);
}

#define LOCAL "\"127.0.0.1\""
#define ACK   "{\"cmd\":\"NODE_HANDLE_ACK\"}"
#define NACK  "{\"cmd\":\"NODE_HANDLE_NACK\"}"

static int port_of(int fd)
{
    struct sockaddr_in a = {0};
    socklen_t len = sizeof(a);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    return ntohs(a.sin_port);
}

static bool is_listening(int fd)
{
    int on = 0;
    socklen_t len = sizeof(on);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

/* The reply with a socket; its port. The key goes to `key`. */
static int expect_socket(struct script *s, int seq, char key[32])
{
    json_t *j = next(s), *msg = json_object_get(j, "msg");
    int had = s->n_fds;

    assert_string_equal(text_of(j, "cmd"), "NODE_HANDLE");
    assert_string_equal(text_of(j, "type"), "net.Native");
    assert_string_equal(text_of(msg, "cmd"), "NODE_CLUSTER");
    assert_int_equal(number_of(msg, "ack"), seq);
    assert_int_equal(number_of(msg, "errno"), 0);
    assert_true(json_object_get(msg, "data") != NULL);
    snprintf(key, 32, "%s", text_of(msg, "key"));
    json_decref(j);
    assert_true(had > 0);
    assert_true(is_listening(s->fds[had - 1]));
    return port_of(s->fds[had - 1]);
}

static void expect_error(struct script *s, int seq, int error)
{
    json_t *j = next(s);

    assert_string_equal(text_of(j, "cmd"), "NODE_CLUSTER");
    assert_int_equal(number_of(j, "ack"), seq);
    assert_int_equal(number_of(j, "errno"), error);
    assert_true(json_object_get(j, "data") != NULL);
    json_decref(j);
}

static void close_taken(struct script *s)
{
    while (s->n_fds > 0)
        close(s->fds[--s->n_fds]);
}

static int connect_to(int port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

/* --- shared sockets --- */

static void workers_get_the_same_socket(void **state)
{
    struct script *a = worker(0, CLUSTER_SHARED), *b = worker(1, CLUSTER_SHARED);
    char ka[32], kb[32];
    int port;

    (void)state;
    say(a, "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\",\"seq\":0}");
    ask(a, LOCAL, 0, 1);
    port = expect_socket(a, 1, ka);
    say(a, ACK);
    assert_false(cluster_listens(a->w));
    say_listening(a, LOCAL, port, 2);
    while (!world.listening)
        turn();
    assert_true(cluster_listens(a->w));
    ask(b, LOCAL, 0, 1);
    assert_int_equal(expect_socket(b, 1, kb), port);
    assert_string_equal(ka, kb);
    say(b, ACK);
    assert_false(cluster_listens_as(b->w, a->w));
    say_listening(b, LOCAL, port, 2);
    while (world.listening < 2)
        turn();
    assert_true(cluster_listens_as(b->w, a->w));
    silence(a);
    silence(b);
}

static void errors_are_those_of_node(void **state)
{
    struct script *a = worker(0, CLUSTER_SHARED);
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char key[32];
    int port;

    (void)state;
    assert_int_equal(bind(other, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(other, 1), 0);
    ask(a, LOCAL, port_of(other), 1);
    expect_error(a, 1, -EADDRINUSE);
    ask(a, "\"192.0.2.1\"", 0, 2);
    expect_error(a, 2, -EADDRNOTAVAIL);
    say(a, "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,\"address\":null,"
           "\"port\":null,\"addressType\":null,\"fd\":7,\"seq\":3}");
    expect_error(a, 3, -EBADF);
    ask(a, LOCAL, 99999, 4);
    expect_error(a, 4, -EINVAL);
    /* A second bind of what it has already. */
    ask(a, LOCAL, 0, 5);
    port = expect_socket(a, 5, key);
    say(a, ACK);
    ask(a, LOCAL, port, 6);
    expect_error(a, 6, -EADDRINUSE);
    close(other);
}

static void handles_go_one_at_a_time(void **state)
{
    struct script *a = worker(0, CLUSTER_SHARED);
    char k1[32], k2[32];

    (void)state;
    ask(a, LOCAL, 0, 1);
    say(a, "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":1,\"data\":null,\"address\":" LOCAL
           ",\"port\":0,\"addressType\":4,\"backlog\":0,\"seq\":2}");
    expect_socket(a, 1, k1);
    silence(a);
    say(a, ACK);
    expect_socket(a, 2, k2);
    assert_string_not_equal(k1, k2);
    say(a, ACK);
    silence(a);
}

static void a_refused_handle_is_sent_again_and_then_given_up(void **state)
{
    struct script *a = worker(0, CLUSTER_SHARED);
    char key[32];

    (void)state;
    ask(a, LOCAL, 0, 1);
    for (int i = 0; i < 5; i++) {
        expect_socket(a, 1, key);
        say(a, NACK);
    }
    expect_error(a, 1, -EMFILE);
    silence(a);
    ask(a, LOCAL, 0, 2);
    expect_socket(a, 2, key);
    say(a, ACK);
}

static void data_of_the_first_goes_to_all(void **state)
{
    struct script *a = worker(0, CLUSTER_SHARED), *b = worker(1, CLUSTER_SHARED);
    char line[400];
    json_t *j;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct script *s = i ? b : a;

        snprintf(
            line, sizeof(line),
            "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":{\"ticketKeys\":\"%s\"},"
            "\"address\":" LOCAL ",\"port\":0,\"addressType\":4,\"seq\":1}",
            i ? "bbbb" : "aaaa");
        say(s, line);
        j = next(s);
        assert_string_equal(text_of(json_object_get(json_object_get(j, "msg"), "data"), "ticketKeys"),
                            "aaaa");
        json_decref(j);
        say(s, ACK);
    }
}

static void a_given_descriptor_is_found_by_its_number(void **state)
{
    struct script *a = worker(0, CLUSTER_SHARED), *b = worker(1, CLUSTER_SHARED);
    char k1[32], k2[32];

    (void)state;
    ask(b, LOCAL, 0, 1);
    expect_socket(b, 1, k1);
    say(b, ACK);
    world.given = strtoull(k1, NULL, 10);
    say(a, "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,\"address\":null,"
           "\"port\":null,\"addressType\":null,\"fd\":3,\"seq\":1}");
    expect_socket(a, 1, k2);
    assert_string_equal(k1, k2);
    say(a, ACK);
    say(a, "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"listening\",\"index\":0,\"data\":null,\"address\":null,"
           "\"port\":4711,\"addressType\":null,\"fd\":3,\"seq\":2}");
    while (!world.listening)
        turn();
    assert_true(cluster_listens(a->w));
}

static void udp_and_unix_sockets(void **state)
{
    struct script *a = worker(0, CLUSTER_ROUND_ROBIN);
    char line[400];
    json_t *j;

    (void)state;
    say(a, "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,\"address\":null,"
           "\"port\":0,\"addressType\":\"udp4\",\"fd\":-1,\"flags\":0,\"seq\":1}");
    j = next(a); /* always the socket itself */
    assert_string_equal(text_of(j, "type"), "dgram.Native");
    json_decref(j);
    assert_int_equal(a->n_fds, 1);
    say(a, ACK);
    snprintf(
        line, sizeof(line),
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,\"address\":\"%s/s\","
        "\"port\":-1,\"addressType\":-1,\"seq\":2}",
        folder);
    say(a, line);
    j = next(a);
    assert_string_equal(text_of(j, "cmd"), "NODE_CLUSTER");
    assert_int_equal(number_of(j, "errno"), 0);
    assert_null(json_object_get(j, "sockname"));
    json_decref(j);
    snprintf(line, sizeof(line), "%s/s", folder);
    unlink(line);
}

/* --- handles from the app --- */

static void each_handle_of_the_app_is_acknowledged_once(void **state)
{
    struct script *a = worker(0, CLUSTER_SHARED);
    json_t *j;

    (void)state;
    say(a, "\"first\"");
    for (int i = 0; i < 3; i++) {
        say_fd(a, "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":{\"x\":1},\"key\":\"4:h:1\"}", 0);
        j = next(a);
        assert_string_equal(text_of(j, "cmd"), "NODE_HANDLE_ACK");
        json_decref(j);
    }
    say(a, "\"last\"");
    silence(a);
    assert_string_equal(world.messages.data, "\"first\"|{\"x\":1}|{\"x\":1}|{\"x\":1}|\"last\"|");
    say(a, "{\"cmd\":\"NODE_SOCKET_NOTIFY_CLOSE\",\"key\":\"4:h:1\"}");
    j = next(a);
    assert_string_equal(text_of(j, "cmd"), "NODE_SOCKET_ALL_CLOSED");
    assert_string_equal(text_of(j, "key"), "4:h:1");
    json_decref(j);
    say(a, "{\"cmd\":\"NODE_SOCKET_GET_COUNT\",\"key\":\"k\"}");
    j = next(a);
    assert_string_equal(text_of(j, "cmd"), "NODE_SOCKET_COUNT");
    assert_int_equal(number_of(j, "count"), 0);
    json_decref(j);
}

/* The keeper's channel to us may be full, or the keeper dies: before, or after it has done it. */
static void an_acknowledgement_survives_its_keeper(void **state)
{
    static const char handle[] = "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":\"m\"}";
    struct script *a = worker(0, CLUSTER_SHARED);
    json_t *j;

    (void)state;
    world.keeper_full = true;
    say_fd(a, handle, 0);
    j = next(a);
    json_decref(j);
    world.keeper_mute = true;
    say_fd(a, handle, 0);
    j = next(a);
    json_decref(j);
    world.keeper_mute = false;
    cluster_keeper_changed(a->w);
    silence(a);
    say_fd(a, handle, 0);
    j = next(a);
    assert_string_equal(text_of(j, "cmd"), "NODE_HANDLE_ACK");
    json_decref(j);
    silence(a);
    assert_int_equal(world.answers, 3);
    world.no_keeper = true;
    say_fd(a, handle, 0);
    j = next(a);
    assert_string_equal(text_of(j, "cmd"), "NODE_HANDLE_ACK");
    json_decref(j);
    silence(a);
}

/* Its end comes only when somebody reads; the engine dies in the middle. */
static void a_handle_with_a_long_message(void **state)
{
    struct script *a = worker(0, CLUSTER_SHARED);
    char part[20000];
    json_t *j;

    (void)state;
    memset(part, 'x', sizeof(part));
    memcpy(part, "{\"cmd\":\"NODE_HANDLE\",\"msg\":\"", 28);
    assert_int_equal(send(a->theirs, part, sizeof(part), 0), sizeof(part));
    j = next(a);
    assert_string_equal(text_of(j, "cmd"), "NODE_HANDLE_ACK");
    json_decref(j);
    crash();
    memset(part, 'y', sizeof(part));
    assert_int_equal(send(a->theirs, part, sizeof(part), 0), sizeof(part));
    for (int i = 0; i < 20; i++, usleep(1000))
        turn();
    crash();
    say(a, "\"}");
    say(a, "\"next\"");
    silence(a);
    assert_string_equal(world.messages.data, "\"next\"|");
}

/* --- the end --- */

static void disconnect_is_said_once(void **state)
{
    struct script *a = worker(0, CLUSTER_SHARED);
    char key[32];
    json_t *j;

    (void)state;
    ask(a, LOCAL, 0, 1);
    expect_socket(a, 1, key);
    say(a, ACK);
    for (int i = 0; i < 20; i++)
        turn();
    assert_true(cluster_drain(a->w));
    assert_true(cluster_drain(a->w));
    j = next(a);
    assert_string_equal(text_of(j, "act"), "disconnect");
    json_decref(j);
    for (int i = 0; i < 20; i++, usleep(500))
        turn();
    a->run.told = true; /* as the keeper says */
    crash();
    assert_true(cluster_drain(a->w));
    ask(a, LOCAL, 0, 2); /* ignored from now on */
    silence(a);
    close_taken(a);
    close_fd(&a->theirs);
    while (!world.drained)
        turn();
    assert_false(cluster_drain(a->w));
}

/* The keeper died after it, and told nobody; then the engine dies. */
static void a_disconnect_that_may_have_been_said(void **state)
{
    struct script *a = worker(0, CLUSTER_SHARED);
    json_t *j;

    (void)state;
    world.keeper_mute = true;
    assert_true(cluster_drain(a->w));
    j = next(a);
    assert_string_equal(text_of(j, "act"), "disconnect");
    json_decref(j);
    world.keeper_mute = false;
    cluster_keeper_changed(a->w);
    crash();
    assert_true(cluster_drain(a->w));
    silence(a);
}

static void the_app_may_end_by_itself(void **state)
{
    struct script *a = worker(0, CLUSTER_SHARED);
    json_t *j;

    (void)state;
    say(a, "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"exitedAfterDisconnect\",\"seq\":4}");
    j = next(a);
    assert_int_equal(number_of(j, "ack"), 4);
    json_decref(j);
}

/* --- what should not come --- */

static void nonsense_is_no_reason_for_anything(void **state)
{
    static const char *const lines[] = {
        "",
        "{",
        "null",
        "{\"cmd\":\"NODE_",
        "{\"cmd\":\"NODE_CLUSTER\"}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":5}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\"}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"99\"}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":null}",
        "{\"cmd\":\"NODE_CLUSTER\",\"ack\":77,\"accepted\":true}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"unknown\",\"seq\":3}",
        "{\"cmd\":\"NODE_HANDLE_ACK\"}",
        "{\"cmd\":\"NODE_HANDLE_NACK\"}",
        "{\"cmd\":\"NODE_SOCKET_GET_COUNT\"}",
        "{\"cmd\":\"NODE_FUTURE\"}",
    };
    struct script *a = worker(0, CLUSTER_ROUND_ROBIN);
    char key[32];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        say(a, lines[i]);
    silence(a);
    /* A path that our parser refuses: it must not wait for ever. */
    say(a, "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"address\":\"/tmp/\\ud800\",\"port\":-1,"
           "\"addressType\":-1,\"seq\":1}");
    expect_error(a, 1, -EINVAL);
    a->run.schedule = CLUSTER_SHARED;
    crash();
    ask(a, LOCAL, 0, 2);
    expect_socket(a, 2, key);
    say(a, ACK);
}

static void a_worker_that_does_not_read_costs_nothing(void **state)
{
    struct script *a = worker(0, CLUSTER_SHARED);
    static char fill[4096];
    unsigned answered = 0;
    json_t *j;
    int sent = 0;

    (void)state;
    memset(fill, ' ', sizeof(fill));
    while (send(a->ours, fill, sizeof(fill), MSG_DONTWAIT) > 0)
        ;
    for (; sent < 20000; sent++) {
        static const char query[] = "{\"cmd\":\"NODE_SOCKET_GET_COUNT\",\"key\":\"a-key-of-some-length\"}\n";

        if (send(a->theirs, query, sizeof(query) - 1, MSG_DONTWAIT) < 0)
            break; /* its own queue is full: that is where it waits */
        turn();
    }
    assert_in_range(sent, 1, 19999);
    while ((j = next_within(a, 200))) {
        assert_string_equal(text_of(j, "cmd"), "NODE_SOCKET_COUNT");
        answered++;
        json_decref(j);
    }
    assert_int_equal(answered, sent);
}

/* --- Bun --- */

static void buns_dialect(void **state)
{
    struct script *a = worker(0, CLUSTER_SHARED);
    json_t *j;

    (void)state;
    say(a, "\x02{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\",\"seq\":0}");
    say(a,
        "\x02{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,\"address\":" LOCAL
        ",\"port\":0,\"addressType\":4,\"seq\":1}");
    while (!a->in.len) {
        turn();
        take(a);
    }
    assert_int_equal(*a->in.data, CHANNEL_BUN_MARK);
    j = next(a);
    assert_string_equal(text_of(j, "cmd"), "NODE_CLUSTER");
    assert_true(json_is_true(json_object_get(j, "$hasHandle")));
    assert_int_equal(number_of(j, "ack"), 1);
    assert_int_equal(a->n_fds, 1);
    json_decref(j);
    say(a, ACK);
    /* Its http server binds by itself, and says so. */
    say_listening(a, "\"::\"", 4000, 2);
    while (!world.listening)
        turn();
    assert_true(cluster_listens(a->w));
}

/* --- round robin --- */

static void ask_rr(struct script *s, int *port)
{
    json_t *j;

    ask(s, LOCAL, 0, 1);
    j = next(s);
    assert_string_equal(text_of(j, "cmd"), "NODE_CLUSTER");
    assert_int_equal(number_of(j, "errno"), 0);
    assert_string_equal(text_of(json_object_get(j, "sockname"), "family"), "IPv4");
    *port = (int)number_of(json_object_get(j, "sockname"), "port");
    assert_int_equal(s->n_fds, 0);
    json_decref(j);
}

/* Its sequence number, or -1 when none comes. */
static int64_t newconn(struct script *s, unsigned ms)
{
    json_t *j = next_within(s, ms), *msg = json_object_get(j, "msg");
    int64_t seq = -1;

    if (j) {
        assert_string_equal(text_of(msg, "act"), "newconn");
        seq = number_of(msg, "seq");
        assert_true(s->n_fds > 0);
    }
    json_decref(j);
    return seq;
}

static void say_accepted(struct script *s, int64_t seq, bool accepted)
{
    char line[120];

    say(s, ACK);
    snprintf(line, sizeof(line), "{\"cmd\":\"NODE_CLUSTER\",\"ack\":%lld,\"accepted\":%s,\"seq\":9}",
             (long long)seq, accepted ? "true" : "false");
    say(s, line);
}

static void connections_go_round(void **state)
{
    struct script *a = worker(0, CLUSTER_ROUND_ROBIN), *b = worker(1, CLUSTER_ROUND_ROBIN);
    int port, c[6], got[2] = {0, 0};

    (void)state;
    ask_rr(a, &port);
    ask_rr(b, &port);
    for (int i = 0; i < 6; i++) {
        int64_t sa = -1, sb = -1;

        c[i] = connect_to(port);
        while (sa < 0 && sb < 0) {
            sa = newconn(a, 1);
            sb = newconn(b, 1);
        }
        got[sb >= 0]++;
        say_accepted(sa >= 0 ? a : b, sa >= 0 ? sa : sb, true);
    }
    assert_int_equal(got[0], 3);
    assert_int_equal(got[1], 3);
    for (int i = 0; i < 6; i++)
        close(c[i]);
}

/* One connection at a time for a worker: the rest waits in the kernel, and others are not held up. */
static void a_worker_that_does_not_answer_holds_one_connection(void **state)
{
    struct script *a = worker(0, CLUSTER_ROUND_ROBIN), *b = worker(1, CLUSTER_ROUND_ROBIN);
    int port, c[5];
    int64_t seq;

    (void)state;
    ask_rr(a, &port);
    ask_rr(b, &port);
    for (int i = 0; i < 5; i++)
        c[i] = connect_to(port);
    assert_true(newconn(a, 5000) >= 0);
    for (int i = 0; i < 4; i++) {
        seq = newconn(b, 5000);
        assert_true(seq >= 0);
        say_accepted(b, seq, true);
    }
    assert_int_equal(newconn(a, 30), -1);
    /* It ends: what it had not answered goes to the other. */
    close_taken(a);
    close_fd(&a->theirs);
    seq = newconn(b, 5000);
    assert_true(seq >= 0);
    say_accepted(b, seq, true);
    silence(b);
    for (int i = 0; i < 5; i++)
        close(c[i]);
}

static void a_refused_connection_is_offered_to_another(void **state)
{
    struct script *a = worker(0, CLUSTER_ROUND_ROBIN), *b = worker(1, CLUSTER_ROUND_ROBIN);
    int64_t sa = -1, sb = -1;
    int port, c;

    (void)state;
    ask_rr(a, &port);
    ask_rr(b, &port);
    c = connect_to(port);
    while (sa < 0 && sb < 0) {
        sa = newconn(a, 1);
        sb = newconn(b, 1);
    }
    for (int i = 0; i < 4; i++) { /* all refuse, some times over */
        struct script *has = sa >= 0 ? a : b, *other = sa >= 0 ? b : a;
        int64_t seq;

        say_accepted(has, sa >= 0 ? sa : sb, false);
        seq = newconn(other, 5000);
        assert_true(seq >= 0);
        sa = other == a ? seq : -1;
        sb = other == b ? seq : -1;
    }
    say_accepted(sa >= 0 ? a : b, sa >= 0 ? sa : sb, true);
    silence(a);
    silence(b);
    close(c);
}

static void a_leaving_worker_gets_no_connection(void **state)
{
    struct script *a = worker(0, CLUSTER_ROUND_ROBIN), *b = worker(1, CLUSTER_ROUND_ROBIN);
    int port, c[3];
    json_t *j;

    (void)state;
    ask_rr(a, &port);
    ask_rr(b, &port);
    cluster_drain(a->w);
    j = next(a);
    assert_string_equal(text_of(j, "act"), "disconnect");
    json_decref(j);
    for (int i = 0; i < 3; i++) {
        int64_t seq;

        c[i] = connect_to(port);
        seq = newconn(b, 5000);
        assert_true(seq >= 0);
        say_accepted(b, seq, true);
    }
    silence(a);
    assert_true(cluster_quiet(cluster));
    for (int i = 0; i < 3; i++)
        close(c[i]);
}

/* --- the engine dies --- */

/* A whole conversation, with the engine replaced after each step: what is handled twice does no harm, and
 * nothing is asked or answered twice. */
static void engines_come_and_go(void **state)
{
    (void)state;
    for (int at = 0; at < 12; at++) {
        struct script *a = worker(0, CLUSTER_SHARED);
        char key[32], line[100];
        json_t *j;
        int step = 0, port;

#define STEP()                                                                                               \
    do {                                                                                                     \
        if (step++ == at)                                                                                    \
            crash();                                                                                         \
    } while (0)
        world.listening = 0;
        STEP();
        say(a, "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\",\"seq\":0}");
        STEP();
        ask(a, LOCAL, 0, 1);
        STEP();
        turn();
        STEP();
        port = expect_socket(a, 1, key);
        STEP();
        say(a, ACK);
        STEP();
        say_listening(a, LOCAL, port, 2);
        STEP();
        while (!cluster_listens(a->w))
            turn();
        STEP();
        silence(a);
        assert_true(cluster_drain(a->w));
        j = next(a);
        assert_string_equal(text_of(j, "act"), "disconnect");
        json_decref(j);
        a->run.told = true;
        for (int i = 0; i < 10; i++, usleep(300))
            turn();
        STEP();
        snprintf(line, sizeof(line), "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"%s\",\"seq\":3}",
                 key);
        say(a, line);
        STEP();
        while (cluster_listens(a->w))
            turn();
        STEP();
        silence(a);
        drop(a);
        scripts[0] = (struct script){.ours = -1, .theirs = -1, .state = -1};
    }
}

/* The engine is killed after it has handled lines and before they are consumed: its successor sees them
 * again.
 */
static void lines_that_are_seen_again(void **state)
{
    static const char *const rest[] = {"{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\",\"seq\":0}", ACK, NULL};
    struct script *a = worker(0, CLUSTER_SHARED);
    char key[32], again[32];
    int port;

    (void)state;
    ask(a, LOCAL, 0, 1);
    port = expect_socket(a, 1, key);
    crash();
    ask(a, LOCAL, 0, 1);
    silence(a);
    say(a, ACK);
    say_listening(a, LOCAL, port, 2);
    say_listening(a, LOCAL, port, 2);
    for (int i = 0; rest[i]; i++)
        say(a, rest[i]);
    silence(a);
    ask(a, LOCAL, port, 3);
    expect_error(a, 3, -EADDRINUSE);
    crash();
    ask(a, LOCAL, port, 3);
    silence(a);
    /* Its close, twice; then the server comes again. */
    for (int i = 0; i < 2; i++) {
        char line[100];

        snprintf(line, sizeof(line), "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"%s\",\"seq\":4}",
                 key);
        say(a, line);
    }
    ask(a, LOCAL, 0, 5);
    assert_int_equal(expect_socket(a, 5, again), port);
    say(a, ACK);
}

/* --- what goes wrong between two turns --- */

static bool no_room; /* the kernel takes no more descriptors in flight */

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    if (no_room && m->msg_control) {
        errno = ETOOMANYREFS;
        return -1;
    }
    return syscall(SYS_sendmsg, fd, m, flags);
}

static unsigned turns_within(unsigned ms)
{
    uint64_t end = clock_mono_ms() + ms;
    unsigned n = 0;
    uv_timer_t timer;

    uv_timer_init(&e.loop, &timer);
    while (clock_mono_ms() < end) {
        uv_timer_start(&timer, (uv_timer_cb)(void *)uv_timer_stop, end - clock_mono_ms(), 0);
        uv_run(&e.loop, UV_RUN_ONCE);
        n++;
    }
    uv_close((uv_handle_t *)&timer, NULL);
    turn();
    return n;
}

static void too_many_descriptors_in_flight_pass(void **state)
{
    struct script *a = worker(0, CLUSTER_SHARED);
    char key[32];

    (void)state;
    no_room = true;
    ask(a, LOCAL, 0, 1);
    silence(a);
    assert_in_range(turns_within(300), 1, 60);
    no_room = false;
    expect_socket(a, 1, key);
    say(a, ACK);
    silence(a);
}

static void fill_channel(struct script *s)
{
    static char fill[4096];

    memset(fill, ' ', sizeof(fill));
    while (send(s->ours, fill, sizeof(fill), MSG_DONTWAIT) > 0)
        ;
}

/* A worker that has not read ends, and its request still waits for room: its end must be seen. */
static void the_end_of_a_worker_that_does_not_read(void **state)
{
    struct script *a = worker(0, CLUSTER_SHARED);
    uint64_t end = clock_mono_ms() + 10000;

    (void)state;
    fill_channel(a);
    say(a, "{\"cmd\":\"NODE_SOCKET_GET_COUNT\",\"key\":\"x\"}");
    turns_within(20);
    say(a, "\"last words\"");
    close_fd(&a->theirs);
    while (!world.drained && clock_mono_ms() < end)
        turn();
    assert_int_equal(world.drained, 1);
    assert_string_equal(world.messages.data, "\"last words\"|");
}

/* The socket is found, but its worker has no room for the answer until after the socket was closed. */
static void a_socket_that_went_while_the_answer_waited(void **state)
{
    struct script *a = worker(0, CLUSTER_ROUND_ROBIN);
    json_t *j;

    (void)state;
    fill_channel(a);
    ask(a, LOCAL, 0, 1);
    turns_within(50);
    sockets_app_deleted(e.sockets, 1);
    j = next(a);
    assert_int_equal(number_of(j, "ack"), 1);
    assert_int_equal(number_of(j, "errno"), 0);
    json_decref(j);
}

/* When the program has ended nothing is waited for, and nothing that it said is lost. */
static void what_is_behind_a_request_is_read_out(void **state)
{
    struct script *a = worker(0, CLUSTER_SHARED);

    (void)state;
    ask(a, LOCAL, 0, 1);
    say(a, "\"last words\"");
    turn();
    cluster_read_out(a->w);
    assert_string_equal(world.messages.data, "\"last words\"|");
}

/* The app removes the file of its socket before it listens, as many do: what it then gets is another socket
 * of the same name. */
static void a_socket_file_that_the_new_one_removed(void **state)
{
    struct script *ws[] = {worker(0, CLUSTER_SHARED), worker(1, CLUSTER_SHARED)};
    char path[60], fields[200], line[400];

    (void)state;
    snprintf(path, sizeof(path), "%s/s", folder);
    snprintf(fields, sizeof(fields),
             "\"index\":0,\"data\":null,\"address\":\"%s\",\"port\":-1,\"addressType\":-1", path);
    for (unsigned i = 0; i < 2; i++) {
        unlink(path);
        snprintf(line, sizeof(line), "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",%s,\"seq\":1}",
                 fields);
        say(ws[i], line);
        json_decref(next(ws[i]));
        say(ws[i], ACK);
        assert_int_equal(access(path, F_OK), 0);
        assert_false(cluster_listens(ws[i]->w));
        snprintf(line, sizeof(line), "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"listening\",%s,\"seq\":2}", fields);
        say(ws[i], line);
        while (world.listening < i + 1)
            turn();
    }
    assert_true(cluster_listens_as(ws[1]->w, ws[0]->w));
    unlink(path);
}

static void shut_down(void *arg, struct sock *s)
{
    (void)arg;
    shutdown(sock_fd(s), SHUT_RDWR);
}

/* Another holder of the socket has shut it down: accept fails at once, for ever. */
static void a_socket_that_was_shut_down_costs_nothing(void **state)
{
    struct script *a = worker(0, CLUSTER_ROUND_ROBIN);
    int port;

    (void)state;
    ask_rr(a, &port);
    turn();
    sockets_each(e.sockets, 1, shut_down, NULL);
    assert_in_range(turns_within(500), 1, 60);
}

/* What stands in front of a request is consumed before it is handled: a close that the next engine sees once
 * more would be taken for one of the socket that is given now. */
static void a_request_is_handled_at_the_head_of_the_channel(void **state)
{
    struct script *a = worker(0, CLUSTER_SHARED);
    const char *both = "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"7\",\"seq\":1}\n"
                       "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,"
                       "\"address\":null,\"port\":null,\"addressType\":null,\"fd\":3,\"seq\":2}\n";

    (void)state;
    world.peek = true;
    assert_int_equal(send(a->theirs, both, strlen(both), 0), strlen(both));
    expect_error(a, 2, -EBADF);
    assert_memory_equal(world.peeked, "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\"", 41);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(workers_get_the_same_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_are_those_of_node, setup, teardown),
        cmocka_unit_test_setup_teardown(handles_go_one_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_handle_is_sent_again_and_then_given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(data_of_the_first_goes_to_all, setup, teardown),
        cmocka_unit_test_setup_teardown(a_given_descriptor_is_found_by_its_number, setup, teardown),
        cmocka_unit_test_setup_teardown(udp_and_unix_sockets, setup, teardown),
        cmocka_unit_test_setup_teardown(each_handle_of_the_app_is_acknowledged_once, setup, teardown),
        cmocka_unit_test_setup_teardown(an_acknowledgement_survives_its_keeper, setup, teardown),
        cmocka_unit_test_setup_teardown(a_handle_with_a_long_message, setup, teardown),
        cmocka_unit_test_setup_teardown(disconnect_is_said_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_disconnect_that_may_have_been_said, setup, teardown),
        cmocka_unit_test_setup_teardown(the_app_may_end_by_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense_is_no_reason_for_anything, setup, teardown),
        cmocka_unit_test_setup_teardown(a_worker_that_does_not_read_costs_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(buns_dialect, setup, teardown),
        cmocka_unit_test_setup_teardown(connections_go_round, setup, teardown),
        cmocka_unit_test_setup_teardown(a_worker_that_does_not_answer_holds_one_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_connection_is_offered_to_another, setup, teardown),
        cmocka_unit_test_setup_teardown(a_leaving_worker_gets_no_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(engines_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_that_are_seen_again, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_descriptors_in_flight_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_a_worker_that_does_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_socket_that_went_while_the_answer_waited, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_behind_a_request_is_read_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_socket_file_that_the_new_one_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_socket_that_was_shut_down_costs_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_is_handled_at_the_head_of_the_channel, setup, teardown),
    };

    uv_loop_t first;

    /* What libuv opens once in a program must not look like a leak. */
    uv_loop_init(&first);
    uv_loop_close(&first);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
