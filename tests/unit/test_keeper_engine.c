/* Engines that die, hang, or cannot start, and the end of the daemon. */
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

static void kill_engine(struct rig *r)
{
    assert_int_equal(kill(r->engine, SIGKILL), 0);
}

static void test_greeting(void **state)
{
    struct rig *r = *state;
    struct kw_msg m;

    r->keeper = rig_fork_keeper(r, true, false);
    for (int i = 0; i < 2; i++) { /* each engine is greeted, before it has asked for anything */
        rig_next_engine(r);
        rig_hello(r);
        wait_readable(r->link);
        assert_int_equal(kw_recv(r->link, &m), 1);
        assert_int_equal(m.type, KW_WELCOME);
        assert_int_equal(m.pid, r->keeper);
        assert_true(m.arg == KW_VERSION);
        assert_int_equal(m.nfds, 0);
        rig_nothing_more(r);
        kill_engine(r);
    }
}

static void test_next_engine_continues(void **state)
{
    struct rig *r = *state;
    struct kw_msg child, m;
    int pipefd[2];

    rig_start(r);
    child = rig_run(r, 1, "read a; echo before; read b; echo after; exit 5");
    kw_close_fds(&child);
    child = rig_run(r, 2, "exit 6");
    kw_close_fds(&child);
    m = rig_expect(r, KW_EXITED, 2);
    m = (struct kw_msg){.type = KW_NOTE, .token = 1, .note_len = 3, .note = "new"};
    rig_say(r, &m);
    assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
    m = (struct kw_msg){.type = KW_HOLD, .token = 1};
    kw_add_fd(&m, KW_FD_SPOOL_OUT, pipefd[0]);
    kw_add_fd(&m, KW_FD_SPOOL_ERR, pipefd[0]);
    kw_add_fd(&m, KW_FD_NOTIFY, pipefd[0]);
    rig_say(r, &m);
    rig_drop(r, 1, KW_FD_NOTIFY, KW_FD_NOTIFY);
    kill_engine(r);
    rig_next_engine(r);
    rig_nothing_more(r); /* no news before it has asked */
    rig_hello(r);
    rig_plain(r, KW_SNAPSHOT, 0);
    m = rig_expect(r, KW_CHILD, 0);
    assert_int_equal(m.nfds, 3);
    kw_close_fds(&m);
    child = rig_expect(r, KW_CHILD, 1);
    assert_int_equal(child.flags, KW_EXEC_KNOWN);
    assert_int_equal(child.error, 0);
    assert_int_equal(child.note_len, 3);
    assert_memory_equal(child.note, "new", 3);
    assert_int_equal(child.nfds, 7);
    int in = kw_take_fd(&child, KW_FD_STDIN), out = kw_take_fd(&child, KW_FD_STDOUT);
    int spool = kw_take_fd(&child, KW_FD_SPOOL_OUT), spec_fd = kw_take_fd(&child, KW_FD_SPEC);
    struct spawn_spec spec;
    assert_int_equal(spawn_spec_map(spec_fd, &spec), 0);
    assert_string_equal(spec.argv[0], "sh");
    spawn_spec_unmap(&spec);
    close(spec_fd);
    kw_close_fds(&child);
    m = rig_expect(r, KW_CHILD, 2);
    assert_int_equal(m.flags, KW_EXEC_KNOWN | KW_HAS_EXITED);
    assert_int_equal(WEXITSTATUS(m.wait_status), 6);
    kw_close_fds(&m);
    m = rig_snapshot_end(r);
    assert_true(m.token == 2 && m.arg == 2);
    /* The descriptors are the same as ever. */
    assert_int_equal(write(pipefd[1], "s", 1), 1);
    expect_output(spool, "s");
    assert_int_equal(write(in, "1\n2\n", 4), 4);
    expect_output(out, "before\nafter\n");
    m = rig_expect(r, KW_EXITED, 1);
    assert_int_equal(WEXITSTATUS(m.wait_status), 5);
    close(in);
    close(out);
    close(spool);
    close(pipefd[0]);
    close(pipefd[1]);
}

