#include "unit.h"

#include <string.h>

#include "common/mem.h"
#include "daemon/lifecycle.h"

static void test_no_cell_is_blank(void **state)
{
    (void)state;
    for (int s = 0; s < LC_STATE_COUNT; s++) {
        for (int e = 0; e < LC_EVENT_COUNT; e++) {
            const struct lc_cell *c = &lc_table[s][e];

            if (c->action == 0 || c->action >= LC_ACT_COUNT || c->next >= LC_STATE_COUNT)
                fail_msg("bad cell: %s on %s", lc_state_word((enum lc_state)s),
                         lc_event_word((enum lc_event)e));
            if (c->action == LC_ACT_IGNORE)
                assert_int_equal(c->next, s); /* ignored means ignored */
        }
    }
}

/* Each action leads to the states in which it makes sense. */
static void test_actions_fit_states(void **state)
{
    (void)state;
    for (int s = 0; s < LC_STATE_COUNT; s++) {
        for (int e = 0; e < LC_EVENT_COUNT; e++) {
            const struct lc_cell *c = &lc_table[s][e];

            switch (c->action) {
            case LC_ACT_SPAWN:
                assert_int_equal(c->next, LC_LAUNCHING);
                break;
            case LC_ACT_TERMINATE:
            case LC_ACT_KILL:
                assert_int_equal(c->next, LC_STOPPING);
                break;
            case LC_ACT_ONLINE:
                assert_int_equal(c->next, LC_ONLINE);
                break;
            case LC_ACT_DELAY:
                assert_int_equal(c->next, LC_WAITING);
                break;
            case LC_ACT_SETTLE:
                assert_true(c->next == LC_STOPPED || c->next == LC_ERRORED);
                break;
            default:
                break;
            }
        }
    }
    /* A stop never ends in a run, and a run that is being stopped is left only by its end. */
    for (int s = 0; s < LC_STATE_COUNT; s++)
        assert_true(lc_table[s][LC_EV_STOP].next == LC_STOPPING ||
                    lc_table[s][LC_EV_STOP].next == LC_STOPPED);
    for (int e = 0; e < LC_EVENT_COUNT; e++)
        if (lc_table[LC_STOPPING][e].next != LC_STOPPING)
            assert_true(e >= LC_EV_END_AGAIN && e <= LC_EV_END_ERRORED);
}

static void test_words(void **state)
{
    static const char *const states[] = {"stopped",  "launching",       "online",
                                         "stopping", "waiting restart", "errored"};

    (void)state;
    for (int s = 0; s < LC_STATE_COUNT; s++)
        assert_string_equal(lc_state_word((enum lc_state)s), states[s]);
    for (int e = 0; e < LC_EVENT_COUNT; e++)
        assert_non_null(lc_event_word((enum lc_event)e));
    for (int r = 0; r < LC_REASON_COUNT; r++)
        assert_int_equal(lc_reason_of_word(lc_reason_word((enum lc_reason)r)), r);
    assert_int_equal(lc_reason_of_word("nonsense"), LC_R_NONE);
    assert_int_equal(lc_reason_of_word(NULL), LC_R_NONE);
    assert_string_equal(lc_state_word((enum lc_state)99), "unknown");
}

static struct lc_policy policy(void)
{
    return (struct lc_policy){.autorestart = true, .min_uptime = 1000, .max_restarts = 16};
}

static struct lc_verdict exits(const struct lc_policy *p, struct lc_counters *c, int code, uint64_t uptime)
{
    struct lc_end end = {.reason = LC_R_EXIT, .exit_code = code, .uptime_ms = uptime};

    return lc_judge(p, c, &end);
}

static void test_budget_of_sixteen(void **state)
{
    struct lc_policy p = policy();
    struct lc_counters c = {0};

    (void)state;
    for (unsigned i = 1; i <= 15; i++) {
        assert_int_equal(exits(&p, &c, 1, 5).event, LC_EV_END_AGAIN);
        assert_int_equal(c.restarts, i);
        assert_int_equal(c.unstable, i);
    }
    assert_int_equal(exits(&p, &c, 1, 5).event, LC_EV_END_ERRORED);
    assert_int_equal(c.restarts, 15);
    assert_int_equal(c.unstable, 0);
}

