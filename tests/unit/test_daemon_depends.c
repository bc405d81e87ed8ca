/* When what an app depends on is fulfilled. */
#include "unit.h"

#include "daemon/depends.h"

#define NOW 100000u

static enum depends_verdict judge(const char *condition, struct process p)
{
    return depends_judge(condition, &p, NOW, false);
}

static void test_started(void **state)
{
    (void)state;
    assert_int_equal(judge("started", (struct process){.state = LC_ONLINE, .online_ms = NOW - 100}),
                     DEPENDS_MET);
    assert_int_equal(judge("started", (struct process){.state = LC_ONLINE, .online_ms = NOW - 99}),
                     DEPENDS_SOON);
    assert_int_equal(judge("started", (struct process){.state = LC_ONLINE, .online_ms = NOW + 9}),
                     DEPENDS_MET);
    assert_int_equal(judge("started", (struct process){.state = LC_LAUNCHING}), DEPENDS_PENDING);
    assert_int_equal(judge("started", (struct process){.state = LC_LAUNCHING, .last = {.valid = true}}),
                     DEPENDS_PENDING);
    assert_int_equal(
        judge("started",
              (struct process){.state = LC_LAUNCHING, .last = {.valid = true}, .counters = {.unstable = 1}}),
        DEPENDS_FAILED);
    assert_int_equal(judge("started", (struct process){.state = LC_WAITING}), DEPENDS_FAILED);
    assert_int_equal(judge("started", (struct process){.state = LC_ERRORED}), DEPENDS_FAILED);
    assert_int_equal(judge("started", (struct process){.state = LC_STOPPED, .desired = DESIRED_DOWN}),
                     DEPENDS_FAILED);
    assert_int_equal(judge("started", (struct process){.state = LC_STOPPED, .held = true}), DEPENDS_PENDING);
    assert_int_equal(judge("started", (struct process){.state = LC_STOPPING, .desired = DESIRED_UP}),
                     DEPENDS_PENDING);
    assert_int_equal(judge("started", (struct process){.state = LC_STOPPING, .desired = DESIRED_DOWN}),
                     DEPENDS_FAILED);
}

static void test_healthy(void **state)
{
    const struct process p = {.state = LC_ONLINE, .online_ms = 1};

    (void)state;
    assert_int_equal(depends_judge("healthy", &p, NOW, false), DEPENDS_MET);
    assert_int_equal(depends_judge("healthy", &p, NOW, true), DEPENDS_PENDING);
    assert_int_equal(depends_judge("started", &p, NOW, true), DEPENDS_MET);
}

static void test_ends(void **state)
{
    const struct last_exit good = {.valid = true, .reason = LC_R_EXIT},
                           bad = {true, .reason = LC_R_EXIT, .exit_code = 3},
                           killed = {.valid = true, .reason = LC_R_SIGNAL, .signal = 9, .exit_code = -1},
                           never = {.valid = true, .reason = LC_R_EXEC_FAILED};

    (void)state;
    assert_int_equal(judge("completed", (struct process){.state = LC_STOPPED, .last = good}), DEPENDS_MET);
    assert_int_equal(judge("completed", (struct process){.state = LC_STOPPED, .last = bad}), DEPENDS_FAILED);
    assert_int_equal(judge("completed", (struct process){.state = LC_STOPPED}), DEPENDS_FAILED);
    assert_int_equal(judge("completed", (struct process){.state = LC_STOPPED, .last = good, .held = true}),
                     DEPENDS_PENDING);
    assert_int_equal(judge("completed", (struct process){.state = LC_ONLINE, .last = good}), DEPENDS_PENDING);
    assert_int_equal(judge("completed", (struct process){.state = LC_WAITING, .last = bad}), DEPENDS_FAILED);
    assert_int_equal(judge("exited", (struct process){.state = LC_STOPPED, .last = bad}), DEPENDS_MET);
    assert_int_equal(judge("exited", (struct process){.state = LC_ERRORED, .last = killed}), DEPENDS_MET);
    assert_int_equal(judge("exited", (struct process){.state = LC_ERRORED, .last = never}), DEPENDS_FAILED);
    assert_int_equal(judge("exited", (struct process){.state = LC_STOPPED}), DEPENDS_FAILED);
    assert_int_equal(judge("exited", (struct process){.state = LC_LAUNCHING, .last = bad}), DEPENDS_PENDING);
}

static void test_never_ends(void **state)
{
    int code = 0;
    struct app_spec s = {.autorestart = true};

    (void)state;
    assert_true(depends_never_ends("completed", &s));
    assert_false(depends_never_ends("started", &s));
    s.stop_exit_codes = (struct int_list){.v = &code, .n = 1};
    assert_false(depends_never_ends("completed", &s));
    s = (struct app_spec){.autorestart = false};
    assert_false(depends_never_ends("exited", &s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_started),
        cmocka_unit_test(test_healthy),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_never_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