static void test_more_descriptors_than_a_packet(void **state)
{
    struct rig *r = *state;
    struct kw_msg child, m, more;
    unsigned last = 0;

    rig_start(r);
    child = rig_run(r, 1, "exec sleep 100");
    kw_close_fds(&child);
    m = (struct kw_msg){.type = KW_HOLD, .token = 1};
    for (int kind = KW_FD_IPC; kind < KW_FD_COUNT; kind++) {
        if (m.nfds == KW_FDS_MAX) {
            rig_say(r, &m);
            m.nfds = 0;
        }
        kw_add_fd(&m, (enum kw_fd)kind, r->listen_fd);
    }
    rig_say(r, &m);
    rig_ask_snapshot(r);
    m = rig_expect(r, KW_CHILD, 1);
    for (unsigned n = m.nfds; n < KW_FD_COUNT - 1;) {
        more = rig_expect(r, KW_CHILD, 1);
        n += more.nfds;
        assert_true(more.nfds > 0 && n < KW_FD_COUNT);
        assert_int_equal(m.pid, more.pid);
        assert_int_equal(m.flags, more.flags);
        last = more.kinds[more.nfds - 1];
        kw_close_fds(&more);
    }
    assert_int_equal(last, KW_FD_COUNT - 1);
    kw_close_fds(&m);
    rig_snapshot_end(r);
}

static void test_last_words_count(void **state)
{
    struct rig *r = *state;
    struct kw_msg child, m;

    rig_start(r);
    child = rig_run(r, 1, "exit 0");
    kw_close_fds(&child);
    m = rig_expect(r, KW_EXITED, 1);
    /* Stopped, the keeper finds the engine's last messages and its death all at once. */
    assert_int_equal(kill(r->keeper, SIGSTOP), 0);
    rig_plain(r, KW_ACK, 1);
    rig_drop_rest(r, 1);
    rig_spawn(r, 2, "exec sleep 100");
    kill_engine(r);
    close(r->link);
    r->link = -1;
    assert_int_equal(kill(r->keeper, SIGCONT), 0);
    rig_next_engine(r);
    rig_hello(r);
    rig_ask_snapshot(r);
    m = rig_expect(r, KW_CHILD, 2); /* 1 is gone, 2 was started */
    kw_close_fds(&m);
    do {
        m = recv_any(r->link);
        kw_close_fds(&m);
    } while (m.type != KW_SNAPSHOT_END);
}

static void test_hung_engine(void **state)
{
    struct rig *r = *state;
    struct kw_msg child;

    setenv("PM_HEARTBEAT_LIMIT", "400", 1);
    rig_start(r);
    child = rig_run(r, 1, "exec sleep 100");
    kw_close_fds(&child);
    pid_t first = r->engine;
    for (int i = 0; i < 10; i++) { /* longer than the limit, but with beats */
        rig_plain(r, KW_BEAT, 0);
        usleep(100000);
    }
    assert_int_equal(kill(first, 0), 0);
    kill(first, SIGSTOP);
    rig_next_engine(r);
    assert_int_not_equal(r->engine, first);
    assert_int_equal(kill(first, 0), -1); /* the last one is gone before the next one comes */
    assert_true(log_has(r, "no heartbeat"));
    rig_hello(r);
    rig_ask_snapshot(r);
    child = rig_expect(r, KW_CHILD, 1);
    assert_int_equal(kill(child.pid, 0), 0);
    kw_close_fds(&child);
    rig_snapshot_end(r);
}

static void test_engine_that_closes_its_link(void **state)
{
    struct rig *r = *state;

    rig_start(r);
    pid_t first = r->engine;
    close(r->link);
    r->link = -1;
    for (int i = 0; i < 300 && kill(first, 0) == 0; i++)
        usleep(10000);
    assert_int_equal(kill(first, 0), -1);
    assert_true(log_has(r, "closed its link"));
    rig_next_engine(r);
}

