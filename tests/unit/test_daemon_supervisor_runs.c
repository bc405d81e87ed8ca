/* Runs: starts, crashes, delays, leftovers, readiness, the words for them. */
#include "supervisor_world.h"

static void test_start_settles(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_reason(w, "not started yet");
    world_start(w);
    world_expect(w, "spawn(1)");
    world_state(w, LC_LAUNCHING);
    assert_true(w->p->fresh);
    world_child(w, w->p);
    assert_int_equal(w->p->pid, 1001);
    assert_ptr_equal(supervisor_by_run(w->s, 1), w->p);
    supervisor_on_exec(w->s, 1, 0, 0);
    world_state(w, LC_ONLINE);
    world_advance(w, 99);
    assert_int_equal(w->answered, 0);
    world_advance(w, 1);
    assert_string_equal(w->answers[0].status, "online");
    assert_int_equal(w->answers[0].pid, 1001);
    world_answer(w, NULL);
    world_advance(w, 3000);
    world_reason(w, "up for 3.1 s");
    assert_int_equal(w->n_timers, 0);
    world_start(w); /* already up: ok at once */
    world_answer(w, NULL);
    world_expect(w, "");
    world_close(w);
}

static void test_start_joins_a_start(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_start(w);
    world_start(w);
    world_up(w, w->p);
    world_advance(w, 60);
    world_start(w);
    assert_int_equal(w->answered, 0);
    world_advance(w, 40);
    assert_int_equal(w->answered, 3);
    world_expect(w, "spawn(1)");
    world_close(w);
}

static void test_crash_respawns_at_once(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    world_advance(w, 5000);
    world_exit(w, 1, 7);
    world_expect(w, "ended(1,exit) sweep(1)");
    world_state(w, LC_WAITING);
    world_swept(w, 1, 0);
    world_expect(w, "spawn(2)");
    world_state(w, LC_LAUNCHING);
    assert_false(w->p->fresh);
    assert_int_equal(w->p->counters.restarts, 1);
    assert_int_equal(w->p->counters.unstable, 0);
    assert_int_equal(w->p->last.exit_code, 7);
    assert_int_equal(w->p->last.ended_ms - w->p->last.started_ms, 5100);
    world_up(w, w->p);
    world_reason(w, "up for 0 ms; the run before: exited with code 7");
    world_close(w);
}

static void test_nothing_left_no_sweep(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->left_nothing = true;
    world_online(w);
    world_advance(w, 5000);
    world_exit(w, 1, 7);
    world_expect(w, "ended(1,exit) spawn(2)");
    world_state(w, LC_LAUNCHING);
    world_up(w, w->p);
    assert_int_equal(w->n_timers, 0);
    world_close(w);
}

static void test_without_treekill_no_sweep(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->treekill = false;
    world_online(w);
    world_signaled(w, 1, SIGSEGV | 0x80);
    world_expect(w, "ended(1,signal) spawn(2)");
    assert_int_equal(w->p->last.signal, SIGSEGV);
    assert_true(w->p->last.core);
    world_close(w);
}

static void test_leftovers_hold_the_respawn_a_moment(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    world_exit(w, 1, 7);
    world_swept(w, 1, 2);
    world_expect(w, "ended(1,exit) sweep(1)");
    world_advance(w, 99);
    world_state(w, LC_WAITING);
    world_expect(w, "look(1)"); /* after 5 ms; unanswered */
    world_advance(w, 1);
    world_expect(w, "spawn(2)");
    world_up(w, w->p);
    world_swept(w, 1, 1); /* the late answer */
    world_advance(w, 1499);
    world_expect(w, "");
    world_advance(w, 1); /* kill_timeout after the polite signal */
    world_expect(w, "kill_run(1)");
    world_state(w, LC_ONLINE);
    world_swept(w, 1, 1);
    world_advance(w, KILL_RETRY_MS);
    world_expect(w, "kill_run(1)");
    world_swept(w, 1, 0);
    assert_int_equal(w->n_timers, 0);
    world_close(w);
}

static void test_leftovers_go_within_the_grace(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    world_exit(w, 1, 7);
    world_swept(w, 1, 1);
    world_advance(w, 5);
    world_swept(w, 1, 1);
    world_advance(w, 10);
    world_swept(w, 1, 0);
    world_expect(w, "ended(1,exit) sweep(1) look(1) look(1) spawn(2)");
    world_close(w);
}

/* A look that is never answered (a busy thread pool) holds nothing up. */
static void test_respawn_without_an_answer(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    world_exit(w, 1, 7);
    world_advance(w, LEFTOVER_GRACE_MS);
    world_expect(w, "ended(1,exit) sweep(1) spawn(2)");
    world_close(w);
}

