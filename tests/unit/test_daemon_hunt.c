/* Which processes are nobody's, judged and ended among real ones. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/mem.h"
#include "daemon/tree_hunt.h"

#define TAG "0badbeef"

static struct tree_hunt hunt;
static pid_t pids[16];
static int n_pids;

static int setup(void **state)
{
    (void)state;
    hunt = (struct tree_hunt){.ctx = {.keeper = 1, .engine = getpid(), .tag = TAG}, .last_run = 100};
    n_pids = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tree_hunt_deinit(&hunt);
    for (int i = 0; i < n_pids; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    return 0;
}

/* sleep with these variables, once it is executed. `env` NULL: never executed, named `name`. */
static pid_t sleeper(char **env, const char *name)
{
    char *argv[] = {(char *)"sleep", (char *)"100", NULL};
    int p[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        if (env)
            execve("/bin/sleep", argv, env);
        prctl(PR_SET_NAME, name, 0, 0, 0);
        close(p[0]);
        close(p[1]);
        for (;;)
            pause();
    }
    close(p[1]);
    assert_int_equal(read(p[0], &byte, 1), 0);
    close(p[0]);
    return pids[n_pids++] = pid;
}

static pid_t app(const char *tag, unsigned long long run, const char *pm_id)
{
    char id[64], proc[32];
    char *env[] = {(char *)"A=1", id, (char *)"Z=PM_RUN_ID=" TAG ".999", proc, NULL};

    snprintf(id, sizeof(id), "PM_RUN_ID=%s.%llu", tag, run);
    snprintf(proc, sizeof(proc), "pm_id=%s", pm_id);
    if (!*pm_id)
        env[3] = NULL;
    return sleeper(env, NULL);
}

static void known(uint32_t proc, uint64_t run)
{
    hunt.known = xrealloc(hunt.known, (hunt.n_known + 1) * sizeof(*hunt.known));
    hunt.known[hunt.n_known++] = (struct hunt_known){proc, run, false};
}

static bool is_dead(pid_t pid)
{
    siginfo_t info = {0};

    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
    return info.si_pid == pid;
}

static void test_by_process(void **state)
{
    pid_t is, newer, newer_held, other_home, of_no_process, of_old_process, without_id;

    (void)state;
    known(3, 50);
    known(7, 60);
    hunt.held = xcalloc(2, sizeof(*hunt.held));
    hunt.held[hunt.n_held++] = 51;
    hunt.held[hunt.n_held++] = 70;
    is = app(TAG, 50, "3");
    newer = app(TAG, 52, "3");
    newer_held = app(TAG, 70, "7");
    other_home = app("0badcafe", 500, "3");
    of_no_process = app(TAG, 101, "9");
    of_old_process = app(TAG, 99, "9"); /* deleted, and left alone */
    without_id = app(TAG, 102, "");
    tree_hunt_kill(&hunt);
    assert_int_equal(hunt.alive, 0);
    assert_true(is_dead(newer));
    assert_true(is_dead(of_no_process));
    assert_true(is_dead(without_id));
    assert_false(is_dead(is));
    assert_false(is_dead(newer_held));
    assert_false(is_dead(other_home));
    assert_false(is_dead(of_old_process));
    assert_int_equal(hunt.n_found, 3);
    for (size_t i = 0; i < hunt.n_found; i++) {
        if (hunt.found[i].run == 52) {
            assert_int_equal(hunt.found[i].proc, 3);
            assert_int_equal(hunt.found[i].pid, newer);
        } else if (hunt.found[i].run == 102) {
            assert_int_equal(hunt.found[i].proc, UINT32_MAX);
        } else {
            assert_int_equal(hunt.found[i].run, 101);
        }
    }
}

/* Of a process whose earlier runs are not known either. */
static void test_only_the_last_run(void **state)
{
    pid_t is, earlier, later;

    (void)state;
    known(3, 50);
    hunt.known[0].only = true;
    is = app(TAG, 50, "3");
    earlier = app(TAG, 49, "3");
    later = app(TAG, 51, "3");
    tree_hunt_kill(&hunt);
    assert_false(is_dead(is));
    assert_true(is_dead(earlier));
    assert_true(is_dead(later));
}