static void test_broken_engine_keeps_everything(void **state)
{
    struct rig *r = *state;
    char link[128], *argv[] = {link, (char *)"body", r->door, NULL};
    struct kw_msg child, m;

    snprintf(link, sizeof(link), "%s/engine", r->home);
    assert_int_equal(symlink(r->exe, link), 0);
    r->use_argv = argv;
    rig_start(r);
    child = rig_run(r, 1, "read a; echo alive; exec sleep 100");
    int in = kw_take_fd(&child, KW_FD_STDIN);
    kw_close_fds(&child);
    assert_int_equal(unlink(link), 0);
    kill_engine(r);
    usleep(800000);
    assert_int_equal(kill(r->keeper, 0), 0);
    assert_true(log_has(r, "was ended by signal 9"));
    assert_true(log_has(r, "cannot execute the engine"));
    assert_true(log_has(r, "No such file or directory"));
    assert_true(log_has(r, "1 runs are kept"));
    assert_int_equal(symlink("/bin/false", link), 0);
    usleep(900000);
    assert_true(log_has(r, "ended with exit status 1"));
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink(r->exe, link), 0);
    rig_next_engine(r);
    rig_hello(r);
    rig_ask_snapshot(r);
    m = rig_expect(r, KW_CHILD, 1);
    int out = kw_take_fd(&m, KW_FD_STDOUT);
    kw_close_fds(&m);
    rig_snapshot_end(r);
    assert_int_equal(write(in, "\n", 1), 1);
    expect_output(out, "alive\n");
    close(in);
    close(out);
}

static void test_broken_engine_at_first(void **state)
{
    struct rig *r = *state;
    char *argv[] = {(char *)"/nonexistent", NULL};

    r->use_argv = argv;
    pid_t pid = rig_fork_keeper(r, true, false);
    assert_int_equal(exit_status_of(pid), 1 << 8);
    assert_true(log_has(r, "cannot execute the engine /nonexistent: No such file"));
    assert_false(home_has(r, "pm.sock") || home_has(r, "attach.sock") || home_has(r, "pmd.pid"));
    pid = rig_fork_keeper(r, false, false); /* the caller of a detached one is told */
    assert_int_equal(exit_status_of(pid), 1 << 8);
    assert_true(log_has(r, "pmd: cannot execute the engine /nonexistent"));
}

static void expect_stop(struct rig *r)
{
    struct kw_msg m = recv_any(r->link);

    assert_int_equal(m.type, KW_SIGNAL);
    assert_int_equal(m.arg, SIGTERM);
}

static void test_sigterm(void **state)
{
    struct rig *r = *state;
    struct kw_msg child;

    rig_start(r);
    child = rig_run(r, 1, "exec sleep 100");
    kw_close_fds(&child);
    kill(r->keeper, SIGHUP); /* ignored */
    kill(r->keeper, SIGTERM);
    expect_stop(r);
    kill(r->keeper, SIGTERM); /* said once */
    rig_nothing_more(r);
    kill_engine(r);
    rig_next_engine(r);
    rig_hello(r);
    rig_ask_snapshot(r);
    child = rig_expect(r, KW_CHILD, 1);
    kw_close_fds(&child);
    rig_snapshot_end(r);
    expect_stop(r); /* after the snapshot, or it would find nothing to stop */
    assert_true(home_has(r, "pm.sock") && home_has(r, "attach.sock") && home_has(r, "pmd.pid"));
    assert_int_equal(rig_bye(r, 0), 0);
    assert_false(home_has(r, "pm.sock") || home_has(r, "attach.sock") || home_has(r, "pmd.pid"));
    assert_true(home_has(r, "pmd.lock"));
}

static void test_goodbye_of_a_lingering_engine(void **state)
{
    struct rig *r = *state;
    struct kw_msg m = {.type = KW_BYE};

    setenv("PM_HEARTBEAT_LIMIT", "200", 1);
    rig_start(r);
    rig_say(r, &m);
    for (int i = 0; i < 100 && home_has(r, "pm.sock"); i++)
        usleep(10000);
    assert_false(home_has(r, "pm.sock"));
    usleep(700000); /* it closes its databases, without beats */
    assert_int_equal(kill(r->engine, 0), 0);
    assert_int_equal(kw_send(r->report, &m), 0);
    assert_int_equal(exit_status_of(r->keeper), 0);
    r->keeper = 0;
}