static void test_leftovers_are_bounded(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->kill_timeout = 3600000;
    world_online(w);
    for (uint64_t run = 1; run <= 3 * LEFTOVERS_MAX; run++) {
        world_advance(w, 2000);
        world_exit(w, run, 7);
        world_swept(w, run, 1);
        world_advance(w, LEFTOVER_GRACE_MS);
        world_up(w, w->p);
        assert_true(w->s->by_leftover.used <= LEFTOVERS_MAX);
    }
    assert_non_null(strstr(w->log, "kill_run(1) "));
    w->log[0] = '\0';
    world_close(w);
}

static void test_restart_delay(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->restart_delay = 2000;
    world_online(w);
    world_advance(w, 900);
    world_exit(w, 1, 3);
    world_state(w, LC_WAITING);
    world_swept(w, 1, 0);
    assert_int_equal(w->p->deadline_ms, w->wall + 2000);
    world_reason(w, "exited with code 3 after 1 s; restarting in 2 s");
    world_advance(w, 1999);
    world_state(w, LC_WAITING);
    assert_int_equal(w->p->run, 0);
    assert_int_equal(w->p->pid, 0);
    world_advance(w, 1);
    world_expect(w, "ended(1,exit) sweep(1) spawn(2)");
    world_close(w);
}

static void test_short_delay_without_leftovers(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->restart_delay = 30;
    world_online(w);
    world_exit(w, 1, 3);
    world_advance(w, 10);
    world_swept(w, 1, 0);
    world_advance(w, 19);
    world_expect(w, "ended(1,exit) sweep(1)");
    world_advance(w, 1);
    world_expect(w, "spawn(2)");
    world_close(w);
}

static void test_jitter_for_later_instances(void **state)
{
    struct world *w = world_new();
    struct process *second = supervisor_add_process(w->s, w->app, 1, -1);

    (void)state;
    w->spec->exp_backoff_restart_delay = 1000;
    w->jitter = 1000000;
    supervisor_start(w->s, w->p, NULL, NULL, NULL);
    supervisor_start(w->s, second, NULL, NULL, NULL);
    world_up(w, w->p);
    world_up(w, second);
    world_exit(w, 1, 1);
    world_exit(w, 2, 1);
    assert_int_equal(w->p->deadline_ms - w->wall, 1000);
    assert_int_equal(second->deadline_ms - w->wall, 1099);
    world_close(w);
}

static void test_sixteen_quick_exits(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    world_advance(w, 600000); /* healthy for minutes before */
    world_exit(w, 1, 1);
    world_swept(w, 1, 0);
    for (uint64_t run = 2; run <= 17; run++) {
        world_state(w, LC_LAUNCHING);
        world_up(w, w->p);
        world_advance(w, 40);
        world_exit(w, run, 1);
        world_swept(w, run, 0);
    }
    world_state(w, LC_ERRORED);
    assert_int_equal(w->p->counters.restarts, 16); /* one after the long life, 15 of the quick ones */
    assert_int_equal(w->p->reason, LC_R_BUDGET);
    world_reason(w, "16 unstable runs in a row; the last: exited with code 1 after 40 ms");
    assert_int_equal(w->n_timers, 0);
    world_close(w);
}

static void test_death_within_the_first_moment(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_start(w);
    world_up(w, w->p);
    world_advance(w, 40);
    world_exit(w, 1, 7);
    assert_int_equal(w->answers[0].failed_run, 1);
    world_answer(w, "exited with code 7 after 40 ms");
    world_swept(w, 1, 0);
    world_state(w, LC_LAUNCHING); /* it goes on by its restart rules */
    world_close(w);
}

static void test_exit_zero_at_once(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_start(w);
    world_up(w, w->p);
    world_advance(w, 12);
    world_exit(w, 1, 0);
    world_answer(w, "exited with code 0 after 12 ms");
    world_close(w);
}

static void test_one_shot_job(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->autorestart = false;
    w->spec->restart_delay = 100;
    world_start(w);
    world_up(w, w->p);
    world_advance(w, 12);
    world_exit(w, 1, 0);
    assert_string_equal(w->answers[0].status, "stopped");
    world_answer(w, NULL);
    world_state(w, LC_STOPPED);
    assert_int_equal(w->p->desired, DESIRED_DOWN);
    world_reason(
        w, "exited with code 0 after 12 ms; autorestart is off; an ended run's processes are being stopped");
    world_swept(w, 1, 0);
    world_reason(w, "exited with code 0 after 12 ms; autorestart is off");
    world_start(w);
    world_up(w, w->p);
    world_exit(w, 2, 3); /* a job that fails is a failed start */
    world_answer(w, "exited with code 3 after 0 ms");
    world_close(w);
}