static void test_small_budgets(void **state)
{
    struct lc_policy p = policy();
    struct lc_counters c = {0};

    (void)state;
    p.max_restarts = 3;
    assert_int_equal(exits(&p, &c, 0, 5).event, LC_EV_END_AGAIN);
    assert_int_equal(exits(&p, &c, 0, 5).event, LC_EV_END_AGAIN);
    assert_int_equal(exits(&p, &c, 0, 5).event, LC_EV_END_ERRORED);
    assert_int_equal(c.restarts, 2);
    p.max_restarts = 0;
    c = (struct lc_counters){0};
    assert_int_equal(exits(&p, &c, 0, 100000).event, LC_EV_END_ERRORED);
    assert_int_equal(c.restarts, 0);
}

/* PM2 forgets the budget once an app has been up for a while; here it holds at any age. */
static void test_budget_after_a_long_life(void **state)
{
    struct lc_policy p = policy();
    struct lc_counters c = {0};

    (void)state;
    for (int life = 0; life < 3; life++) {
        for (int i = 0; i < 15; i++)
            assert_int_equal(exits(&p, &c, 1, 999).event, LC_EV_END_AGAIN);
        assert_int_equal(exits(&p, &c, 1, 1000).event, LC_EV_END_AGAIN); /* min_uptime: stable */
        assert_int_equal(c.unstable, 0);
    }
    assert_int_equal(exits(&p, &c, 1, 3600000).event, LC_EV_END_AGAIN);
    for (int i = 0; i < 15; i++)
        assert_int_equal(exits(&p, &c, 1, 0).event, LC_EV_END_AGAIN);
    assert_int_equal(exits(&p, &c, 1, 0).event, LC_EV_END_ERRORED);
}

static void test_backoff(void **state)
{
    static const uint32_t want[] = {100,  150,  225,  337,  505,   757,   1135, 1702,
                                    2553, 3829, 5743, 8614, 12921, 15000, 15000};
    struct lc_policy p = policy();
    struct lc_counters c = {0};

    (void)state;
    p.exp_backoff = 100;
    p.restart_delay = 7; /* loses */
    p.max_restarts = 100;
    for (unsigned i = 0; i < ARRAY_LEN(want); i++) {
        struct lc_verdict v = exits(&p, &c, 1, 50);

        assert_int_equal(v.event, LC_EV_END_DELAY);
        assert_int_equal(v.delay_ms, want[i]);
    }
    assert_int_equal(exits(&p, &c, 1, 30000).delay_ms, 15000); /* not over 30 s */
    assert_int_equal(exits(&p, &c, 1, 30001).delay_ms, 100);
    assert_int_equal(exits(&p, &c, 1, 50).delay_ms, 150);
}

static void test_backoff_and_budget_together(void **state)
{
    struct lc_policy p = policy();
    struct lc_counters c = {0};

    (void)state;
    p.exp_backoff = 100;
    p.max_restarts = 3;
    assert_int_equal(exits(&p, &c, 1, 50).delay_ms, 100);
    assert_int_equal(exits(&p, &c, 1, 50).delay_ms, 150);
    assert_int_equal(exits(&p, &c, 1, 50).event, LC_EV_END_ERRORED);
}

static void test_first_backoff_over_the_cap(void **state)
{
    struct lc_policy p = policy();
    struct lc_counters c = {0};

    (void)state;
    p.exp_backoff = 20000;
    assert_int_equal(exits(&p, &c, 1, 50).delay_ms, 20000);
    assert_int_equal(exits(&p, &c, 1, 50).delay_ms, 15000);
}

static void test_restart_delay(void **state)
{
    struct lc_policy p = policy();
    struct lc_counters c = {0};
    struct lc_verdict v;

    (void)state;
    p.restart_delay = 4000;
    v = exits(&p, &c, 0, 50);
    assert_int_equal(v.event, LC_EV_END_DELAY);
    assert_int_equal(v.delay_ms, 4000);
    assert_int_equal(c.backoff_delay, 0);
}

