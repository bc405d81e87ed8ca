/* Trees of real processes. The test itself is their subreaper, as the keeper is. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fs.h"
#include "daemon/tree_proc.h"

#define TAG "0badcafe"

static struct tree_ctx ctx;
static uint64_t next_run = 100;

static void pause_ms(unsigned ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&ts, NULL);
}

/* Starts a program of tests/children with the run's id; the number that it prints comes back in *told. */
static struct tree_run spawn(const char *name, const char *arg, int *told)
{
    struct tree_run run = {.run = next_run++, .child_alive = true};
    char path[512], id[64], line[64] = "";
    size_t len = 0;
    int out[2];

    snprintf(path, sizeof(path), "%s/%s", TEST_CHILDREN_DIR, name);
    snprintf(id, sizeof(id), "PM_RUN_ID=%s.%llu", TAG, (unsigned long long)run.run);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    run.pid = fork();
    if (run.pid == 0) {
        char *argv[] = {path, (char *)arg, NULL};
        char *envp[] = {"A=1", id, "Z=PM_RUN_ID=" TAG ".1", NULL};

        setsid();
        dup2(out[1], 1);
        execve(path, argv, envp);
        _exit(127);
    }
    close(out[1]);
    assert_true(run.pid > 0);
    assert_int_equal(fs_proc_start_ticks(run.pid, &run.start_ticks), 0);
    while (len < sizeof(line) - 1 && !strchr(line, '\n')) {
        ssize_t n = read(out[0], line + len, sizeof(line) - 1 - len);

        assert_true(n > 0);
        len += (size_t)n;
    }
    close(out[0]);
    if (told)
        *told = atoi(line);
    return run;
}

static void reap_all(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

static int count(int (*scan)(const struct tree_ctx *, const struct tree_run *, struct tree_member **),
                 const struct tree_run *run)
{
    struct tree_member *members;
    int n = scan(&ctx, run, &members);

    free(members);
    return n;
}

static bool is_member(int (*scan)(const struct tree_ctx *, const struct tree_run *, struct tree_member **),
                      const struct tree_run *run, pid_t pid)
{
    struct tree_member *members;
    int n = scan(&ctx, run, &members);
    bool found = false;

    for (int i = 0; i < n; i++)
        found |= members[i].pid == pid;
    free(members);
    return found;
}

/* Both ways of looking say so many; the lists may not be available on this kernel. */
static void assert_tree(const struct tree_run *run, int want)
{
    int by_lists = count(tree_scan_lists, run);

    assert_int_equal(count(tree_scan, run), want);
    if (by_lists != -ENOENT)
        assert_int_equal(by_lists, want);
}

static int setup(void **state)
{
    (void)state;
    memset(&ctx, 0, sizeof(ctx));
    ctx.keeper = getpid();
    ctx.engine = getpid();
    memcpy(ctx.tag, TAG, sizeof(ctx.tag));
    return prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* No child may be left, dead or alive; what a failed test leaves is ended, so that the next one starts clean.
 */
static int teardown(void **state)
{
    int rc = 0;

    (void)state;
    tree_roots_clear();
    for (int i = 0; i < 400; i++) {
        struct pid_list kids = {0};

        reap_all();
        if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
            return rc;
        pause_ms(5);
        if (i < 200)
            continue;
        rc = -1;
        tree_proc_children(getpid(), &kids);
        for (size_t k = 0; k < kids.n; k++)
            kill(kids.v[k], SIGKILL);
        pid_list_free(&kids);
    }
    return -1;
}

static void test_descendants_in_order(void **state)
{
    struct tree_member *members;
    struct tree_run run;
    int leaf;

    (void)state;
    run = spawn("tree_parent", NULL, &leaf);
    assert_tree(&run, 3);
    assert_int_equal(tree_scan(&ctx, &run, &members), 3);
    assert_int_equal(members[0].pid, run.pid);
    assert_int_equal(members[2].pid, leaf); /* parents before children */
    free(members);
    assert_int_equal(tree_kill(&ctx, &run), 0);
    reap_all();
    assert_tree(&run, 0);
}

/* Descent is enough: the environment may be gone or unreadable. */
static void test_descendants_without_the_variable(void **state)
{
    struct tree_run run;
    int leaf;

    (void)state;
    run = spawn("tree_parent", "clean", &leaf);
    assert_tree(&run, 3);
    assert_true(is_member(tree_scan, &run, leaf));
    assert_int_equal(tree_kill(&ctx, &run), 0);
}

static void test_double_forked_grandchild(void **state)
{
    struct tree_run run, other;
    int grandchild;

    (void)state;
    run = spawn("tree_doublefork", NULL, &grandchild);
    assert_int_equal(waitpid(run.pid, NULL, 0), run.pid);
    run.child_alive = false;
    assert_tree(&run, 1);
    assert_true(is_member(tree_scan, &run, grandchild));
    other = run;
    other.run = run.run / 10; /* the number is a prefix of ours: still another run */
    assert_tree(&other, 0);
    other.run = 1; /* only in the value of another variable */
    assert_tree(&other, 0);
    assert_int_equal(tree_kill(&ctx, &run), 0);
    assert_int_equal(waitpid(grandchild, NULL, 0), grandchild);
    assert_tree(&run, 0);
}

static void test_double_forked_beside_a_living_child(void **state)
{
    struct tree_run run;
    int grandchild;

    (void)state;
    run = spawn("tree_doublefork", "stay", &grandchild);
    assert_tree(&run, 2);
    assert_int_equal(tree_kill(&ctx, &run), 0);
    assert_int_equal(waitpid(grandchild, NULL, 0), grandchild);
}

/* Orphans of a run whose keeper died are under somebody else: all of /proc is read. */
static void test_foreign_run(void **state)
{
    struct tree_run run;
    int grandchild;

    (void)state;
    run = spawn("tree_doublefork", NULL, &grandchild);
    assert_int_equal(waitpid(run.pid, NULL, 0), run.pid);
    run.foreign = true;
    assert_int_equal(count(tree_scan_lists, &run), -EXDEV);
    assert_int_equal(count(tree_scan_any, &run), 1);
    assert_int_equal(tree_kill(&ctx, &run), 0);
}

/* In the midst of an exec there is no environment to read; that is no reason to miss a member. */
static void test_a_member_inside_an_exec(void **state)
{
    struct tree_run run, by_id;
    unsigned missed = 0;

    (void)state;
    run = spawn("tree_execer", NULL, NULL);
    by_id = (struct tree_run){.run = run.run};
    for (int i = 0; i < 3000; i++)
        missed += !tree_proc_has_run(run.pid, &ctx, run.run);
    for (int i = 0; i < 50; i++)
        missed += count(tree_scan_any, &by_id) != 1;
    assert_int_equal(missed, 0);
    by_id.run++;
    assert_int_equal(count(tree_scan_any, &by_id), 0);
    assert_int_equal(tree_kill(&ctx, &run), 0);
}

/* Empty and known to be so is an answer, which takes no time; so is that of a dead process. */
static void test_an_empty_environment(void **state)
{
    int out[2];
    char byte;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        char *argv[] = {(char *)"sleep", (char *)"100", NULL}, *envp[] = {NULL};

        execve("/bin/sleep", argv, envp);
        _exit(127);
    }
    close(out[1]);
    assert_int_equal(read(out[0], &byte, 1), 0); /* it is executed */
    close(out[0]);
    uint64_t begin = clock_mono_ms();
    for (int i = 0; i < 20; i++)
        assert_false(tree_proc_has_run(pid, &ctx, 1));
    kill(pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT), 0);
    for (int i = 0; i < 20; i++)
        assert_false(tree_proc_has_run(pid, &ctx, 1));
    assert_true(clock_mono_ms() - begin < 10000); /* with the wait for an exec it would be 40 s */
}