static void test_stop_exit_codes(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->stop_exit_codes.v = malloc(sizeof(int));
    w->spec->stop_exit_codes.v[0] = 9;
    w->spec->stop_exit_codes.n = 1;
    world_online(w);
    world_exit(w, 1, 9);
    world_swept(w, 1, 0);
    world_state(w, LC_STOPPED);
    world_reason(w, "exited with code 9 after 100 ms; stop_exit_codes says not to restart");
    world_close(w);
}

static void test_exec_failure_at_start(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_start(w);
    world_child(w, w->p);
    supervisor_on_exec(w->s, 1, KW_STEP_EXEC, ENOENT);
    world_expect(w, "spawn(1) ended(1,exec-failed)");
    world_answer(w, "cannot exec /srv/app: No such file or directory");
    world_state(w, LC_ERRORED);
    assert_int_equal(w->p->last.error, ENOENT);
    world_exit(w, 1, 127); /* the record of the dead set-up child: only acked */
    world_expect(w, "");
    assert_int_equal(w->ended, 1);
    world_close(w);
}

static void test_exec_failure_of_a_respawn(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->max_restarts = 2;
    world_online(w);
    world_advance(w, 5000);
    world_exit(w, 1, 1);
    world_swept(w, 1, 0);
    supervisor_on_exec(w->s, 2, KW_STEP_EXEC, EACCES);
    world_state(w, LC_WAITING);
    world_reason(w, "cannot exec /srv/app: Permission denied; restarting in 1 s");
    world_advance(w, LC_FAILED_EXEC_WAIT_MS);
    supervisor_on_exec(w->s, 3, KW_STEP_EXEC, EACCES);
    world_state(w, LC_ERRORED);
    world_expect(w, "ended(1,exit) sweep(1) spawn(2) ended(2,exec-failed) spawn(3) ended(3,exec-failed)");
    world_close(w);
}

static void test_spawn_that_cannot_be_asked_for(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spawn_rc = -ENOENT;
    world_start(w);
    world_expect(w, "spawn(1) ended(1,exec-failed)");
    world_answer(w, "cannot find the program /x");
    world_state(w, LC_ERRORED);
    world_reason(w, "cannot find the program /x");
    assert_int_equal(w->p->run, 0);
    w->spawn_rc = 0;
    world_online(w);
    world_close(w);
}

static void test_refused(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_start(w);
    supervisor_on_refused(w->s, 1, KW_STEP_FORK, EAGAIN);
    world_answer(w, "cannot fork: Resource temporarily unavailable");
    world_state(w, LC_ERRORED);
    world_close(w);
}

/* The keeper died with the spawn: nobody is to blame, the caller's start goes on with another run. */
static void test_unanswered(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_start(w);
    supervisor_on_unanswered(w->s, 1);
    world_state(w, LC_LAUNCHING);
    assert_int_equal(w->p->run, 2);
    supervisor_on_unanswered(w->s, 1); /* not its run any more */
    assert_int_equal(w->p->run, 2);
    world_up(w, w->p);
    world_advance(w, 200);
    world_answer(w, NULL);
    supervisor_on_unanswered(w->s, 2); /* answered */
    world_state(w, LC_ONLINE);
    assert_int_equal(w->p->counters.restarts, 0);
    world_close(w);
}

static void test_unanswered_again_and_again(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_start(w);
    supervisor_on_unanswered(w->s, 1);
    supervisor_on_unanswered(w->s, 2);
    world_state(w, LC_LAUNCHING);
    supervisor_on_unanswered(w->s, 3);
    world_answer(w, "cannot fork: Broken pipe");
    world_state(w, LC_ERRORED);
    world_close(w);
}

static void test_unanswered_while_stopping(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_start(w);
    world_stop(w);
    world_state(w, LC_STOPPING);
    supervisor_on_unanswered(w->s, 1);
    world_state(w, LC_STOPPED);
    assert_int_equal(w->p->run, 0);
    world_close(w);
}

/* What was accepted turns out to be impossible later, like a user that is looked up first. */
static void test_not_spawned_after_all(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_start(w);
    supervisor_on_not_spawned(w->s, 1, -ENOENT, "there is no user \"x\"");
    world_answer(w, "there is no user \"x\"");
    world_state(w, LC_ERRORED);
    world_reason(w, "there is no user \"x\"");
    supervisor_on_not_spawned(w->s, 1, -ENOENT, "too late"); /* of a run that is over */
    world_state(w, LC_ERRORED);
    world_close(w);
}

