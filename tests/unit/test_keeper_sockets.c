/* Listening sockets with the real keeper: held over engines and upgrades, put into children, given up. */
#include "keeper_rig.h"

#include <netinet/in.h>

#define TOKEN(n) (SOCKET_TOKEN_BIT | (n))

static struct rig rig;

static int setup(void **state)
{
    *state = &rig;
    assert_int_equal(rig_init(&rig), 0);
    setenv("RIG_DOOR", rig.door, 1);
    return 0;
}

static int teardown(void **state)
{
    return rig_deinit(*state);
}

/* A listening socket on a free port of the loopback. */
static int listener(int *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *port = ntohs(a.sin_port);
    return fd;
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

static void give(struct rig *r, uint64_t token, int fd)
{
    struct kw_msg m = {.type = KW_SOCKET, .token = token};
    int meta = open("/dev/null", O_RDONLY | O_CLOEXEC);

    kw_add_fd(&m, KW_FD_SOCKET, fd);
    kw_add_fd(&m, KW_FD_META, meta);
    rig_say(r, &m);
    close(meta);
    close(fd);
}

static void expect_kept(struct rig *r, uint64_t token)
{
    struct kw_msg m = rig_expect(r, KW_KEPT, token);

    assert_int_equal(m.nfds, 2);
    assert_int_equal(m.kinds[0], KW_FD_SOCKET);
    assert_int_equal(m.kinds[1], KW_FD_META);
    kw_close_fds(&m);
}

static void next_engine(struct rig *r)
{
    kill(r->engine, SIGKILL);
    rig_next_engine(r);
    rig_hello(r);
    rig_ask_snapshot(r);
}

static void test_held_until_dropped(void **state)
{
    struct rig *r = *state;
    struct kw_msg m;
    int port, other;

    rig_start(r);
    give(r, TOKEN(7), listener(&port));
    give(r, TOKEN(8), listener(&other));
    give(r, TOKEN(8), listener(&other)); /* in place of the one before */
    give(r, 9, listener(&other));        /* a run's token: refused */
    next_engine(r);
    expect_kept(r, TOKEN(7));
    expect_kept(r, TOKEN(8));
    m = rig_snapshot_end(r);
    assert_true(m.token == 0); /* sockets are no runs */
    assert_true(connects(port));
    rig_drop(r, TOKEN(7), KW_FD_SOCKET, KW_FD_META);
    rig_ask_snapshot(r);
    expect_kept(r, TOKEN(8));
    rig_snapshot_end(r);
    assert_false(connects(port));
    assert_int_equal(rig_bye(r, 0), 0);
}

static void test_over_an_upgrade(void **state)
{
    struct rig *r = *state;
    struct kw_msg m;
    int port;

    rig_start(r);
    give(r, TOKEN(1), listener(&port));
    for (int i = 0; i < 2; i++) {
        rig_plain(r, KW_UPGRADE, 0);
        m = rig_expect(r, KW_UPGRADED, 0);
        assert_int_equal(m.error, 0);
    }
    assert_true(connects(port));
    next_engine(r);
    expect_kept(r, TOKEN(1));
    rig_snapshot_end(r);
    assert_int_equal(rig_bye(r, 0), 0);
}

static void spawn_with(struct rig *r, uint64_t token, uint32_t flags, const char *script, uint32_t n)
{
    char *argv[4];
    struct spawn_spec s = shell_spec(argv, script);

    s.nsockets = n;
    for (uint32_t i = 0; i < n; i++)
        s.sockets[i] = TOKEN(i + 1);
    rig_spawn_spec(r, token, flags, geteuid(), &s);
}

static struct kw_msg expect_running(struct rig *r, uint64_t token)
{
    struct kw_msg child = rig_expect(r, KW_CHILD, token), m;

    m = rig_expect(r, KW_EXEC, token);
    assert_int_equal(m.error, 0);
    return child;
}

static void expect_socket_at(pid_t pid, int fd, int want)
{
    char path[64], link[64] = "", name[64];
    struct stat st;

    assert_int_equal(fstat(want, &st), 0);
    snprintf(name, sizeof(name), "socket:[%lu]", (unsigned long)st.st_ino);
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
    assert_true(readlink(path, link, sizeof(link) - 1) > 0);
    assert_string_equal(link, name);
}

static void test_children_get_them(void **state)
{
    struct rig *r = *state;
    struct kw_msg child;
    int port, mine[3], ipc, out;

    rig_start(r);
    for (uint32_t i = 0; i < 3; i++) {
        mine[i] = listener(&port);
        give(r, TOKEN(i + 1), fcntl(mine[i], F_DUPFD_CLOEXEC, 3));
    }
    spawn_with(r, 1, 0, "exec sleep 100", 3);
    child = expect_running(r, 1);
    expect_fds(child.pid, 5);
    for (int i = 0; i < 3; i++)
        expect_socket_at(child.pid, 3 + i, mine[i]);
    kw_close_fds(&child);
    /* The Node channel comes after them. */
    spawn_with(r, 2, KW_WANT_IPC, "echo ping >&5; read line <&5; echo $line; exec sleep 100", 2);
    child = expect_running(r, 2);
    ipc = kw_take_fd(&child, KW_FD_IPC);
    out = kw_take_fd(&child, KW_FD_STDOUT);
    expect_output(ipc, "ping\n");
    assert_int_equal(write(ipc, "pong\n", 5), 5);
    expect_output(out, "pong\n");
    expect_fds(child.pid, 5);
    expect_socket_at(child.pid, 4, mine[1]);
    close(ipc);
    close(out);
    kw_close_fds(&child);
    for (int i = 0; i < 3; i++)
        close(mine[i]);
    assert_true(connects(port));
}

/* More than the keeper itself has descriptors, so that places and sources overlap. */
static void test_many(void **state)
{
    struct rig *r = *state;
    struct kw_msg child;
    int port, first = listener(&port);

    rig_start(r);
    for (uint32_t i = 0; i < SPAWN_SOCKETS_MAX; i++)
        give(r, TOKEN(i + 1), fcntl(first, F_DUPFD_CLOEXEC, 3));
    spawn_with(r, 1, KW_WANT_IPC, "exec sleep 100", SPAWN_SOCKETS_MAX);
    child = expect_running(r, 1);
    expect_fds(child.pid, 3 + SPAWN_SOCKETS_MAX);
    expect_socket_at(child.pid, 2 + SPAWN_SOCKETS_MAX, first);
    kw_close_fds(&child);
    close(first);
}

static void test_one_that_is_not_there(void **state)
{
    struct rig *r = *state;
    struct kw_msg m;
    int port;

    rig_start(r);
    give(r, TOKEN(1), listener(&port));
    spawn_with(r, 1, 0, "exit 0", 2);
    m = rig_expect(r, KW_REFUSED, 1);
    assert_int_equal(m.step, KW_STEP_SOCKET);
    assert_int_equal(m.error, ENOENT);
    assert_string_equal(kw_step_word(m.step), "find the listening socket");
    rig_spawn(r, TOKEN(5), "exit 0"); /* no run has such a token */
    m = rig_expect(r, KW_REFUSED, TOKEN(5));
    assert_int_equal(m.step, KW_STEP_SPEC);
    spawn_with(r, 2, 0, "exec sleep 100", 1);
    m = expect_running(r, 2);
    kw_close_fds(&m);
}

static void test_bounded(void **state)
{
    struct rig *r = *state;
    int port, first = listener(&port);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max < 3 * KW_SOCKETS_MAX) {
        close(first);
        skip();
    }
    rig_start(r);
    for (uint32_t i = 1; i <= KW_SOCKETS_MAX + 1; i++)
        give(r, TOKEN(i), fcntl(first, F_DUPFD_CLOEXEC, 3));
    close(first);
    rig_ask_snapshot(r);
    for (uint32_t i = 1; i <= KW_SOCKETS_MAX; i++)
        expect_kept(r, TOKEN(i));
    rig_snapshot_end(r);
    assert_true(log_has(r, "cannot keep one more listening socket"));
    assert_int_equal(rig_bye(r, 0), 0);
}

/* What pmd does with its flags, for the upgrade. */
static int as_pmd(int argc, char **argv)
{
    struct keeper_options o = {.attach_fd = -1};
    char *engine[] = {argv[0], (char *)"body", getenv("RIG_DOOR"), NULL, NULL};
    static char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (strcmp(argv[1], "--check-upgrade") == 0)
        return keeper_check_upgrade(argv[2]);
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--resume-fd") == 0)
            o.resume_fd = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--previous-fd") == 0)
            o.previous_fd = atoi(argv[i + 1]);
        else
            o.home = engine[3] = argv[i + 1];
    }
    self[n > 0 ? n : 0] = '\0';
    engine[0] = self;
    o.engine_argv = engine;
    return keeper_main(&o);
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_held_until_dropped),    T(test_over_an_upgrade), T(test_children_get_them), T(test_many),
        T(test_one_that_is_not_there), T(test_bounded),
    };

    if (argc > 2 && strcmp(argv[1], "body") == 0)
        return body_main(argv);
    if (argc > 1 && strncmp(argv[1], "--", 2) == 0)
        return as_pmd(argc, argv);
    alarm(100);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
