/* A keeper that dies and its successors; starting when a daemon is there already; detaching. */
#include "keeper_rig.h"

static struct rig rig;

static int setup(void **state)
{
    *state = &rig;
    return rig_init(&rig);
}

static int teardown(void **state)
{
    return rig_deinit(*state);
}

struct held {
    struct kw_msg self, child; /* what the engine holds when the keeper dies */
};

/* One child, an engine that holds everything, no keeper. */
static struct held lose_keeper(struct rig *r)
{
    struct held h;
    struct kw_msg m;

    rig_start(r);
    m = rig_run(r, 7, "read a; echo got $a; exec sleep 100");
    kw_close_fds(&m);
    rig_plain(r, KW_SNAPSHOT, 0);
    h.self = rig_expect(r, KW_CHILD, 0);
    h.child = rig_expect(r, KW_CHILD, 7);
    rig_snapshot_end(r);
    kill(r->keeper, SIGKILL);
    exit_status_of(r->keeper);
    r->keeper = 0;
    struct pollfd p = {r->link, POLLIN, 0};
    assert_int_equal(poll(&p, 1, RIG_WAIT_MS), 1);
    assert_int_equal(kw_recv(r->link, &m), 0);
    assert_int_equal(kill(r->engine, 0), 0);
    assert_int_equal(kill(h.child.pid, 0), 0);
    return h;
}

/* Hands over what the engine holds, as an engine does. */
static void hand_over(struct rig *r, struct held *h)
{
    h->self.type = KW_HOLD;
    rig_say(r, &h->self);
    h->child.type = KW_ADOPT;
    rig_say(r, &h->child);
    kw_close_fds(&h->self);
}

/* The engine that attached dies; the new keeper's own one finds everything. */
static void expect_successor_continues(struct rig *r, struct held *h)
{
    struct kw_msg m, self;

    assert_int_equal(kill(r->engine, SIGKILL), 0);
    rig_next_engine(r);
    rig_hello(r);
    rig_plain(r, KW_SNAPSHOT, 0);
    self = rig_expect(r, KW_CHILD, 0);
    assert_int_equal(self.nfds, 3);
    kw_close_fds(&self);
    m = rig_expect(r, KW_CHILD, 7);
    assert_int_equal(m.flags, KW_FOREIGN | KW_EXEC_KNOWN);
    assert_int_equal(m.pid, h->child.pid);
    assert_int_equal(m.proc, 107);
    assert_memory_equal(m.note, "note", 4);
    assert_true(m.start_ticks == h->child.start_ticks && m.start_us == h->child.start_us);
    int in = kw_take_fd(&m, KW_FD_STDIN), out = kw_take_fd(&m, KW_FD_STDOUT);
    kw_close_fds(&m);
    m = rig_snapshot_end(r);
    assert_true(m.token == 7 && m.arg == 2);
    assert_int_equal(write(in, "x\n", 2), 2);
    expect_output(out, "got x\n");
    close(in);
    close(out);
    /* The keeper cannot wait for it; the engine saw its end and says so. */
    kill(h->child.pid, SIGKILL);
    rig_nothing_more(r);
    rig_plain(r, KW_ACK, 7);
    rig_drop_rest(r, 7);
    rig_ask_snapshot(r);
    rig_snapshot_end(r);
    kw_close_fds(&h->child);
}

static void test_engine_starts_a_keeper(void **state)
{
    struct rig *r = *state;
    struct held h = lose_keeper(r);
    struct kw_msg order = {.type = KW_HELLO, .arg = BODY_NEW_KEEPER}, child;

    assert_int_equal(kw_send(r->report, &order), 0);
    rig_take_report(r);
    rig_hello(r);
    hand_over(r, &h);
    child = rig_run(r, 8, "exec sleep 100"); /* it serves at once */
    kw_close_fds(&child);
    r->keeper = read_pid_file(r);
    assert_int_equal(getsid(r->keeper), r->keeper);
    kill(child.pid, SIGKILL);
    child = rig_expect(r, KW_EXITED, 8);
    assert_int_equal(WTERMSIG(child.wait_status), SIGKILL);
    rig_plain(r, KW_ACK, 8);
    rig_drop_rest(r, 8);
    h.child.token = 7;
    /* The highest run ever seen is 8, also when it is gone: told below as the end of the snapshot. */
    assert_int_equal(kill(r->engine, SIGKILL), 0);
    rig_next_engine(r);
    rig_hello(r);
    rig_ask_snapshot(r);
    child = rig_expect(r, KW_CHILD, 7);
    kw_close_fds(&child);
    child = rig_snapshot_end(r);
    assert_true(child.token == 8);
    kw_close_fds(&h.child);
    assert_int_equal(rig_bye(r, 0), 0);
    assert_false(home_has(r, "pm.sock") || home_has(r, "pmd.pid"));
}