/* A stop that comes while nothing was asked for yet. */
static void test_stop_before_spawned(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_start(w);
    world_stop(w);
    world_state(w, LC_STOPPING);
    supervisor_on_not_spawned(w->s, 1, -ECANCELED, "not looked up any more");
    world_state(w, LC_STOPPED);
    world_reason(w, "stopped by request (pm stop)");
    world_start(w);
    supervisor_on_not_spawned(w->s, 1, -ECANCELED, "of the run before");
    world_up(w, w->p);
    world_state(w, LC_ONLINE);
    world_advance(w, 100);
    world_close(w);
}

static void test_exit_before_exec_news(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_start(w);
    world_child(w, w->p);
    world_exit(w, 1, 7);
    supervisor_on_exec(w->s, 1, 0, 0);
    world_answer(w, "exited with code 7 after 0 ms");
    world_swept(w, 1, 0);
    world_state(w, LC_LAUNCHING);
    world_exit(w, 2, 7); /* even before the pid is known */
    world_child(w, w->p);
    world_swept(w, 2, 0);
    world_expect(w, "spawn(1) ended(1,exit) sweep(1) spawn(2) ended(2,exit) sweep(2) spawn(3)");
    world_close(w);
}

static void test_lost_run(void **state)
{
    struct world *w = world_new();
    struct run_end end = {.run = 1, .status_known = false};
    char words[128];

    (void)state;
    world_online(w);
    supervisor_on_exit(w->s, &end);
    world_swept(w, 1, 0);
    world_expect(w, "ended(1,lost) sweep(1) spawn(2)");
    last_exit_words(&w->p->last, words, sizeof(words));
    assert_string_equal(words, "ended while no daemon watched, status unknown");
    world_close(w);
}

static void test_ready(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->wait_ready = true;
    world_start(w);
    world_up(w, w->p);
    world_state(w, LC_LAUNCHING);
    world_advance(w, 2000);
    world_reason(w, "waiting to be ready, for 2 s");
    supervisor_on_ready(w->s, 1);
    world_state(w, LC_ONLINE);
    assert_false(world_has_timer(w, w->p, SYS_TIMER_STATE));
    supervisor_on_ready(w->s, 1); /* said twice */
    supervisor_on_ready(w->s, 99);
    world_advance(w, 100);
    world_answer(w, NULL);
    world_close(w);
}

/* With a check it is ready by its success, and by its own word too where that is asked for; in any order. */
static void test_ready_when_healthy(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->health_check.exec = strdup("true");
    w->spec->health_check.start_period = 30000;
    world_start(w);
    world_up(w, w->p);
    world_advance(w, 29999);
    world_state(w, LC_LAUNCHING);
    supervisor_on_ready(w->s, 1); /* nobody waits for its word */
    world_state(w, LC_LAUNCHING);
    supervisor_on_healthy(w->s, 1);
    world_state(w, LC_ONLINE);
    assert_false(world_has_timer(w, w->p, SYS_TIMER_STATE));
    supervisor_on_healthy(w->s, 1);
    supervisor_on_healthy(w->s, 99);
    world_advance(w, 100);
    world_answer(w, NULL);
    world_close(w);
}

static void test_ready_when_both(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->health_check.exec = strdup("true");
    w->spec->wait_ready = true;
    world_start(w);
    world_up(w, w->p);
    supervisor_on_healthy(w->s, 1);
    world_state(w, LC_LAUNCHING);
    supervisor_on_ready(w->s, 1);
    world_state(w, LC_ONLINE);
    world_advance(w, 100);
    world_answer(w, NULL);
    world_close(w);
}

static void test_never_healthy(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->health_check.exec = strdup("false");
    w->spec->health_check.start_period = 5000;
    world_start(w);
    world_up(w, w->p);
    world_expect(w, "spawn(1)");
    world_advance(w, 4999);
    world_expect(w, "");
    world_advance(w, 1);
    world_answer(w, "not healthy within 5 s");
    world_expect(w, "terminate(1)");
    world_state(w, LC_STOPPING);
    world_close(w);
}