/* What they have started goes too, also without the variable. */
static void test_descendants(void **state)
{
    char *env[] = {(char *)"PM_RUN_ID=" TAG ".200", (char *)"pm_id=1", NULL};
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)"env -i /bin/sleep 100; :", NULL};
    struct pid_list kids = {0};
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        execve("/bin/sh", argv, env);
        _exit(127);
    }
    pids[n_pids++] = pid;
    while (!kids.n) {
        pid_list_free(&kids);
        if (tree_proc_children(pid, &kids) == -ENOENT)
            break; /* no such lists here */
        usleep(1000);
    }
    tree_hunt_kill(&hunt);
    assert_int_equal(hunt.alive, 0);
    assert_int_equal(hunt.n_found, 1);
    assert_true(is_dead(pid));
    if (kids.n) {
        struct proc_stat st;

        assert_true(tree_proc_stat(kids.v[0], &st) < 0 || st.dead);
    }
    pid_list_free(&kids);
}

/* Nobody's environment tells of them yet. */
static void test_before_their_exec(void **state)
{
    pid_t ours = sleeper(NULL, "pm+" TAG), others = sleeper(NULL, "pm+0badcafe"),
          other = sleeper(NULL, "pm+");

    (void)state;
    hunt.ctx.keeper = getpid(); /* whose children it knows */
    tree_hunt_kill(&hunt);
    assert_int_equal(hunt.n_found, 0);
    assert_false(is_dead(ours));
    hunt.ctx.keeper = 1;
    tree_hunt_kill(&hunt);
    assert_int_equal(hunt.n_found, 1);
    assert_int_equal(hunt.found[0].run, 0);
    assert_int_equal(hunt.found[0].pid, ours);
    assert_true(is_dead(ours));
    assert_false(is_dead(others));
    assert_false(is_dead(other));
}

/* Names with blanks and brackets are part of what is read to judge. */
static void test_names(void **state)
{
    pid_t odd = sleeper(NULL, ") pm+ (0 1 2) S");
    struct proc_stat st;

    (void)state;
    assert_int_equal(tree_proc_stat(odd, &st), 0);
    assert_string_equal(st.comm, ") pm+ (0 1 2) S");
    assert_int_equal(st.ppid, getpid());
    assert_false(tree_hunt_wants(&hunt, &st));
}

static void test_odd_environments(void **state)
{
    static char many[60000], word[200];
    char *env[] = {many,
                   word,
                   (char *)"",
                   (char *)"PM_RUN_ID=" TAG ".12x",
                   (char *)"PM_RUN_ID=" TAG ".",
                   (char *)"pm_id=x",
                   NULL};
    uint64_t run;
    uint32_t proc;
    pid_t pid;

    (void)state;
    memset(many, 'm', sizeof(many) - 1);
    memset(word, 'w', sizeof(word) - 1);
    memcpy(word, "PM_RUN_ID=" TAG ".1", 20);
    pid = sleeper(env, NULL);
    assert_false(tree_proc_claims(pid, &hunt.ctx, &run, &proc));
    env[3] = (char *)"PM_RUN_ID=" TAG ".12";
    env[5] = (char *)"pm_id=0";
    pid = sleeper(env, NULL);
    assert_true(tree_proc_claims(pid, &hunt.ctx, &run, &proc));
    assert_int_equal(run, 12);
    assert_int_equal(proc, 0);
    assert_true(tree_proc_has_run(pid, &hunt.ctx, 12));
    assert_false(tree_proc_has_run(pid, &hunt.ctx, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_by_process, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_the_last_run, setup, teardown),
        cmocka_unit_test_setup_teardown(test_descendants, setup, teardown),
        cmocka_unit_test_setup_teardown(test_before_their_exec, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_odd_environments, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
