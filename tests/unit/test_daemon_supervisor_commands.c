/* stop, start and restart in every state, and the kill deadline. */
#include "supervisor_world.h"

/* --- stop --- */

static void test_stop_online(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    world_stop(w);
    world_state(w, LC_STOPPING);
    world_expect(w, "terminate(1)");
    assert_int_equal(w->p->desired, DESIRED_DOWN);
    world_reason(w, "stopping by request (pm stop); SIGKILL in 1.6 s");
    world_advance(w, 20);
    world_signaled(w, 1, SIGINT);
    assert_int_equal(w->answered, 0); /* the tree may still live */
    world_state(w, LC_STOPPING);
    world_swept(w, 1, 0);
    assert_string_equal(w->answers[0].status, "stopped");
    world_answer(w, NULL);
    world_expect(w, "ended(1,stopped) look(1)");
    world_state(w, LC_STOPPED);
    world_reason(w, "stopped by request (pm stop)");
    assert_int_equal(w->n_timers, 0);
    assert_int_equal(w->p->counters.restarts, 0);
    world_stop(w); /* of a stopped one */
    world_answer(w, NULL);
    world_expect(w, "");
    world_close(w);
}

static void test_tree_is_polled_until_empty(void **state)
{
    static const unsigned pauses[] = {5, 10, 20, 40, 80, 100, 100, 100};
    struct world *w = world_new();

    (void)state;
    world_online(w);
    world_stop(w);
    world_exit(w, 1, 0);
    world_expect(w, "terminate(1) ended(1,stopped) look(1)");
    for (unsigned i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
        world_swept(w, 1, 3);
        world_advance(w, pauses[i] - 1);
        world_expect(w, "");
        world_advance(w, 1);
        world_expect(w, "look(1)");
    }
    world_reason(w, "stopping by request (pm stop); SIGKILL in 1.1 s; 3 of its processes still alive");
    world_swept(w, 1, 0);
    world_answer(w, NULL);
    world_close(w);
}

static void test_stop_without_treekill(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->treekill = false;
    world_online(w);
    world_stop(w);
    world_exit(w, 1, 0);
    world_answer(w, NULL);
    world_expect(w, "terminate(1) ended(1,stopped)");
    world_close(w);
}

static void test_stop_before_the_pid_is_known(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_start(w);
    world_stop(w);
    world_answer(w, "overtaken by: stop (pm stop)");
    world_expect(w, "spawn(1)");
    world_state(w, LC_STOPPING);
    w->asked++;
    world_child(w, w->p);
    world_expect(w, "terminate(1)");
    supervisor_on_exec(w->s, 1, 0, 0);
    world_state(w, LC_STOPPING);
    world_signaled(w, 1, SIGINT);
    world_swept(w, 1, 0);
    world_answer(w, NULL);
    w->asked--;
    world_state(w, LC_STOPPED);
    world_close(w);
}

static void test_stop_during_a_start_that_fails(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_start(w);
    world_stop(w);
    world_answer(w, "overtaken by: stop (pm stop)");
    supervisor_on_refused(w->s, 1, KW_STEP_FORK, EAGAIN);
    assert_int_equal(w->answered, 1);
    world_answer(w, NULL);
    w->asked = 0;
    world_state(w, LC_STOPPED);
    world_start(w);
    world_child(w, w->p);
    world_stop(w);
    w->answered = 0;
    supervisor_on_exec(w->s, 2, KW_STEP_EXEC, ENOENT);
    world_answer(w, NULL);
    w->asked = 0;
    world_state(w, LC_STOPPED);
    world_close(w);
}

static void test_stop_waiting(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->restart_delay = 5000;
    world_online(w);
    world_exit(w, 1, 1);
    world_swept(w, 1, 0);
    world_state(w, LC_WAITING);
    w->log[0] = '\0';
    world_stop(w);
    world_answer(w, NULL);
    world_expect(w, ""); /* nobody has the old pid any more */
    world_state(w, LC_STOPPED);
    assert_int_equal(w->n_timers, 0);
    world_advance(w, 10000);
    world_state(w, LC_STOPPED);
    world_close(w);
}

