/* One child after the other through the real keeper: what it gets, and what is told about it. */
#include "keeper_rig.h"

#include "common/mem.h"

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

static void test_life_of_a_child(void **state)
{
    struct rig *r = *state;
    struct kw_msg child, m;
    int out;

    rig_start(r);
    child = rig_run(r, 1, "read line; echo got $line; exit 7");
    assert_int_equal(child.proc, 101);
    assert_true(child.pid > 1 && child.start_ticks && child.start_us);
    assert_int_equal(child.flags, 0);
    assert_int_equal(child.nfds, 4);
    assert_memory_equal(child.note, "note", 4);
    int in = kw_take_fd(&child, KW_FD_STDIN);
    out = kw_take_fd(&child, KW_FD_STDOUT);
    assert_int_equal(write(in, "x\n", 2), 2);
    m = rig_expect(r, KW_EXITED, 1);
    assert_int_equal(m.pid, child.pid);
    assert_true(WIFEXITED(m.wait_status));
    assert_int_equal(WEXITSTATUS(m.wait_status), 7);
    assert_true(m.end_us >= child.start_us && m.maxrss_bytes > 0);
    expect_output(out, "got x\n");
    assert_true(fcntl(out, F_GETFL) & O_NONBLOCK);
    close(in);
    kw_close_fds(&child);

    /* The record stays whole until the engine has stored it. */
    rig_ask_snapshot(r);
    m = rig_expect(r, KW_CHILD, 1);
    assert_int_equal(m.flags, KW_EXEC_KNOWN | KW_HAS_EXITED);
    assert_int_equal(WEXITSTATUS(m.wait_status), 7);
    assert_int_equal(m.nfds, 5); /* with the spec */
    kw_close_fds(&m);
    rig_snapshot_end(r);
    rig_plain(r, KW_ACK, 1);
    rig_ask_snapshot(r);
    m = rig_expect(r, KW_CHILD, 1);
    assert_int_equal(m.nfds, 3); /* the read ends: nobody has said that they are empty */
    assert_int_equal(m.kinds[0], KW_FD_SPEC);
    assert_int_equal(m.kinds[1], KW_FD_STDOUT);
    assert_int_equal(m.kinds[2], KW_FD_STDERR);
    kw_close_fds(&m);
    rig_snapshot_end(r);
    rig_drop(r, 1, KW_FD_STDOUT, KW_FD_STDERR);
    rig_ask_snapshot(r);
    m = rig_expect(r, KW_CHILD, 1);
    assert_int_equal(m.nfds, 1); /* the spec alone keeps the record as well */
    assert_int_equal(m.kinds[0], KW_FD_SPEC);
    kw_close_fds(&m);
    rig_snapshot_end(r);
    rig_drop(r, 1, KW_FD_SPEC, KW_FD_SPEC);
    rig_ask_snapshot(r);
    m = rig_snapshot_end(r);
    assert_true(m.token == 1 && m.arg == 1);
    close(out);
    assert_int_equal(rig_bye(r, 3), 3 << 8);
}

static void test_signals_that_end(void **state)
{
    struct rig *r = *state;
    static const struct {
        const char *script;
        int sig;
    } cases[] = {{"kill -KILL $$", SIGKILL}, {"ulimit -c 0; kill -SEGV $$", SIGSEGV}};

    rig_start(r);
    for (unsigned i = 0; i < 2; i++) {
        struct kw_msg child = rig_run(r, i + 1, cases[i].script), m;

        m = rig_expect(r, KW_EXITED, i + 1);
        assert_true(WIFSIGNALED(m.wait_status));
        assert_int_equal(WTERMSIG(m.wait_status), cases[i].sig);
        kw_close_fds(&child);
    }
}

static void expect_exec_failure(struct rig *r, uint64_t token, const struct spawn_spec *s, int step,
                                int error)
{
    struct kw_msg m;

    rig_spawn_spec(r, token, 0, geteuid(), s);
    m = rig_expect(r, KW_CHILD, token);
    kw_close_fds(&m);
    m = rig_expect(r, KW_EXEC, token);
    assert_int_equal(m.step, step);
    assert_int_equal(m.error, error);
}