/* The children of other runs are not even looked at. */
static void test_roots_of_other_runs(void **state)
{
    struct tree_run run;
    int grandchild;

    (void)state;
    run = spawn("tree_doublefork", NULL, &grandchild);
    assert_int_equal(waitpid(run.pid, NULL, 0), run.pid);
    tree_root_add(grandchild, run.run + 1);
    if (count(tree_scan_lists, &run) >= 0)
        assert_int_equal(count(tree_scan_lists, &run), 0);
    tree_root_remove(grandchild);
    assert_tree(&run, 1);
    assert_int_equal(tree_kill(&ctx, &run), 0);
}

/* Known at once is only that nobody is there who could be of the run. */
static void test_left_nothing(void **state)
{
    struct tree_run run, other;
    int grandchild;

    (void)state;
    run = spawn("tree_doublefork", NULL, &grandchild);
    assert_false(tree_left_nothing(&ctx, &run));
    assert_int_equal(waitpid(run.pid, NULL, 0), run.pid);
    assert_false(tree_left_nothing(&ctx, &run)); /* its orphan */
    assert_int_equal(tree_kill(&ctx, &run), 0);
    reap_all();
    if (count(tree_scan_lists, &run) == -ENOENT)
        return; /* no lists: never known at once */
    assert_true(tree_left_nothing(&ctx, &run));

    other = spawn("tree_doublefork", "stay", &grandchild);
    assert_false(tree_left_nothing(&ctx, &run)); /* strangers, until it is told whose they are */
    tree_root_add(other.pid, other.run);
    assert_false(tree_left_nothing(&ctx, &run));
    tree_root_add(grandchild, other.run);
    assert_true(tree_left_nothing(&ctx, &run));
    run.foreign = true; /* its orphans would be elsewhere */
    assert_false(tree_left_nothing(&ctx, &run));
    assert_int_equal(tree_kill(&ctx, &other), 0);
}