static void test_stopping_engine_dies(void **state)
{
    struct rig *r = *state;

    rig_start(r);
    rig_plain(r, KW_STOPPING, 0);
    rig_nothing_more(r); /* it knows */
    kill_engine(r);
    rig_next_engine(r);
    rig_greet(r);
    expect_stop(r);
    assert_int_equal(rig_bye(r, 0), 0);
}

static void test_no_engine_can_stop(void **state)
{
    struct rig *r = *state;
    struct kw_msg child;
    uint64_t begin;

    rig_start(r);
    child = rig_run(r, 1, "exec sleep 100");
    kw_close_fds(&child);
    child = rig_run(r, 2, "trap '' TERM; echo on; while :; do sleep 0.1; done");
    int out = kw_take_fd(&child, KW_FD_STDOUT);
    expect_output(out, "on\n");
    close(out);
    kw_close_fds(&child);
    kill(r->keeper, SIGTERM);
    expect_stop(r);
    for (int i = 0; i < 5; i++) {
        if (i)
            rig_next_engine(r);
        kill_engine(r);
    }
    begin = clock_mono_ms();
    assert_int_equal(exit_status_of(r->keeper), 1 << 8);
    r->keeper = 0;
    assert_in_range(clock_mono_ms() - begin, 4000, 8000);
    assert_true(log_has(r, "the keeper stops the apps itself"));
    for (int i = 0; i < r->npids; i++) {
        for (int tries = 0; tries < 100 && kill(-r->pids[i], 0) == 0; tries++) {
            waitpid(-1, NULL, WNOHANG); /* the sleep of the loop is re-parented to us */
            usleep(10000);
        }
        assert_int_equal(kill(-r->pids[i], 0), -1);
    }
}

static void test_reopen(void **state)
{
    struct rig *r = *state;
    struct kw_msg m;

    rig_start(r);
    kill(r->keeper, SIGUSR2);
    m = recv_any(r->link);
    assert_int_equal(m.type, KW_SIGNAL);
    assert_int_equal(m.arg, SIGUSR2);
}

static void test_garbage_on_the_link(void **state)
{
    struct rig *r = *state;
    struct kw_msg child, m = {.type = 999, .token = 5};
    char junk[500];

    rig_start(r);
    memset(junk, 0xee, sizeof(junk));
    for (size_t i = 1; i < sizeof(junk); i += 7)
        assert_int_equal(send(r->link, junk, i, 0), i);
    rig_say(r, &m);
    rig_plain(r, KW_ACK, 12345);
    rig_plain(r, KW_ACK, 0);
    m = (struct kw_msg){.type = KW_HOLD, .token = 12345};
    kw_add_fd(&m, KW_FD_SPOOL_OUT, r->report);
    rig_say(r, &m);
    m = (struct kw_msg){.type = KW_HOLD, .token = 0};
    kw_add_fd(&m, (enum kw_fd)200, r->report); /* a kind of a newer build */
    rig_say(r, &m);
    child = rig_run(r, 1, "exec sleep 100");
    kw_close_fds(&child);
    rig_plain(r, KW_ACK, 1); /* it lives: refused */
    rig_ask_snapshot(r);
    child = rig_expect(r, KW_CHILD, 1);
    assert_int_equal(child.nfds, 5);
    kw_close_fds(&child);
    rig_snapshot_end(r);
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_greeting),
        T(test_next_engine_continues),
        T(test_more_descriptors_than_a_packet),
        T(test_last_words_count),
        T(test_hung_engine),
        T(test_engine_that_closes_its_link),
        T(test_broken_engine_keeps_everything),
        T(test_broken_engine_at_first),
        T(test_sigterm),
        T(test_goodbye_of_a_lingering_engine),
        T(test_stopping_engine_dies),
        T(test_no_engine_can_stop),
        T(test_reopen),
        T(test_garbage_on_the_link),
    };

    if (argc > 2 && strcmp(argv[1], "body") == 0)
        return body_main(argv);
    alarm(100);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