static void test_exec_failures(void **state)
{
    struct rig *r = *state;
    char *argv[4];
    struct spawn_spec s = shell_spec(argv, "exit 0");
    struct kw_msg m;

    rig_start(r);
    s.path = "/nonexistent/program";
    expect_exec_failure(r, 1, &s, KW_STEP_EXEC, ENOENT);
    s.path = "/etc/passwd";
    expect_exec_failure(r, 2, &s, KW_STEP_EXEC, EACCES);
    s.path = "/bin/sh";
    s.cwd = "/nonexistent";
    expect_exec_failure(r, 3, &s, KW_STEP_CWD, ENOENT);
    rig_nothing_more(r); /* the end of a set-up child is no exit */
    rig_plain(r, KW_ACK, 2);
    rig_drop_rest(r, 2);
    rig_ask_snapshot(r);
    m = rig_expect(r, KW_CHILD, 1);
    assert_int_equal(m.flags, KW_EXEC_KNOWN);
    assert_int_equal(m.step, KW_STEP_EXEC);
    assert_int_equal(m.error, ENOENT);
    kw_close_fds(&m);
    m = rig_expect(r, KW_CHILD, 3);
    assert_int_equal(m.step, KW_STEP_CWD);
    kw_close_fds(&m);
    rig_snapshot_end(r);
}

/* A line of /proc/PID/status without its key. */
static void expect_found(struct rig *r, uint64_t token, const struct spawn_spec *s, int code)
{
    struct kw_msg m;

    rig_spawn_spec(r, token, 0, geteuid(), s);
    m = rig_expect(r, KW_CHILD, token);
    kw_close_fds(&m);
    m = rig_expect(r, KW_EXEC, token);
    assert_int_equal(m.error, 0);
    m = rig_expect(r, KW_EXITED, token);
    assert_int_equal(WEXITSTATUS(m.wait_status), code);
}

/* A name is looked for on the child's own PATH: past folders that are not there and files that may not be
 * executed. */
static void test_search(void **state)
{
    struct rig *r = *state;
    char dir[] = "/tmp/pm-path-XXXXXX", *file, *path, *cmd;
    char *argv[] = {(char *)"pm-tool", NULL}, *none[] = {NULL}, *env[] = {NULL, NULL};
    struct spawn_spec s = {.path = "pm-tool", .argv = argv, .envp = env};

    rig_start(r);
    assert_non_null(mkdtemp(dir));
    cmd = xasprintf("cd %s && mkdir a b c && touch a/pm-tool && mkdir b/pm-tool &&"
                    " printf '#!/bin/sh\nexit 9\n' > c/pm-tool && chmod 755 c/pm-tool",
                    dir);
    assert_int_equal(system(cmd), 0);
    free(cmd);
    path = env[0] = xasprintf("PATH=:%s/no:/etc/passwd:%s/a:%s/b:%s/c", dir, dir, dir, dir);
    expect_found(r, 1, &s, 9);
    free(path);
    path = env[0] = xasprintf("PATH=%s/a:%s/b", dir, dir);
    expect_exec_failure(r, 2, &s, KW_STEP_EXEC, EACCES);
    env[0] = (char *)"PATH=/nonexistent";
    expect_exec_failure(r, 3, &s, KW_STEP_SEARCH, ENOENT);
    file = xasprintf("%s/c/pm-tool", dir);
    assert_int_equal(chmod(file, 0644), 0);
    s.envp = none; /* the usual folders */
    expect_exec_failure(r, 4, &s, KW_STEP_SEARCH, ENOENT);
    s.path = "true";
    expect_found(r, 5, &s, 0);
    free(path), free(file);
    cmd = xasprintf("rm -rf %s", dir);
    assert_int_equal(system(cmd), 0);
    free(cmd);
}

static void status_line(pid_t pid, const char *key, char *out, size_t size)
{
    char path[64], line[256];
    FILE *f;

    out[0] = '\0';
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        if (strncmp(line, key, strlen(key)) == 0)
            snprintf(out, size, "%s", line + strlen(key) + 1 + strspn(line + strlen(key) + 1, " \t"));
    fclose(f);
    out[strcspn(out, "\n")] = '\0';
}

static void expect_status(pid_t pid, const char *key, const char *want)
{
    char got[128];

    status_line(pid, key, got, sizeof(got));
    assert_string_equal(got, want);
}