static void test_threads(void **state)
{
    struct tree_run run;
    int kid;

    (void)state;
    run = spawn("tree_thread", NULL, &kid);
    assert_tree(&run, 2);
    assert_true(is_member(tree_scan, &run, kid));
    assert_int_equal(tree_kill(&ctx, &run), 0);
}

static void test_respawning_tree(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct tree_run run = spawn("tree_respawner", NULL, NULL);

        assert_true(count(tree_scan_any, &run) > 10);
        assert_int_equal(tree_kill(&ctx, &run), 0);
        for (int j = 0; j < 50; j++)
            reap_all();
        assert_tree(&run, 0);
    }
}

static void test_zombies_are_not_members(void **state)
{
    struct tree_run run;
    int leaf;

    (void)state;
    run = spawn("tree_parent", NULL, &leaf);
    kill(run.pid, SIGKILL);
    kill(leaf, SIGKILL);
    pause_ms(30);
    assert_tree(&run, 1); /* the middle one, an orphan now */
    assert_int_equal(tree_kill(&ctx, &run), 0);
}

/* A member whose pid has been reused: same pid, another start time. */
static void test_recycled_pid(void **state)
{
    struct tree_run run = spawn("tree_parent", NULL, NULL), old;
    struct tree_member m = {run.pid, run.start_ticks - 1};

    (void)state;
    assert_int_equal(tree_signal_member(&m, SIGKILL), -ESRCH);
    old = run;
    old.run = 5;
    old.start_ticks--;
    assert_tree(&old, 0);
    assert_int_equal(tree_kill(&ctx, &old), 0);
    pause_ms(20);
    assert_int_equal(waitpid(run.pid, NULL, WNOHANG), 0); /* untouched */
    m.start_ticks = run.start_ticks;
    assert_int_equal(tree_signal_member(&m, 0), 0);
    assert_int_equal(tree_kill(&ctx, &run), 0);
    assert_int_equal(waitpid(run.pid, NULL, 0), run.pid);
    assert_int_equal(tree_signal_member(&m, SIGKILL), -ESRCH);
}

/* --- on the thread pool --- */

struct answer {
    unsigned calls, alive;
};

static void on_done(void *arg, const struct tree_job *job, unsigned alive)
{
    struct answer *a = arg;

    assert_true(job->run.run >= 100);
    a->calls++;
    a->alive = alive;
}

static unsigned submit(enum tree_op op, int sig, bool child_only, const struct tree_run *run)
{
    struct tree_job job = {.op = op, .sig = sig, .child_only = child_only, .ctx = ctx, .run = *run};
    struct answer a = {0};
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    tree_submit(&loop, &job, on_done, &a);
    assert_int_equal(a.calls, 0); /* never from within */
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(a.calls, 1);
    return a.alive;
}

static void test_jobs(void **state)
{
    struct tree_run run;
    int grandchild;

    (void)state;
    run = spawn("tree_doublefork", "stay", &grandchild);
    assert_int_equal(submit(TREE_LOOK, 0, false, &run), 2);
    assert_int_equal(submit(TREE_LOOK, 0, true, &run), 1);
    assert_int_equal(submit(TREE_SIGNAL, SIGINT, false, &run), 2);
    assert_int_equal(waitpid(run.pid, NULL, 0), run.pid); /* died of it; the grandchild ignores it */
    run.child_alive = false;
    assert_int_equal(submit(TREE_LOOK, 0, true, &run), 0);
    assert_int_equal(submit(TREE_LOOK, 0, false, &run), 1);
    assert_int_equal(submit(TREE_KILL, 0, false, &run), 0);
    assert_int_equal(waitpid(grandchild, NULL, 0), grandchild);
    assert_int_equal(submit(TREE_SIGNAL, SIGINT, false, &run), 0);
}

static void test_child_only(void **state)
{
    struct tree_run run;
    int grandchild;

    (void)state;
    run = spawn("tree_doublefork", "stay", &grandchild);
    assert_int_equal(submit(TREE_SIGNAL, SIGCONT, true, &run), 1);
    assert_int_equal(submit(TREE_KILL, 0, true, &run), 0);
    assert_int_equal(waitpid(run.pid, NULL, 0), run.pid);
    assert_int_equal(waitpid(grandchild, NULL, WNOHANG), 0); /* left alone */
    run.child_alive = false;
    assert_int_equal(submit(TREE_KILL, 0, false, &run), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_descendants_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_descendants_without_the_variable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_double_forked_grandchild, setup, teardown),
        cmocka_unit_test_setup_teardown(test_double_forked_beside_a_living_child, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_run, setup, teardown),
        cmocka_unit_test_setup_teardown(test_roots_of_other_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_left_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_member_inside_an_exec, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_empty_environment, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_respawning_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_zombies_are_not_members, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recycled_pid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_jobs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_child_only, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