static void test_stop_waiting_with_leftovers(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->restart_delay = 5000;
    world_online(w);
    world_exit(w, 1, 1);
    world_swept(w, 1, 2);
    w->log[0] = '\0';
    world_stop(w);
    world_state(w, LC_STOPPING); /* not "stopped" while something lives */
    world_expect(w, "look(1)");
    world_swept(w, 1, 1);
    world_advance(w, 1700);
    world_expect(w, "look(1) kill_run(1)");
    world_swept(w, 1, 0);
    world_answer(w, NULL);
    world_state(w, LC_STOPPED);
    assert_int_equal(w->n_timers, 0);
    world_close(w);
}

static void test_stop_errored(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->max_restarts = 1;
    world_online(w);
    world_exit(w, 1, 1);
    world_swept(w, 1, 0);
    world_state(w, LC_ERRORED);
    world_stop(w);
    world_answer(w, NULL);
    world_state(w, LC_STOPPED);
    world_close(w);
}

static void test_stop_of_a_finished_one_waits_for_its_leftovers(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->autorestart = false;
    world_online(w);
    world_exit(w, 1, 0);
    world_swept(w, 1, 1);
    world_state(w, LC_STOPPED);
    world_stop(w);
    assert_int_equal(w->answered, 0);
    world_swept(w, 1, 0);
    world_answer(w, NULL);
    world_reason(w, "exited with code 0 after 100 ms; autorestart is off");
    world_advance(w, 1000);
    world_close(w);
}

static void test_stop_waits_for_leftovers_of_an_older_run(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    world_exit(w, 1, 1);
    world_swept(w, 1, 1);
    world_advance(w, LEFTOVER_GRACE_MS);
    world_up(w, w->p);
    world_stop(w);
    world_exit(w, 2, 0);
    world_swept(w, 2, 0);
    world_state(w, LC_STOPPING);
    assert_int_equal(w->answered, 0);
    world_swept(w, 1, 0);
    world_answer(w, NULL);
    world_state(w, LC_STOPPED);
    world_close(w);
}

/* --- the deadline --- */

static void test_kill_at_the_deadline(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    world_stop(w);
    world_advance(w, 1599);
    world_expect(w, "terminate(1)");
    world_advance(w, 1);
    world_expect(w, "kill(1)");
    world_state(w, LC_STOPPING);
    world_swept(w, 1, 0); /* the answer before the exit record */
    world_state(w, LC_STOPPING);
    world_signaled(w, 1, SIGKILL);
    world_answer(w, NULL);
    world_state(w, LC_STOPPED);
    assert_int_equal(w->p->last.signal, SIGKILL);
    world_close(w);
}

static void test_kill_after_the_child_has_gone(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    world_stop(w);
    world_exit(w, 1, 0);
    world_swept(w, 1, 1); /* a stubborn grandchild */
    world_advance(w, 1600);
    assert_non_null(strstr(w->log, "kill(1) "));
    world_swept(w, 1, 1);
    w->log[0] = '\0';
    world_advance(w, KILL_RETRY_MS);
    world_expect(w, "kill(1)");
    world_swept(w, 1, 0);
    world_answer(w, NULL);
    world_close(w);
}

static void test_what_cannot_be_killed(void **state)
{
    struct world *w = world_new();
    unsigned tries = 0;

    (void)state;
    world_online(w);
    world_stop(w);
    world_advance(w, 1600);
    while (w->answered == 0 && tries++ < 200) {
        world_swept(w, 1, 1);
        world_advance(w, KILL_RETRY_MS);
    }
    assert_in_range(tries, 100, 102);
    world_answer(w,
                 "cannot be killed: 1 process still alive 10 s after SIGKILL (uninterruptible?); pid 1001");
    world_state(w, LC_STOPPING);
    world_advance(w, 900);
    w->log[0] = '\0';
    world_swept(w, 1, 1);
    world_advance(w, 999);
    world_expect(w, "");
    world_advance(w, 1);
    world_expect(w, "kill(1)");
    world_signaled(w, 1, SIGKILL);
    world_swept(w, 1, 0);
    world_state(w, LC_STOPPED);
    world_close(w);
}

/* --- restart --- */