static void test_attached_engine_is_followed(void **state)
{
    struct rig *r = *state;
    struct held h = lose_keeper(r);
    struct kw_msg order = {.type = KW_HELLO, .arg = BODY_NEW_KEEPER};

    assert_int_equal(kw_send(r->report, &order), 0);
    rig_take_report(r);
    rig_hello(r);
    hand_over(r, &h);
    expect_successor_continues(r, &h);
    r->keeper = read_pid_file(r);
    assert_int_equal(rig_bye(r, 0), 0);
}

static void test_hung_attached_engine(void **state)
{
    struct rig *r = *state;
    struct kw_msg order = {.type = KW_HELLO, .arg = BODY_NEW_KEEPER};

    setenv("PM_HEARTBEAT_LIMIT", "300", 1);
    struct held h = lose_keeper(r);
    assert_int_equal(kw_send(r->report, &order), 0);
    rig_take_report(r);
    rig_hello(r);
    hand_over(r, &h);
    pid_t first = r->engine;
    kill(first, SIGSTOP);
    expect_successor_continues(r, &h); /* kills it at once; the limit would do so as well */
    r->keeper = read_pid_file(r);
    first = r->engine;
    kill(first, SIGSTOP);
    rig_next_engine(r);
    assert_int_equal(kill(first, 0), -1);
    rig_greet(r);
    assert_int_equal(rig_bye(r, 0), 0);
}

static void test_wrong_pid_is_not_believed(void **state)
{
    struct rig *r = *state;
    struct held h = lose_keeper(r);
    struct kw_msg order = {.type = KW_HELLO, .arg = BODY_NEW_KEEPER};
    struct kw_msg lie = {.type = KW_HELLO, .pid = h.child.pid, .arg = KW_VERSION}, m;

    assert_int_equal(kw_send(r->report, &order), 0);
    rig_take_report(r);
    rig_say(r, &lie);
    wait_readable(r->link);
    assert_int_equal(kw_recv(r->link, &m), 0);
    assert_int_equal(kill(h.child.pid, 0), 0);
    kw_close_fds(&h.self);
    kw_close_fds(&h.child);
}

static void test_keeper_started_by_others_attaches(void **state)
{
    struct rig *r = *state;
    struct held h = lose_keeper(r);
    struct kw_msg order = {.type = KW_HELLO, .arg = BODY_ACCEPT};

    for (unsigned i = 0; i < h.self.nfds; i++)
        if (h.self.kinds[i] == KW_FD_ATTACH)
            kw_add_fd(&order, KW_FD_ATTACH, h.self.fds[i]);
    assert_int_equal(order.nfds, 1);
    r->keeper = rig_fork_keeper(r, true, false); /* finds the lock taken, by the engine */
    assert_int_equal(kw_send(r->report, &order), 0);
    rig_take_report(r);
    hand_over(r, &h);
    expect_successor_continues(r, &h);
    assert_int_equal(read_pid_file(r), r->keeper);
    assert_int_equal(rig_bye(r, 0), 0);
}

static void test_one_daemon(void **state)
{
    struct rig *r = *state;
    struct kw_msg m;
    char words[128];

    rig_start(r);
    rig_plain(r, KW_SNAPSHOT, 0);
    m = rig_expect(r, KW_CHILD, 0);
    rig_snapshot_end(r);
    int attach = kw_take_fd(&m, KW_FD_ATTACH);
    kw_close_fds(&m);
    for (int autostart = 0; autostart < 2; autostart++) {
        pid_t second = rig_fork_keeper(r, autostart, autostart);

        wait_readable(attach);
        close(accept4(attach, NULL, NULL, SOCK_CLOEXEC)); /* an engine that has a keeper */
        assert_int_equal(exit_status_of(second), autostart ? 0 : 1 << 8);
    }
    snprintf(words, sizeof(words), "a daemon already runs for %s (pid %d)", r->home, (int)r->keeper);
    assert_true(log_has(r, words));
    close(attach);
    assert_int_equal(rig_bye(r, 0), 0);
}