static void test_not_ready(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->wait_ready = true;
    world_start(w);
    world_up(w, w->p);
    world_advance(w, 3000);
    assert_int_equal(w->answers[0].failed_run, 1);
    world_answer(w, "not ready within 3 s");
    world_state(w, LC_STOPPING);
    world_expect(w, "spawn(1) terminate(1)");
    world_reason(w, "stopping: not ready within 3 s; SIGKILL in 1.6 s");
    world_signaled(w, 1, SIGINT);
    world_swept(w, 1, 0);
    world_expect(w, "ended(1,ready-timeout) look(1) spawn(2)");
    assert_int_equal(w->p->counters.unstable, 1);
    assert_int_equal(w->p->counters.restarts, 1);
    assert_int_equal(w->p->last.reason, LC_R_READY_TIMEOUT);
    world_close(w);
}

static void test_never_ready_is_errored(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->wait_ready = true;
    w->spec->max_restarts = 2;
    w->spec->restart_delay = 50;
    world_start(w);
    for (uint64_t run = 1; run <= 2; run++) {
        world_up(w, w->p);
        world_advance(w, 3000);
        world_signaled(w, run, SIGINT);
        world_swept(w, run, 0);
        world_advance(w, 50);
    }
    world_answer(w, "not ready within 3 s");
    world_state(w, LC_ERRORED);
    world_reason(w, "2 unstable runs in a row; the last: not ready in time, stopped: killed by SIGINT");
    world_close(w);
}

static void test_last_exit_words(void **state)
{
    struct last_exit none = {0};
    struct last_exit core = {
        .valid = true, .reason = LC_R_SIGNAL, .exit_code = -1, .signal = SIGSEGV, .core = true};
    struct last_exit kill = {.valid = true, .reason = LC_R_SIGNAL, .exit_code = -1, .signal = SIGKILL};
    struct last_exit stop = {.valid = true, .reason = LC_R_STOPPED, .exit_code = 0};
    struct last_exit exec = {
        .valid = true, .reason = LC_R_EXEC_FAILED, .step = KW_STEP_EXEC, .error = ENOENT};
    char words[128];

    (void)state;
    last_exit_words(&none, words, sizeof(words));
    assert_string_equal(words, "never ran");
    last_exit_words(&core, words, sizeof(words));
    assert_string_equal(words, "killed by SIGSEGV (core dumped)");
    last_exit_words(&kill, words, sizeof(words));
    assert_string_equal(words, "killed by SIGKILL");
    last_exit_words(&stop, words, sizeof(words));
    assert_string_equal(words, "stopped by request: exited with code 0");
    last_exit_words(&exec, words, sizeof(words));
    assert_string_equal(words, "cannot exec: No such file or directory");
    last_exit_words(&exec, words, 12); /* cut, never overrun */
    assert_string_equal(words, "cannot exec");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_settles),
        cmocka_unit_test(test_start_joins_a_start),
        cmocka_unit_test(test_crash_respawns_at_once),
        cmocka_unit_test(test_nothing_left_no_sweep),
        cmocka_unit_test(test_without_treekill_no_sweep),
        cmocka_unit_test(test_leftovers_hold_the_respawn_a_moment),
        cmocka_unit_test(test_leftovers_go_within_the_grace),
        cmocka_unit_test(test_respawn_without_an_answer),
        cmocka_unit_test(test_leftovers_are_bounded),
        cmocka_unit_test(test_restart_delay),
        cmocka_unit_test(test_short_delay_without_leftovers),
        cmocka_unit_test(test_jitter_for_later_instances),
        cmocka_unit_test(test_sixteen_quick_exits),
        cmocka_unit_test(test_death_within_the_first_moment),
        cmocka_unit_test(test_exit_zero_at_once),
        cmocka_unit_test(test_one_shot_job),
        cmocka_unit_test(test_stop_exit_codes),
        cmocka_unit_test(test_exec_failure_at_start),
        cmocka_unit_test(test_exec_failure_of_a_respawn),
        cmocka_unit_test(test_spawn_that_cannot_be_asked_for),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_not_spawned_after_all),
        cmocka_unit_test(test_stop_before_spawned),
        cmocka_unit_test(test_unanswered),
        cmocka_unit_test(test_unanswered_again_and_again),
        cmocka_unit_test(test_unanswered_while_stopping),
        cmocka_unit_test(test_exit_before_exec_news),
        cmocka_unit_test(test_lost_run),
        cmocka_unit_test(test_ready),
        cmocka_unit_test(test_ready_when_healthy),
        cmocka_unit_test(test_ready_when_both),
        cmocka_unit_test(test_never_healthy),
        cmocka_unit_test(test_not_ready),
        cmocka_unit_test(test_never_ready_is_errored),
        cmocka_unit_test(test_last_exit_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