static struct kw_msg run_spec(struct rig *r, uint64_t token, uint32_t flags, uid_t uid,
                              const struct spawn_spec *s)
{
    struct kw_msg child, m;

    rig_spawn_spec(r, token, flags, uid, s);
    child = rig_expect(r, KW_CHILD, token);
    m = rig_expect(r, KW_EXEC, token);
    assert_int_equal(m.error, 0);
    assert_int_equal(m.step, 0);
    return child;
}

static void test_clean_surroundings(void **state)
{
    struct rig *r = *state;
    char *argv[] = {(char *)"sleep", (char *)"100", NULL}, path[64], text[64] = "";
    struct spawn_spec s = {.flags = SPAWN_SET_UMASK | SPAWN_SET_NICE | SPAWN_SET_OOM | SPAWN_NO_NEW_PRIVS,
                           .umask = 027,
                           .nice = 5,
                           .oom_score_adj = 123,
                           .nofile_soft = 77,
                           .nofile_hard = 99,
                           .path = "/bin/sleep",
                           .cwd = "/usr",
                           .argv = argv};
    struct rlimit lim;

    signal(SIGUSR1, SIG_IGN); /* what the daemon's caller ignored must not reach the children */
    signal(SIGHUP, SIG_IGN);
    rig_start(r);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    struct kw_msg child = run_spec(r, 1, 0, geteuid(), &s);
    expect_fds(child.pid, 2);
    expect_status(child.pid, "SigBlk", "0000000000000000");
    expect_status(child.pid, "SigIgn", "0000000000000000");
    expect_status(child.pid, "SigCgt", "0000000000000000");
    expect_status(child.pid, "Umask", "0027");
    expect_status(child.pid, "NoNewPrivs", "1");
    assert_int_equal(getsid(child.pid), child.pid);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)child.pid), 5);
    assert_int_equal(prlimit(child.pid, RLIMIT_NOFILE, NULL, &lim), 0);
    assert_true(lim.rlim_cur == 77 && lim.rlim_max == 99);
    snprintf(path, sizeof(path), "/proc/%d/cwd", (int)child.pid);
    assert_int_equal(readlink(path, text, sizeof(text)), 4);
    assert_memory_equal(text, "/usr", 4);
    snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)child.pid);
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, text, sizeof(text)), 4);
    assert_memory_equal(text, "123\n", 4);
    close(fd);
    kw_close_fds(&child);
}

static void test_caller_limit_by_default(void **state)
{
    struct rig *r = *state;
    struct rlimit lim, old;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    lim = old;
    lim.rlim_cur = 300;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
    rig_start(r);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    struct kw_msg child = rig_run(r, 1, "exec sleep 100");
    assert_int_equal(prlimit(child.pid, RLIMIT_NOFILE, NULL, &lim), 0);
    assert_true(lim.rlim_cur == 300);
    assert_int_equal(prlimit(r->engine, RLIMIT_NOFILE, NULL, &lim), 0);
    assert_true(lim.rlim_cur == old.rlim_max);
    kw_close_fds(&child);
}

static void test_channel(void **state)
{
    struct rig *r = *state;
    char *argv[4];
    struct spawn_spec s = shell_spec(argv, "echo ping >&3; read line <&3; echo $line; exec sleep 100");

    rig_start(r);
    struct kw_msg child = run_spec(r, 1, KW_WANT_IPC, geteuid(), &s);
    int ipc = kw_take_fd(&child, KW_FD_IPC), out = kw_take_fd(&child, KW_FD_STDOUT);
    assert_true(fcntl(ipc, F_GETFL) & O_NONBLOCK);
    expect_output(ipc, "ping\n");
    assert_int_equal(write(ipc, "pong\n", 5), 5);
    expect_output(out, "pong\n");
    expect_fds(child.pid, 3);
    close(ipc);
    close(out);
    kw_close_fds(&child);
}

