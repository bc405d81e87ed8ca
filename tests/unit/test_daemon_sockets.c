/* The daemon's listening sockets: how they are bound, found again, kept and given up. Without a keeper. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "daemon/engine.h"
#include "daemon/sockets.h"
#include "daemon/users.h"

static struct engine e;
static struct app *app;
static char folder[40], path[60];
static int fds_before;

struct got {
    int times, error;
    struct sock *s;
    char words[512];
};

static int count_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

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

static struct app *add_app(uint64_t id, const char *name)
{
    struct app_spec *spec = app_spec_new();
    struct app *a;

    spec->name = xstrdup(name);
    spec->script = xstrdup("/bin/true");
    a = supervisor_add_app(e.sup, id, spec);
    supervisor_add_process(e.sup, a, 0, -1)->state = LC_ONLINE;
    return a;
}

static int setup(void **state)
{
    static struct sys sys;

    (void)state;
    fds_before = count_fds();
    e = (struct engine){.keeper_version = KW_VERSION};
    uv_loop_init(&e.loop);
    sys = (struct sys){.ctx = &e, .mono_ms = mono, .wall_ms = mono, .timer_clear = timer_clear};
    e.sup = supervisor_new(&sys);
    e.users = users_open(&e.loop, users_ask);
    e.sockets = sockets_new(&e);
    app = add_app(1, "web");
    snprintf(folder, sizeof(folder), "/tmp/pm-sockets-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/s", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    users_close(e.users);
    sockets_free(e.sockets);
    uv_run(&e.loop, UV_RUN_DEFAULT);
    supervisor_free(e.sup);
    assert_int_equal(uv_loop_close(&e.loop), 0);
    unlink(path);
    rmdir(folder);
    assert_int_equal(count_fds(), fds_before);
    return 0;
}

static void on_socket(void *arg, struct sock *s, int error, const char *words)
{
    struct got *g = arg;

    g->times++;
    g->s = s;
    g->error = error;
    snprintf(g->words, sizeof(g->words), "%s", words);
}

static void await(struct got *g)
{
    uint64_t end = clock_mono_ms() + 10000;

    assert_int_equal(g->times, 0); /* never within the call */
    while (!g->times && clock_mono_ms() < end)
        uv_run(&e.loop, UV_RUN_NOWAIT);
    assert_int_equal(g->times, 1);
}

static struct got ask(const struct sock_request *r)
{
    struct got g = {0};

    sockets_open(e.sockets, r, on_socket, &g);
    await(&g);
    return g;
}

static struct sock *must(const struct sock_request *r)
{
    struct got g = ask(r);

    if (g.error)
        fail_msg("%s", g.words);
    assert_non_null(g.s);
    return g.s;
}

static struct sock_request tcp(const char *key, const char *host, int port)
{
    return (struct sock_request){.app = 1, .key = key, .kind = SOCK_TCP, .host = host, .port = port};
}

static struct sock_request unix_at(const char *where)
{
    return (struct sock_request){.app = 1, .key = where, .kind = SOCK_UNIX, .path = where};
}

static bool connects(int port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

    close(fd);
    return ok;
}

static bool connects_to(const char *where)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok;

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", where);
    ok = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
    close(fd);
    return ok;
}