static void test_restart_online(void **state)
{
    struct world *w = world_new();
    uint64_t created;

    (void)state;
    world_online(w);
    w->p->counters.unstable = 3;
    w->p->counters.backoff_delay = 225;
    created = w->p->created_ms;
    world_advance(w, 50);
    world_restart(w);
    world_state(w, LC_STOPPING);
    assert_int_equal(w->p->counters.restarts, 1);
    assert_int_equal(w->p->counters.unstable, 0);
    assert_int_equal(w->p->counters.backoff_delay, 0);
    assert_true(w->p->created_ms > created);
    world_reason(w, "stopping for a restart (pm restart); SIGKILL in 1.6 s");
    world_signaled(w, 1, SIGINT);
    world_swept(w, 1, 0);
    world_expect(w, "terminate(1) ended(1,restarted) look(1) spawn(2)");
    assert_true(w->p->fresh);
    world_up(w, w->p);
    world_advance(w, 100);
    assert_int_equal(w->answers[0].pid, 1002);
    world_answer(w, NULL);
    assert_int_equal(w->p->counters.restarts, 1);
    world_close(w);
}

static void test_restart_stopped_and_errored(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_restart(w);
    world_expect(w, "spawn(1)");
    assert_int_equal(w->p->counters.restarts, 0);
    supervisor_on_exec(w->s, 1, KW_STEP_EXEC, ENOENT);
    world_answer(w, "cannot exec /srv/app: No such file or directory");
    world_state(w, LC_ERRORED);
    world_restart(w);
    world_up(w, w->p);
    world_advance(w, 100);
    world_answer(w, NULL);
    assert_int_equal(w->p->counters.restarts, 0);
    world_close(w);
}

static void test_restart_waiting(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->restart_delay = 5000;
    world_online(w);
    world_exit(w, 1, 1);
    world_swept(w, 1, 0);
    assert_int_equal(w->p->counters.restarts, 1);
    w->log[0] = '\0';
    world_restart(w);
    world_expect(w, "spawn(2)");
    assert_int_equal(w->p->counters.restarts, 1);
    assert_true(w->p->fresh);
    world_up(w, w->p);
    world_advance(w, 6000);
    world_answer(w, NULL);
    world_expect(w, "");
    world_close(w);
}

static void test_start_waiting(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->restart_delay = 5000;
    world_online(w);
    world_exit(w, 1, 1);
    world_swept(w, 1, 0);
    w->log[0] = '\0';
    world_start(w);
    world_expect(w, "spawn(2)");
    world_exit(w, 2, 4);
    world_answer(w, "exited with code 4 after 0 ms");
    world_close(w);
}

static void test_restart_launching(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->wait_ready = true;
    world_start(w);
    world_up(w, w->p);
    world_advance(w, 1000);
    world_restart(w);
    world_state(w, LC_STOPPING);
    world_advance(w, 1000);
    world_signaled(w, 1, SIGINT);
    world_swept(w, 1, 0);
    world_up(w, w->p);
    world_advance(w, 2000); /* the first run's readiness deadline is long over */
    world_state(w, LC_LAUNCHING);
    supervisor_on_ready(w->s, 2);
    world_advance(w, 100);
    assert_int_equal(w->answered, 2); /* the start and the restart: it is up */
    assert_true(w->answers[0].ok && w->answers[1].ok);
    world_close(w);
}

static void test_restart_kills_the_stubborn(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    world_restart(w);
    world_advance(w, 1600);
    world_signaled(w, 1, SIGKILL);
    world_swept(w, 1, 0);
    world_expect(w, "terminate(1) kill(1) ended(1,restarted) spawn(2)");
    world_up(w, w->p);
    world_advance(w, 100);
    world_answer(w, NULL);
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_online),
        cmocka_unit_test(test_tree_is_polled_until_empty),
        cmocka_unit_test(test_stop_without_treekill),
        cmocka_unit_test(test_stop_before_the_pid_is_known),
        cmocka_unit_test(test_stop_during_a_start_that_fails),
        cmocka_unit_test(test_stop_waiting),
        cmocka_unit_test(test_stop_waiting_with_leftovers),
        cmocka_unit_test(test_stop_errored),
        cmocka_unit_test(test_stop_of_a_finished_one_waits_for_its_leftovers),
        cmocka_unit_test(test_stop_waits_for_leftovers_of_an_older_run),
        cmocka_unit_test(test_kill_at_the_deadline),
        cmocka_unit_test(test_kill_after_the_child_has_gone),
        cmocka_unit_test(test_what_cannot_be_killed),
        cmocka_unit_test(test_restart_online),
        cmocka_unit_test(test_restart_stopped_and_errored),
        cmocka_unit_test(test_restart_waiting),
        cmocka_unit_test(test_start_waiting),
        cmocka_unit_test(test_restart_launching),
        cmocka_unit_test(test_restart_kills_the_stubborn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