static void test_another_user(void **state)
{
    struct rig *r = *state;
    char *argv[4];
    struct spawn_spec s = shell_spec(argv, "echo x >/dev/stdout; echo y >/dev/stderr; exec sleep 100");

    if (geteuid() != 0)
        skip();
    s.flags = SPAWN_SET_IDS;
    s.uid = 65534;
    s.gid = 65533;
    s.ngroups = 2;
    s.groups[0] = 65533;
    s.groups[1] = 12345;
    rig_start(r);
    struct kw_msg child = run_spec(r, 1, 0, 65534, &s);
    int out = kw_take_fd(&child, KW_FD_STDOUT), err = kw_take_fd(&child, KW_FD_STDERR);
    expect_output(out, "x\n");
    expect_output(err, "y\n");
    expect_status(child.pid, "Uid", "65534\t65534\t65534\t65534");
    expect_status(child.pid, "Gid", "65533\t65533\t65533\t65533");
    expect_status(child.pid, "Groups", "12345 65533 ");
    expect_status(child.pid, "CapEff", "0000000000000000");
    close(out);
    close(err);
    kw_close_fds(&child);
}

static void test_output_outlives_its_readers(void **state)
{
    struct rig *r = *state;

    rig_start(r);
    struct kw_msg child = rig_run(r, 1, "read a; echo one; echo two; exit 4"), m;
    int in = kw_take_fd(&child, KW_FD_STDIN);
    kw_close_fds(&child);
    rig_drop(r, 1, KW_FD_STDOUT, KW_FD_STDERR); /* now nobody reads: no SIGPIPE may come of it */
    rig_ask_snapshot(r);
    m = rig_expect(r, KW_CHILD, 1);
    kw_close_fds(&m);
    rig_snapshot_end(r);
    assert_int_equal(write(in, "\n", 1), 1);
    close(in);
    m = rig_expect(r, KW_EXITED, 1);
    assert_true(WIFEXITED(m.wait_status));
    assert_int_equal(WEXITSTATUS(m.wait_status), 4);
}

static void test_listen_pid(void **state)
{
    struct rig *r = *state;

    rig_start(r);
    struct kw_msg child = rig_run(r, 1, "[ $LISTEN_PID = $$ ] && echo same; exec sleep 100");
    int out = kw_take_fd(&child, KW_FD_STDOUT);
    expect_output(out, "same\n");
    close(out);
    kw_close_fds(&child);
}

static void expect_refused(struct rig *r, const struct kw_msg *m, int step, int error)
{
    struct kw_msg got;

    rig_say(r, m);
    got = rig_expect(r, KW_REFUSED, m->token);
    assert_int_equal(got.step, step);
    assert_int_equal(got.error, error);
}

static void test_refused(void **state)
{
    struct rig *r = *state;
    struct kw_msg m = {.type = KW_SPAWN, .token = 1}, child;

    rig_start(r);
    expect_refused(r, &m, KW_STEP_SPEC, EBADF);
    kw_add_fd(&m, KW_FD_SPEC, r->report); /* no sealed memory file */
    expect_refused(r, &m, KW_STEP_SPEC, EPERM);
    m.token = 0;
    expect_refused(r, &m, KW_STEP_SPEC, EINVAL);
    m.token = UINT64_MAX;
    expect_refused(r, &m, KW_STEP_SPEC, EINVAL);
    child = rig_run(r, 1, "exec sleep 100");
    m.token = 1;
    expect_refused(r, &m, KW_STEP_SPEC, EEXIST);
    rig_ask_snapshot(r); /* the refused ones left nothing */
    kw_close_fds(&child);
    child = rig_expect(r, KW_CHILD, 1);
    kw_close_fds(&child);
    rig_snapshot_end(r);
}

static void test_no_descriptors_left(void **state)
{
    struct rig *r = *state;
    struct kw_msg m;
    uint64_t token = 0;

    r->keeper_nofile = 40;
    rig_start(r);
    do {
        rig_spawn(r, ++token, "exec sleep 100");
        m = recv_any(r->link);
        if (m.type == KW_CHILD) {
            r->pids[r->npids++] = m.pid;
            kw_close_fds(&m);
            m = rig_expect(r, KW_EXEC, token);
        }
    } while (m.type != KW_REFUSED && token < 20);
    assert_int_equal(m.type, KW_REFUSED);
    assert_int_equal(m.step, KW_STEP_PIPE);
    assert_int_equal(m.error, EMFILE);
    /* When one goes there is room for another. */
    kill(r->pids[1], SIGKILL);
    m = recv_any(r->link);
    assert_int_equal(m.type, KW_EXITED);
    uint64_t gone = m.token;
    rig_plain(r, KW_ACK, gone);
    rig_drop_rest(r, gone);
    rig_spawn(r, 50, "exec sleep 100");
    m = rig_expect(r, KW_CHILD, 50);
    kw_close_fds(&m);
}