static int flag(int fd, int level, int name)
{
    socklen_t len = sizeof(int);
    int value = -1;

    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void finish_removals(void)
{
    for (int i = 0; i < 2000 && (i < 3 || access(path, F_OK) == 0); i++) {
        uv_run(&e.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
}

/* ---- binding ---- */

static void test_tcp(void **state)
{
    struct sock_request r = tcp("a", "127.0.0.1", 0);
    struct sock *s = must(&r);
    char want[40];

    (void)state;
    assert_true(sock_port(s) > 0 && connects(sock_port(s)));
    snprintf(want, sizeof(want), "127.0.0.1:%d", sock_port(s));
    assert_string_equal(sock_address(s), want);
    assert_true(sock_token(s) & SOCKET_TOKEN_BIT);
    assert_true(sock_app(s) == 1 && sock_kind(s) == SOCK_TCP);
    assert_string_equal(sock_key(s), "a");
    assert_null(sock_extra(s));
    assert_true(flag(sock_fd(s), SOL_SOCKET, SO_REUSEADDR));
    assert_false(flag(sock_fd(s), SOL_SOCKET, SO_REUSEPORT));
    assert_true(fcntl(sock_fd(s), F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(sock_fd(s), F_GETFL) & O_NONBLOCK);
    /* Asked for again it is the same, for another app it is not. */
    assert_ptr_equal(must(&r), s);
    assert_ptr_equal(sockets_find(e.sockets, 1, "a"), s);
    assert_ptr_equal(sockets_by_token(e.sockets, sock_token(s)), s);
    assert_null(sockets_find(e.sockets, 2, "a"));
    assert_null(sockets_find(e.sockets, 1, "b"));
}

static void test_configured(void **state)
{
    struct sock_request r = tcp("a", "localhost", 0);

    (void)state;
    r.configured = true;
    assert_false(fcntl(sock_fd(must(&r)), F_GETFL) & O_NONBLOCK); /* as its children expect it */
}

static void test_all_addresses(void **state)
{
    struct sock_request r = tcp("a", NULL, 0), six = tcp("b", "::1", 0), only = tcp("c", "::", 0);
    struct sock *s = must(&r);
    struct got g;

    (void)state;
    assert_true(connects(sock_port(s)));
    only.v6only = true;
    g = ask(&six);
    if (strncmp(sock_address(s), "[::]:", 5) != 0 || g.error) {
        assert_memory_equal(sock_address(s), "0.0.0.0:", 8);
        return; /* no IPv6 here */
    }
    assert_false(flag(sock_fd(s), IPPROTO_IPV6, IPV6_V6ONLY));
    assert_memory_equal(sock_address(g.s), "[::1]:", 6);
    s = must(&only);
    assert_true(flag(sock_fd(s), IPPROTO_IPV6, IPV6_V6ONLY));
    assert_false(connects(sock_port(s)));
}

static void test_in_use(void **state)
{
    struct sock_request r = tcp("a", "127.0.0.1", 0), second = tcp("b", "127.0.0.1", 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char want[120];
    struct got g;

    (void)state;
    second.port = sock_port(must(&r));
    add_app(2, "api");
    second.app = 2;
    g = ask(&second);
    assert_int_equal(g.error, -EADDRINUSE);
    assert_null(g.s);
    snprintf(want, sizeof(want),
             "cannot listen on 127.0.0.1:%d: Address already in use (by the app web: 127.0.0.1:%d)",
             second.port, second.port);
    assert_string_equal(g.words, want);
    /* A stranger's: named by its pid, as far as that can be seen. */
    assert_int_equal(bind(other, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(other, 1), 0);
    assert_int_equal(getsockname(other, (struct sockaddr *)&a, &len), 0);
    second.port = ntohs(a.sin_port);
    g = ask(&second);
    assert_int_equal(g.error, -EADDRINUSE);
    snprintf(want, sizeof(want), "Address already in use (by pid %d ", (int)getpid());
    assert_non_null(strstr(g.words, want));
    close(other);
    must(&second); /* and once it is free it works */
    /* Of two on one port it is the one with that address. */
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(other, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(other, 1), 0);
    second.key = "c";
    second.host = "127.0.0.2";
    g = ask(&second);
    assert_int_equal(g.error, -EADDRINUSE);
    assert_null(strstr(g.words, "by the app"));
    close(other);
}

static void test_bad_addresses(void **state)
{
    struct sock_request r = tcp("a", "no.such.name", 80);
    struct got g = ask(&r);

    (void)state;
    assert_int_equal(g.error, -EINVAL);
    assert_string_equal(g.words, "cannot listen on \"no.such.name\": not a numeric address");
    r = tcp("a", "192.0.2.1", 0);
    g = ask(&r);
    assert_int_equal(g.error, -EADDRNOTAVAIL);
}

static void test_low_port_of_a_user(void **state)
{
    struct sock_request r = tcp("a", "127.0.0.1", 81);
    struct got g;

    (void)state;
    if (geteuid() != 0)
        skip();
    r.uid = "65534";
    g = ask(&r);
    assert_int_equal(g.error, -EACCES);
    assert_non_null(strstr(g.words, "ports below 1024 are for root, and the app's user has the id 65534"));
    r.port = 0;
    must(&r);
    /* The configuration is the owner's: what it says is bound for the app's user as well. */
    r.key = "b";
    r.port = 81;
    r.configured = true;
    g = ask(&r);
    assert_true(g.error == 0 || g.error == -EADDRINUSE);
    /* If the daemon itself may not, the words say so. */
    assert_int_equal(seteuid(65534), 0);
    r.key = "c";
    r.uid = NULL;
    r.port = 82;
    g = ask(&r);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(g.error, -EACCES);
    assert_non_null(strstr(g.words, "ports below 1024 are for root, and the daemon's user has the id 65534"));
}

static void test_reuse_port(void **state)
{
    struct sock_request r = tcp("a0", "127.0.0.1", 0);
    struct sock *first, *second;

    (void)state;
    r.reuse_port = true;
    first = must(&r);
    r.key = "a1";
    r.port = sock_port(first);
    second = must(&r);
    assert_ptr_not_equal(first, second);
    assert_int_equal(sock_port(first), sock_port(second));
    assert_true(flag(sock_fd(second), SOL_SOCKET, SO_REUSEPORT));
}

static void test_udp(void **state)
{
    struct sock_request r = {.app = 1, .key = "u", .kind = SOCK_UDP, .host = "127.0.0.1"};
    struct sock *s = must(&r);
    char want[40];

    (void)state;
    snprintf(want, sizeof(want), "udp:127.0.0.1:%d", sock_port(s));
    assert_string_equal(sock_address(s), want);
    assert_int_equal(flag(sock_fd(s), SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
    assert_false(flag(sock_fd(s), SOL_SOCKET, SO_REUSEADDR));
}

/* ---- unix sockets ---- */

static void test_unix(void **state)
{
    struct sock_request r = unix_at(path);
    char want[140];
    struct stat st;
    struct sock *s;

    (void)state;
    r.mode = 0620;
    s = must(&r);
    assert_true(connects_to(path));
    snprintf(want, sizeof(want), "unix:%s", path);
    assert_string_equal(sock_address(s), want);
    assert_int_equal(sock_port(s), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0620);
    sockets_app_deleted(e.sockets, 1);
    finish_removals();
    assert_int_equal(access(path, F_OK), -1);
}

static void test_unix_mode_added(void **state)
{
    struct sock_request r = unix_at(path);
    struct stat st;

    (void)state;
    r.mode = 0022;
    r.add_mode = true;
    must(&r);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0222, 0222);
    assert_true(st.st_mode & 0500);
}

static void test_unix_owner(void **state)
{
    struct sock_request r = unix_at(path);
    struct stat st;

    (void)state;
    if (geteuid() != 0)
        skip();
    chmod(folder, 0777);
    r.uid = "65534";
    r.group = "12345";
    must(&r);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_uid == 65534 && st.st_gid == 12345);
    /* Files of the daemon itself are made as before. */
    struct sock_request own = unix_at("/tmp/pm-sockets-test-own");
    struct sock *s = must(&own);
    assert_int_equal(stat("/tmp/pm-sockets-test-own", &st), 0);
    assert_int_equal(st.st_uid, 0);
    sock_use(s, 1);
    sockets_app_deleted(e.sockets, 1);
    for (int i = 0; i < 2000 && access("/tmp/pm-sockets-test-own", F_OK) == 0; i++) {
        uv_run(&e.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    finish_removals();
}

static void test_unix_without_the_right(void **state)
{
    struct sock_request r = unix_at(path);
    struct got g;

    (void)state;
    if (geteuid() != 0)
        skip();
    chmod(folder, 0755); /* of root */
    r.uid = "65534";
    g = ask(&r);
    assert_int_equal(g.error, -EACCES);
    assert_non_null(strstr(g.words, "cannot listen on unix:/tmp/pm-sockets-"));
    assert_non_null(
        strstr(g.words, "; the app's user, who has the id 65534, must be able to write in its folder"));
}

static void test_unix_stale(void **state)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sock_request r = unix_at(path);
    struct got g;

    (void)state;
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 1), 0);
    g = ask(&r); /* somebody listens */
    assert_int_equal(g.error, -EADDRINUSE);
    snprintf(a.sun_path, sizeof(a.sun_path), "Address already in use (by pid %d)", (int)getpid());
    assert_non_null(strstr(g.words, a.sun_path));
    close(fd);
    must(&r); /* the file is there yet, and nobody listens */
    assert_true(connects_to(path));
}

static void test_unix_other_file(void **state)
{
    struct sock_request r = unix_at(path);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    struct got g;

    (void)state;
    close(fd);
    g = ask(&r);
    assert_int_equal(g.error, -EADDRINUSE);
    assert_non_null(strstr(g.words, "something is there that is no socket"));
    assert_int_equal(access(path, F_OK), 0);
}

/* A changed mode is that of the socket that there is. */
static void test_unix_other_mode(void **state)
{
    struct sock_request r = unix_at(path);
    struct sock *s;
    struct stat st;

    (void)state;
    r.configured = true;
    r.mode = 0600;
    s = must(&r);
    r.mode = 0666;
    assert_ptr_equal(must(&r), s);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0666);
    if (geteuid() != 0)
        return;
    r.owner = "65534";
    r.mode = 0640;
    assert_ptr_equal(must(&r), s);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 65534);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_true(connects_to(path));
}

/* What is removed is what was made, though the way to it leads elsewhere by then. */
static void test_unix_folder_exchanged(void **state)
{
    char other[sizeof(folder)] = "/tmp/pm-sockets-XXXXXX", moved[sizeof(folder) + 8], there[60];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sock_request r = unix_at(path);

    (void)state;
    assert_non_null(mkdtemp(other));
    snprintf(there, sizeof(there), "%s/s", other);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", there);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    must(&r);
    snprintf(moved, sizeof(moved), "%s.moved", folder);
    assert_int_equal(rename(folder, moved), 0);
    assert_int_equal(symlink(other, folder), 0);
    sockets_app_deleted(e.sockets, 1);
    for (int i = 0; i < 100; i++, usleep(1000))
        uv_run(&e.loop, UV_RUN_NOWAIT);
    assert_int_equal(access(there, F_OK), 0);
    unlink(folder);
    assert_int_equal(rename(moved, folder), 0);
    unlink(there);
    rmdir(other);
    close(fd);
}

/* Apps like to remove the path before they listen: the second worker removes the first one's socket. */
static void test_unix_removed(void **state)
{
    struct sock_request r = unix_at(path);
    struct sock *first = must(&r), *second;
    int fd = sock_fd(first);

    (void)state;
    sock_use(first, 10);
    unlink(path);
    assert_null(sockets_find(e.sockets, 1, path));
    second = must(&r);
    assert_ptr_not_equal(first, second);
    assert_true(connects_to(path));
    assert_true(fcntl(fd, F_GETFD) >= 0); /* a run has it yet */
    sockets_run_ended(e.sockets, 10);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_true(connects_to(path)); /* the file is not the first one's */
}

static void test_unix_abstract(void **state)
{
    struct sock_request r = {.app = 1, .key = "x", .kind = SOCK_UNIX};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char name[40];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct got g;

    (void)state;
    snprintf(name, sizeof(name), "@pm-test-\xff-%d", (int)getpid());
    r.path = name;
    must(&r);
    memcpy(a.sun_path + 1, name + 1, strlen(name) - 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&a,
                             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
                     0);
    close(fd);
    r.key = "y";
    g = ask(&r);
    assert_int_equal(g.error, -EADDRINUSE);
}

static void test_unix_bad_paths(void **state)
{
    char far[200] = "";
    struct sock_request r = unix_at(far);
    struct got g;

    (void)state;
    memset(far, 'x', sizeof(far));
    far[0] = '/';
    far[sizeof(far) - 1] = '\0';
    g = ask(&r);
    assert_int_equal(g.error, -ENAMETOOLONG);
    assert_non_null(strstr(g.words, "the path of a socket has 2 to 107 bytes, this one has 199"));
    r.path = "relative";
    assert_int_equal(ask(&r).error, -EINVAL);
    r.path = "/nonexistent/folder/s";
    g = ask(&r);
    assert_int_equal(g.error, -ENOENT);
    assert_non_null(strstr(g.words, "; its folder must exist"));
    r.path = path;
    r.owner = "no-such-user";
    g = ask(&r);
    assert_non_null(strstr(g.words, "owner and group of unix:/tmp/"));
    assert_non_null(strstr(g.words, ": there is no user \"no-such-user\""));
}

/* ---- life ---- */

static void test_shared_and_cancelled(void **state)
{
    struct sock_request r = tcp("a", "127.0.0.1", 0);
    struct got g[3] = {0};
    struct sock_wait *w[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        w[i] = sockets_open(e.sockets, &r, on_socket, &g[i]);
    sockets_cancel(w[1]);
    await(&g[0]);
    assert_int_equal(g[2].times, 1);
    assert_int_equal(g[1].times, 0);
    assert_ptr_equal(g[0].s, g[2].s);
}

struct got_all {
    int times, error;
    size_t n;
    uint64_t tokens[4];
    char words[512];
};

static void on_all(void *arg, const uint64_t *tokens, size_t n, int error, const char *words)
{
    struct got_all *g = arg;

    g->times++;
    g->n = n;
    g->error = error;
    if (tokens)
        memcpy(g->tokens, tokens, n * sizeof(*tokens));
    snprintf(g->words, sizeof(g->words), "%s", words);
}

static void await_all(struct got_all *g)
{
    uint64_t end = clock_mono_ms() + 10000;

    assert_int_equal(g->times, 0);
    while (!g->times && clock_mono_ms() < end)
        uv_run(&e.loop, UV_RUN_NOWAIT);
    assert_int_equal(g->times, 1);
}

static void test_all_of_a_list(void **state)
{
    struct sock_request r[3] = {tcp("a", "127.0.0.1", 0), unix_at(path), tcp("c", "127.0.0.1", 0)};
    struct got_all g = {0};
    struct sock_all *all;

    (void)state;
    sockets_open_all(e.sockets, r, 3, on_all, &g);
    await_all(&g);
    assert_int_equal(g.error, 0);
    assert_int_equal(g.n, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(sock_key(sockets_by_token(e.sockets, g.tokens[i])), r[i].key);
    /* One fails: that is the answer, once. */
    r[0].key = "other";
    r[1] = tcp("bad", "x", 1);
    g = (struct got_all){0};
    sockets_open_all(e.sockets, r, 3, on_all, &g);
    await_all(&g);
    assert_int_equal(g.error, -EINVAL);
    assert_string_equal(g.words, "cannot listen on \"x\": not a numeric address");
    /* Not wanted any more: an answer, but not within the call; or none. */
    r[0].key = "third";
    g = (struct got_all){0};
    all = sockets_open_all(e.sockets, r, 1, on_all, &g);
    sock_all_cancel(all);
    await_all(&g);
    assert_int_equal(g.error, -ECANCELED);
    g = (struct got_all){0};
    sock_all_forget(sockets_open_all(e.sockets, r, 1, on_all, &g));
    for (int i = 0; i < 50; i++, usleep(1000))
        uv_run(&e.loop, UV_RUN_NOWAIT);
    assert_int_equal(g.times, 0);
}

/* A spawn was cancelled by a stop: what it was opening does not stay. */
static void test_opened_for_nobody(void **state)
{
    struct sock_request r = tcp("a", "127.0.0.1", 0);
    struct got g = {0};

    (void)state;
    r.configured = true;
    sockets_cancel(sockets_open(e.sockets, &r, on_socket, &g));
    TAILQ_FIRST(&app->processes)->state = LC_STOPPED;
    sockets_app_rests(e.sockets, 1);
    for (int i = 0; i < 100; i++, usleep(1000))
        uv_run(&e.loop, UV_RUN_NOWAIT);
    assert_int_equal(g.times, 0);
    assert_null(sockets_find(e.sockets, 1, "a"));
}

/* One of several instances is stopped while its socket is opened: connections must not wait in it. */
static void test_opened_for_nobody_of_an_app_that_is_up(void **state)
{
    struct sock_request r = tcp("slot 1", "127.0.0.1", 0);
    struct got g = {0};

    (void)state;
    r.configured = true;
    sockets_cancel(sockets_open(e.sockets, &r, on_socket, &g));
    for (int i = 0; i < 100; i++, usleep(1000))
        uv_run(&e.loop, UV_RUN_NOWAIT);
    assert_null(sockets_find(e.sockets, 1, "slot 1"));
}

/* Of a changed `listen`: with its last run it goes at once, unless it is wanted again. */
static void test_released_in_use(void **state)
{
    struct sock_request r = tcp("a", "127.0.0.1", 0);
    struct sock *s;
    int port;

    (void)state;
    r.configured = true;
    s = must(&r);
    port = sock_port(s);
    sock_use(s, 5);
    sock_release(s);
    assert_ptr_equal(must(&r), s);
    sockets_run_ended(e.sockets, 5);
    assert_true(connects(port));
    sock_use(s, 6);
    sock_release(s);
    sock_retain(s);
    sockets_run_ended(e.sockets, 6);
    assert_true(connects(port));
    sock_use(s, 6);
    sock_release(s);
    assert_true(connects(port));
    sockets_run_ended(e.sockets, 6);
    assert_false(connects(port));
    assert_null(sockets_find(e.sockets, 1, "a"));
}

static void test_rest_and_delete(void **state)
{
    struct sock_request r = tcp("a", "127.0.0.1", 0), other = tcp("b", "127.0.0.1", 0);
    struct sock *s = must(&r), *b = must(&other);
    int port = sock_port(s);

    (void)state;
    (void)b;
    sock_use(s, 5);
    sockets_run_ended(e.sockets, 5); /* a crash: the process is to come again */
    assert_true(connects(port));
    TAILQ_FIRST(&app->processes)->state = LC_STOPPED;
    sockets_app_rests(e.sockets, 1);
    assert_false(connects(port));
    assert_null(sockets_find(e.sockets, 1, "a"));
    assert_null(sockets_find(e.sockets, 1, "b"));
    TAILQ_FIRST(&app->processes)->state = LC_ONLINE;
    r.port = port;
    s = must(&r); /* at once on the same port */
    assert_int_equal(sock_port(s), port);
    sock_use(s, 6);
    sockets_app_deleted(e.sockets, 1);
    assert_false(connects(port));
}

/* A port that another process has a copy of (the keeper, for a moment) is closed all the same. */
static void test_closed_with_copies_about(void **state)
{
    struct sock_request r = tcp("a", "127.0.0.1", 0);
    struct sock *s = must(&r);
    int copy = fcntl(sock_fd(s), F_DUPFD_CLOEXEC, 3);

    (void)state;
    r.port = sock_port(s);
    sockets_app_deleted(e.sockets, 1);
    assert_false(connects(r.port));
    must(&r);
    close(copy);
    assert_true(connects(r.port));
}

static void test_lingers(void **state)
{
    struct sock_request r = tcp("a", "127.0.0.1", 0), kept = tcp("b", "127.0.0.1", 0);
    struct sock *s = must(&r), *k;
    int port = sock_port(s);
    uint64_t begun, end;

    (void)state;
    kept.configured = true;
    k = must(&kept);
    sock_use(k, 5);
    sock_unuse(k, 5);
    sock_use(s, 5);
    sock_use(s, 5);
    sock_use(s, 6);
    sock_unuse(s, 5);
    sock_unuse(s, 6);
    begun = clock_mono_ms();
    end = begun + 20000;
    while (sockets_find(e.sockets, 1, "a") && clock_mono_ms() < end) {
        uv_run(&e.loop, UV_RUN_NOWAIT);
        usleep(10000);
    }
    assert_null(sockets_find(e.sockets, 1, "a"));
    assert_true(clock_mono_ms() >= begun + 4900);
    assert_false(connects(port));
    assert_ptr_equal(sockets_find(e.sockets, 1, "b"), k); /* of `listen`: stays while the app is up */
    sock_release(k);
    assert_null(sockets_find(e.sockets, 1, "b"));
}

static void test_bounded(void **state)
{
    char key[16];
    struct sock_request r = {.app = 1, .key = key, .kind = SOCK_UDP, .host = "127.0.0.1"};
    struct got g;

    (void)state;
    for (unsigned i = 0; i < SOCKETS_AN_APP; i++) {
        snprintf(key, sizeof(key), "%u", i);
        must(&r);
    }
    snprintf(key, sizeof(key), "more");
    g = ask(&r);
    assert_int_equal(g.error, -ENFILE);
    assert_string_equal(g.words, "the app has 1024 listening sockets already: there is no room for more");
}

static void count_one(void *arg, struct sock *s)
{
    (void)s;
    ++*(int *)arg;
}

/* ---- over the engine's death ---- */

static struct kw_msg told;
static int n_told;

/* The keeper's side of a link. */
static void take_message(int fd)
{
    struct kw_msg m;

    while (kw_recv(fd, &m) == 1) {
        n_told++;
        kw_close_fds(&told);
        told = m;
    }
}

static void ignore(void *arg, struct kw_msg *m)
{
    (void)arg;
    (void)m;
}

static void ignore_loss(void *arg)
{
    (void)arg;
}

static void test_restore(void **state)
{
    struct keeper_link_hooks hooks = {.message = ignore, .lost = ignore_loss};
    struct sock_request r = tcp("k\xff%y", "127.0.0.1", 0);
    struct sock *s;
    int pair[2], n = 0, port;
    uint64_t token;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    e.link = keeper_link_new(&e.loop, pair[0], &hooks);
    r.extra = json_pack("{s:i}", "sched", 2);
    s = must(&r);
    json_decref(r.extra);
    port = sock_port(s);
    token = sock_token(s);
    take_message(pair[1]);
    assert_int_equal(told.type, KW_SOCKET);
    assert_true(told.token == token && told.nfds == 2);
    /* Another engine. */
    keeper_link_close(e.link);
    e.link = NULL;
    sockets_free(e.sockets);
    e.sockets = sockets_new(&e);
    told.type = KW_KEPT;
    struct kw_msg twice = told;
    for (int i = 0; i < 2; i++)
        twice.fds[i] = fcntl(told.fds[i], F_DUPFD_CLOEXEC, 3);
    sockets_restore(e.sockets, &told);
    sockets_restore(e.sockets, &twice); /* a second one of the token is not taken */
    sockets_restored(e.sockets);
    s = sockets_find(e.sockets, 1, "k\xff%y");
    assert_non_null(s);
    assert_true(sock_token(s) == token && sock_port(s) == port);
    assert_int_equal(json_integer_value(json_object_get(sock_extra(s), "sched")), 2);
    assert_true(connects(port));
    sockets_each(e.sockets, 1, count_one, &n);
    assert_int_equal(n, 1);
    r = tcp("next", "127.0.0.1", 0);
    assert_true(sock_token(must(&r)) > token);
    close(pair[1]);
}

static void test_restored_without_app(void **state)
{
    struct sock_request r = tcp("a", "127.0.0.1", 0);
    struct sock *s = must(&r);
    int port = sock_port(s);

    (void)state;
    TAILQ_FIRST(&app->processes)->state = LC_ERRORED;
    sockets_restored(e.sockets);
    assert_null(sockets_find(e.sockets, 1, "a"));
    assert_false(connects(port));
}

static void test_unreadable_meta(void **state)
{
    struct kw_msg m = {.type = KW_KEPT, .token = SOCKET_TOKEN_BIT | 7};

    (void)state;
    sockets_restore(e.sockets, &m); /* nothing came along */
    kw_add_fd(&m, KW_FD_SOCKET, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    kw_add_fd(&m, KW_FD_META, open("/dev/null", O_RDONLY | O_CLOEXEC));
    sockets_restore(e.sockets, &m);
    assert_null(sockets_by_token(e.sockets, SOCKET_TOKEN_BIT | 7));
}

static void test_take_back(void **state)
{
    struct sock_request r = tcp("a", "127.0.0.1", 0);
    struct sock *s = must(&r);
    int pidfd, status;
    pid_t pid;

    (void)state;
    r.port = sock_port(s);
    pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    sockets_free(e.sockets); /* what is open yet is the child's */
    uv_run(&e.loop, UV_RUN_NOWAIT);
    e.sockets = sockets_new(&e);
    pidfd = pidfd_open(pid, 0);
    struct sock_request elsewhere = tcp("b", "127.0.0.2", r.port);
    assert_null(sockets_take_back(e.sockets, &elsewhere, pid, pidfd));
    s = sockets_take_back(e.sockets, &r, pid, pidfd);
    if (s) { /* else this machine does not let us */
        assert_int_equal(sock_port(s), r.port);
        assert_ptr_equal(must(&r), s);
    }
    close(pidfd);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (s)
        assert_true(connects(r.port));
}

/* Of another user's app the path is not believed: the file there may be anybody's. */
static void test_take_back_of_a_user(void **state)
{
    struct sock_request r = unix_at(path);
    struct sock *s = must(&r);
    int pidfd, status;
    pid_t pid;

    (void)state;
    pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    sockets_free(e.sockets);
    uv_run(&e.loop, UV_RUN_NOWAIT);
    e.sockets = sockets_new(&e);
    pidfd = pidfd_open(pid, 0);
    r.uid = "65534";
    s = sockets_take_back(e.sockets, &r, pid, pidfd);
    if (s) { /* else this machine does not let us */
        assert_ptr_equal(sockets_find(e.sockets, 1, path), s);
        sockets_app_deleted(e.sockets, 1);
        for (int i = 0; i < 100; i++, usleep(1000))
            uv_run(&e.loop, UV_RUN_NOWAIT);
        assert_int_equal(access(path, F_OK) == 0, geteuid() == 0);
    }
    close(pidfd);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* What libuv opens once for all loops is not counted. */
static int open_first_loop(void **state)
{
    (void)state;
    uv_loop_init(&e.loop);
    return uv_loop_close(&e.loop);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_tcp),
        T(test_configured),
        T(test_all_addresses),
        T(test_in_use),
        T(test_bad_addresses),
        T(test_low_port_of_a_user),
        T(test_reuse_port),
        T(test_udp),
        T(test_unix),
        T(test_unix_mode_added),
        T(test_unix_owner),
        T(test_unix_without_the_right),
        T(test_unix_stale),
        T(test_unix_other_file),
        T(test_unix_other_mode),
        T(test_unix_folder_exchanged),
        T(test_unix_removed),
        T(test_unix_abstract),
        T(test_unix_bad_paths),
        T(test_shared_and_cancelled),
        T(test_all_of_a_list),
        T(test_opened_for_nobody),
        T(test_opened_for_nobody_of_an_app_that_is_up),
        T(test_released_in_use),
        T(test_rest_and_delete),
        T(test_closed_with_copies_about),
        T(test_lingers),
        T(test_bounded),
        T(test_restore),
        T(test_restored_without_app),
        T(test_unreadable_meta),
        T(test_take_back),
        T(test_take_back_of_a_user),
    };

    alarm(100);
    return cmocka_run_group_tests(tests, open_first_loop, NULL);
}
