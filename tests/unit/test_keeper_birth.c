/* The pipe by which the engine of a dead keeper knows whether a child is still before its exec. */
#include "keeper_rig.h"

#include <sys/ptrace.h>

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

/* Asks for a child whose birth pipe is the test's; returns the read end. */
static int spawn_with_birth(struct rig *r, uint64_t token, uint32_t flags)
{
    struct kw_msg m = {.type = KW_SPAWN, .token = token, .proc = 1, .flags = flags, .uid = geteuid()};
    char *argv[4];
    struct spawn_spec s = shell_spec(argv, "exec sleep 100");
    struct err e;
    int p[2], spec = spawn_spec_seal(&s, &e);

    assert_true(spec >= 0);
    assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
    kw_add_fd(&m, KW_FD_SPEC, spec);
    kw_add_fd(&m, KW_FD_BIRTH, p[1]);
    rig_say(r, &m);
    close(spec);
    close(p[1]);
    return p[0];
}

static void expect_end(int fd)
{
    char byte;

    wait_readable(fd);
    assert_int_equal(read(fd, &byte, 1), 0);
    close(fd);
}

static void test_birth_pipe_ends_with_the_exec(void **state)
{
    struct rig *r = *state;

    rig_start(r);
    for (uint64_t token = 1; token <= 2; token++) {
        int fd = spawn_with_birth(r, token, token == 1 ? 0 : KW_WANT_IPC);
        struct kw_msg child = rig_expect(r, KW_CHILD, token), m = rig_expect(r, KW_EXEC, token);

        r->pids[r->npids++] = child.pid;
        assert_int_equal(m.error, 0);
        expect_end(fd); /* the keeper has no copy either */
        expect_fds(child.pid, token == 1 ? 2 : 3);
        kw_close_fds(&child);
    }
    /* A refused one: the token is taken. */
    expect_end(spawn_with_birth(r, 1, 0));
    assert_int_equal(recv_any(r->link).type, KW_REFUSED);
}

/* The keeper dies with its child just forked: the pipe tells that there is one, until its exec. */
static void test_birth_pipe_outlives_the_keeper(void **state)
{
    struct rig *r = *state;
    unsigned long child = 0;
    int status, fd;

    rig_start(r);
    if (ptrace(PTRACE_SEIZE, r->keeper, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE) <
        0)
        skip(); /* not allowed here */
    fd = spawn_with_birth(r, 1, 0);
    do {
        assert_int_equal(waitpid(r->keeper, &status, __WALL), r->keeper);
        assert_true(WIFSTOPPED(status));
        if (!(status >> 16))
            ptrace(PTRACE_CONT, r->keeper, 0, WSTOPSIG(status));
    } while (!(status >> 16));
    assert_int_equal(ptrace(PTRACE_GETEVENTMSG, r->keeper, 0, &child), 0);
    assert_int_equal(waitpid((pid_t)child, &status, __WALL), (pid_t)child);
    r->pids[r->npids++] = (pid_t)child;
    kill(r->keeper, SIGKILL);
    assert_true(WIFSIGNALED(exit_status_of(r->keeper)));
    r->keeper = 0;
    struct pollfd p = {fd, POLLIN, 0};
    assert_int_equal(poll(&p, 1, 200), 0);
    assert_int_equal(ptrace(PTRACE_DETACH, (pid_t)child, 0, 0), 0);
    expect_end(fd);
    expect_fds((pid_t)child, 2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_birth_pipe_ends_with_the_exec, setup, teardown),
        cmocka_unit_test_setup_teardown(test_birth_pipe_outlives_the_keeper, setup, teardown),
    };

    if (argc > 2 && strcmp(argv[1], "body") == 0)
        return body_main(argv);
    alarm(100);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