static void test_full_table_and_a_long_snapshot(void **state)
{
    struct rig *r = *state;
    struct kw_msg m;

    rig_start(r);
    for (uint64_t i = 1; i <= 16384; i++) {
        struct kw_msg adopt = {.type = KW_ADOPT, .token = i, .proc = (uint32_t)i, .pid = 1};

        rig_say(r, &adopt);
    }
    char *argv[4];
    struct spawn_spec s = shell_spec(argv, "exit 0");
    usleep(200000);
    rig_spawn_spec(r, 20000, 0, geteuid(), &s);
    m = rig_expect(r, KW_REFUSED, 20000);
    assert_int_equal(m.step, KW_STEP_TABLE);
    assert_int_equal(m.error, ENOSPC);
    rig_plain(r, KW_SNAPSHOT, 0);
    usleep(100000); /* the socket is full long before the end */
    m = rig_expect(r, KW_CHILD, 0);
    kw_close_fds(&m);
    for (uint64_t i = 1; i <= 16384; i++) {
        m = recv_any(r->link);
        assert_int_equal(m.type, KW_CHILD);
        assert_true(m.token == i);
        assert_int_equal(m.flags, KW_FOREIGN | KW_EXEC_KNOWN);
    }
    rig_snapshot_end(r);
}

static int children_of(pid_t pid)
{
    char path[80], text[4096];
    int n = 0;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    int fd = open(path, O_RDONLY);
    ssize_t len = read(fd, text, sizeof(text));
    close(fd);
    for (ssize_t i = 0; i < len; i++)
        n += text[i] == ' ';
    return n;
}

static void test_strangers_are_reaped(void **state)
{
    struct rig *r = *state;

    rig_start(r);
    struct kw_msg child = rig_run(
        r, 1, "i=0; while [ $i -lt 20 ]; do (sleep 0.2 &); i=$((i+1)); done; echo on; exec sleep 100");
    int out = kw_take_fd(&child, KW_FD_STDOUT);
    expect_output(out, "on\n");
    close(out);
    kw_close_fds(&child);
    assert_true(children_of(r->keeper) > 2); /* they came to the keeper */
    for (int i = 0; i < 200 && children_of(r->keeper) > 2; i++)
        usleep(20000);
    assert_int_equal(children_of(r->keeper), 2); /* the engine and the child */
    rig_nothing_more(r);
}

static void test_many_at_once(void **state)
{
    struct rig *r = *state;
    enum { N = 300 };
    int children = 0, execs = 0, ends = 0;

    rig_start(r);
    for (uint64_t i = 1; i <= N; i++)
        rig_spawn(r, i, "exit 9");
    while (ends < N) {
        struct kw_msg m = recv_any(r->link);

        children += m.type == KW_CHILD;
        execs += m.type == KW_EXEC && m.error == 0;
        if (m.type == KW_EXITED) {
            assert_int_equal(WEXITSTATUS(m.wait_status), 9);
            rig_plain(r, KW_ACK, m.token);
            rig_drop_rest(r, m.token);
            ends++;
        }
        kw_close_fds(&m);
    }
    assert_int_equal(children, N);
    assert_int_equal(execs, N);
    rig_ask_snapshot(r);
    rig_snapshot_end(r);
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)r->keeper);
    DIR *d = opendir(path);
    int n = 0;
    while (readdir(d))
        n++;
    closedir(d);
    assert_true(n < 20); /* nothing was leaked */
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_life_of_a_child),
        T(test_signals_that_end),
        T(test_exec_failures),
        T(test_search),
        T(test_clean_surroundings),
        T(test_caller_limit_by_default),
        T(test_channel),
        T(test_another_user),
        T(test_output_outlives_its_readers),
        T(test_listen_pid),
        T(test_refused),
        T(test_no_descriptors_left),
        T(test_full_table_and_a_long_snapshot),
        T(test_strangers_are_reaped),
        T(test_many_at_once),
    };

    if (argc > 2 && strcmp(argv[1], "body") == 0)
        return body_main(argv);
    alarm(100);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