static void test_final_ends(void **state)
{
    static const int codes[] = {0, 42};
    struct lc_policy p = policy();
    struct lc_counters c = {0};
    struct lc_end sig = {.reason = LC_R_SIGNAL, .exit_code = 42};
    struct lc_end lost = {.reason = LC_R_LOST};

    (void)state;
    p.restart_delay = 100; /* what has finished is never shown as waiting */
    p.exp_backoff = 100;
    p.stop_exit_codes = codes;
    p.n_stop_exit_codes = 2;
    assert_int_equal(exits(&p, &c, 42, 5).event, LC_EV_END_FINAL);
    assert_int_equal(exits(&p, &c, 0, 5).event, LC_EV_END_FINAL);
    assert_int_equal(exits(&p, &c, 1, 5).event, LC_EV_END_DELAY);
    assert_int_equal(lc_judge(&p, &c, &sig).event, LC_EV_END_DELAY); /* a signal has no exit code */
    assert_int_equal(lc_judge(&p, &c, &lost).event, LC_EV_END_DELAY);
    p.autorestart = false;
    assert_int_equal(exits(&p, &c, 1, 5).event, LC_EV_END_FINAL);
    assert_int_equal(lc_judge(&p, &c, &sig).event, LC_EV_END_FINAL);
    assert_int_equal(c.restarts, 3);
}

static void test_failed_exec(void **state)
{
    struct lc_policy p = policy();
    struct lc_counters c = {.unstable = 4};
    struct lc_end fresh = {.reason = LC_R_EXEC_FAILED, .fresh = true};
    struct lc_end respawn = {.reason = LC_R_EXEC_FAILED};
    struct lc_verdict v;

    (void)state;
    assert_int_equal(lc_judge(&p, &c, &fresh).event, LC_EV_END_ERRORED);
    assert_int_equal(c.unstable, 0);
    for (int i = 1; i < 16; i++) {
        v = lc_judge(&p, &c, &respawn);
        assert_int_equal(v.event, LC_EV_END_DELAY);
        assert_int_equal(v.delay_ms, LC_FAILED_EXEC_WAIT_MS);
    }
    assert_int_equal(lc_judge(&p, &c, &respawn).event, LC_EV_END_ERRORED);
    p.restart_delay = 5000;
    assert_int_equal(lc_judge(&p, &c, &respawn).delay_ms, 5000);
}

/* No room for a fork says nothing about the app: it waits for as long as that lasts. */
static void test_refused_spawn(void **state)
{
    struct lc_policy p = policy();
    struct lc_counters c = {.unstable = 5};
    struct lc_end respawn = {.reason = LC_R_SPAWN_REFUSED};
    struct lc_end fresh = {.reason = LC_R_SPAWN_REFUSED, .fresh = true};

    (void)state;
    for (int i = 0; i < 40; i++)
        assert_int_equal(lc_judge(&p, &c, &respawn).delay_ms, LC_FAILED_EXEC_WAIT_MS);
    assert_int_equal(c.unstable, 5);
    assert_int_equal(lc_judge(&p, &c, &fresh).event, LC_EV_END_ERRORED);
}

static void test_readiness_timeout_is_unstable(void **state)
{
    struct lc_policy p = policy();
    struct lc_counters c = {0};
    struct lc_end end = {.reason = LC_R_READY_TIMEOUT, .uptime_ms = 9000};

    (void)state;
    p.max_restarts = 2;
    assert_int_equal(lc_judge(&p, &c, &end).event, LC_EV_END_AGAIN);
    assert_int_equal(lc_judge(&p, &c, &end).event, LC_EV_END_ERRORED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_cell_is_blank),
        cmocka_unit_test(test_actions_fit_states),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_budget_of_sixteen),
        cmocka_unit_test(test_small_budgets),
        cmocka_unit_test(test_budget_after_a_long_life),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_backoff_and_budget_together),
        cmocka_unit_test(test_first_backoff_over_the_cap),
        cmocka_unit_test(test_restart_delay),
        cmocka_unit_test(test_final_ends),
        cmocka_unit_test(test_failed_exec),
        cmocka_unit_test(test_refused_spawn),
        cmocka_unit_test(test_readiness_timeout_is_unstable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