static void test_lock_that_comes_free(void **state)
{
    struct rig *r = *state;
    struct held h = lose_keeper(r);
    pid_t second;

    /* Engine and keeper end, but something holds the lock a little longer. */
    for (unsigned i = 0; i < h.self.nfds; i++)
        if (h.self.kinds[i] != KW_FD_LOCK) {
            close(h.self.fds[i]);
            h.self.fds[i] = -1;
        }
    kill(r->engine, SIGKILL);
    exit_status_of(r->engine);
    second = rig_fork_keeper(r, true, false);
    usleep(200000);
    assert_int_equal(waitpid(second, NULL, WNOHANG), 0);
    kw_close_fds(&h.self);
    r->keeper = second;
    rig_next_engine(r); /* stale sockets did no harm */
    rig_greet(r);
    kw_close_fds(&h.child);
    assert_int_equal(rig_bye(r, 0), 0);
}

static void test_detached(void **state)
{
    struct rig *r = *state;
    struct stat st;
    char path[96];
    pid_t caller = rig_fork_keeper(r, false, false);
    int status;

    rig_next_engine(r);
    usleep(100000);
    assert_int_equal(waitpid(caller, &status, WNOHANG), 0); /* not up before the engine has spoken */
    rig_greet(r);
    assert_int_equal(exit_status_of(caller), 0);
    r->keeper = read_pid_file(r);
    assert_int_equal(getsid(r->keeper), r->keeper);
    assert_int_not_equal(r->keeper, caller);
    for (int i = 0; i < 4; i++) {
        static const char *const names[] = {"pm.sock", "attach.sock", "pmd.log", "pmd.lock"};

        snprintf(path, sizeof(path), "%s/%s", r->home, names[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    assert_int_equal(rig_bye(r, 0), 0);
}

static void test_home_that_cannot_be(void **state)
{
    struct rig *r = *state;
    char dir[96];
    pid_t pid;

    snprintf(dir, sizeof(dir), "%s/test.log", r->home); /* a file */
    close(open_log(r, O_WRONLY));
    struct keeper_options o = {.home = dir, .attach_fd = -1};
    pid = fork();
    if (pid == 0) {
        dup2(open_log(r, O_WRONLY), 2);
        _exit(keeper_main(&o));
    }
    assert_int_equal(exit_status_of(pid), 1 << 8);
    assert_true(log_has(r, "pmd: "));
    assert_true(log_has(r, "test.log"));
}

static void test_very_long_home(void **state)
{
    struct rig *r = *state;
    char top[64];

    snprintf(top, sizeof(top), "%s", r->home);
    struct keeper_options o = {.foreground = true, .attach_fd = -1, .engine_argv = r->engine_argv};
    char deep[300];
    int n = snprintf(deep, sizeof(deep), "%s/", top);
    memset(deep + n, 'd', 200);
    deep[n + 200] = '\0';
    o.home = deep;
    r->keeper = fork();
    if (r->keeper == 0) {
        dup2(open_log(r, O_WRONLY), 2);
        _exit(keeper_main(&o));
    }
    rig_next_engine(r);
    rig_greet(r);
    assert_int_equal(rig_bye(r, 0), 0);
    remove_home(deep);
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_engine_starts_a_keeper),
        T(test_attached_engine_is_followed),
        T(test_hung_attached_engine),
        T(test_wrong_pid_is_not_believed),
        T(test_keeper_started_by_others_attaches),
        T(test_one_daemon),
        T(test_lock_that_comes_free),
        T(test_detached),
        T(test_home_that_cannot_be),
        T(test_very_long_home),
    };

    if (argc > 2 && strcmp(argv[1], "body") == 0)
        return body_main(argv);
    alarm(100);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
