/* A new engine: every life cycle goes on where the last one left it. */
#include "supervisor_world.h"

/* A process as the store and the keeper give it back. */
static void restored(struct world *w, enum lc_state state, enum desired desired, uint64_t run)
{
    w->p->state = state;
    w->p->desired = desired;
    w->runs = 50;
    w->p->run = run;
    if (run) {
        w->p->pid = (pid_t)(1000 + run);
        w->p->start_ticks = run * 10;
        w->p->started_ms = w->wall - 60000;
    }
    w->p->counters = (struct lc_counters){.restarts = 4, .unstable = 2};
}

static void ended_before(struct world *w, uint64_t run, enum lc_reason reason, int code, uint64_t ago_ms)
{
    w->p->last = (struct last_exit){.valid = true,
                                    .run = run,
                                    .started_ms = w->wall - ago_ms - 500,
                                    .ended_ms = w->wall - ago_ms,
                                    .reason = reason,
                                    .exit_code = code};
}

static void test_online_goes_on(void **state)
{
    struct world *w = world_new();

    (void)state;
    restored(w, LC_ONLINE, DESIRED_UP, 9);
    w->p->online_ms = w->p->started_ms + 10;
    supervisor_resume(w->s, w->p, true);
    world_expect(w, "");
    world_state(w, LC_ONLINE);
    assert_int_equal(w->p->pid, 1009);
    assert_int_equal(w->p->counters.restarts, 4);
    assert_int_equal(w->n_timers, 0);
    assert_ptr_equal(supervisor_by_run(w->s, 9), w->p);
    world_start(w);
    world_answer(w, NULL); /* settled long ago */
    world_exit(w, 9, 7);
    world_swept(w, 9, 0);
    world_expect(w, "ended(9,exit) sweep(9) spawn(51)");
    assert_int_equal(w->p->counters.unstable, 0);
    world_close(w);
}

static void test_died_with_a_record(void **state)
{
    struct world *w = world_new();

    (void)state;
    restored(w, LC_ONLINE, DESIRED_UP, 9);
    supervisor_resume(w->s, w->p, true);
    world_signaled(w, 9, SIGSEGV);
    assert_int_equal(w->p->last.signal, SIGSEGV);
    world_swept(w, 9, 0);
    world_state(w, LC_LAUNCHING);
    world_close(w);
}

static void test_died_without_a_record(void **state)
{
    struct world *w = world_new();

    (void)state;
    restored(w, LC_ONLINE, DESIRED_UP, 9);
    supervisor_resume(w->s, w->p, false);
    world_swept(w, 9, 0);
    world_expect(w, "ended(9,lost) sweep(9) spawn(51)");
    assert_int_equal(w->p->counters.restarts, 5);
    world_close(w);
}

/* The end was stored, the state that follows from it was not. */
static void test_died_and_stored(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->autorestart = false;
    restored(w, LC_ONLINE, DESIRED_UP, 9);
    ended_before(w, 9, LC_R_EXIT, 3, 20);
    supervisor_resume(w->s, w->p, false);
    world_expect(w, "sweep(9)");
    world_state(w, LC_STOPPED);
    assert_int_equal(w->p->last.exit_code, 3);
    world_close(w);
}

static void test_launching(void **state)
{
    struct world *w = world_new();

    (void)state;
    restored(w, LC_LAUNCHING, DESIRED_UP, 9);
    supervisor_resume(w->s, w->p, true);
    world_state(w, LC_ONLINE);
    world_close(w);
}

static void test_launching_waits_for_readiness(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->wait_ready = true;
    restored(w, LC_LAUNCHING, DESIRED_UP, 9);
    w->p->deadline_ms = w->wall + 700;
    supervisor_resume(w->s, w->p, true);
    world_advance(w, 699);
    world_state(w, LC_LAUNCHING);
    world_advance(w, 1);
    world_state(w, LC_STOPPING);
    world_expect(w, "terminate(9)");
    world_close(w);
}

static void test_launching_whose_exec_failed(void **state)
{
    struct world *w = world_new();

    (void)state;
    restored(w, LC_LAUNCHING, DESIRED_UP, 9);
    w->p->fresh = true;
    supervisor_resume(w->s, w->p, true);
    supervisor_on_exec(w->s, 9, KW_STEP_EXEC, ENOENT);
    world_expect(w, "ended(9,exec-failed)");
    world_state(w, LC_ERRORED);
    world_close(w);
}

static void test_launching_that_was_never_forked(void **state)
{
    struct world *w = world_new();

    (void)state;
    restored(w, LC_LAUNCHING, DESIRED_UP, 9);
    w->p->pid = 0;
    supervisor_resume(w->s, w->p, false);
    world_expect(w, "spawn(51)");
    assert_int_equal(w->p->counters.restarts, 4);
    assert_null(supervisor_by_run(w->s, 9));
    world_close(w);
}

static void test_stopping_before_the_signal(void **state)
{
    struct world *w = world_new();

    (void)state;
    restored(w, LC_STOPPING, DESIRED_DOWN, 9);
    w->p->reason = LC_R_STOPPED;
    supervisor_resume(w->s, w->p, true);
    world_expect(w, "terminate(9)");
    world_advance(w, 1600);
    world_expect(w, "kill(9)");
    world_close(w);
}

static void test_stopping_after_the_signal(void **state)
{
    struct world *w = world_new();

    (void)state;
    restored(w, LC_STOPPING, DESIRED_DOWN, 9);
    w->p->reason = LC_R_STOPPED;
    w->p->signaled_ms = w->wall - 1000;
    w->p->deadline_ms = w->wall + 600;
    supervisor_resume(w->s, w->p, true);
    world_advance(w, 599);
    world_expect(w, "");
    world_advance(w, 1);
    world_expect(w, "kill(9)");
    world_signaled(w, 9, SIGKILL);
    world_swept(w, 9, 0);
    world_state(w, LC_STOPPED);
    world_expect(w, "ended(9,stopped)");
    world_close(w);
}

static void test_stopping_for_a_restart(void **state)
{
    struct world *w = world_new();

    (void)state;
    restored(w, LC_STOPPING, DESIRED_UP, 9);
    w->p->reason = LC_R_RESTARTED;
    w->p->signaled_ms = w->wall - 1000;
    supervisor_resume(w->s, w->p, false);
    world_expect(w, "ended(9,restarted) look(9)");
    world_swept(w, 9, 0);
    world_expect(w, "spawn(51)");
    assert_true(w->p->fresh);
    world_close(w);
}

/* The child's end is stored; its tree may still live. */
static void test_stopping_with_a_tree(void **state)
{
    struct world *w = world_new();

    (void)state;
    restored(w, LC_STOPPING, DESIRED_DOWN, 9);
    w->p->reason = LC_R_STOPPED;
    ended_before(w, 9, LC_R_STOPPED, 0, 20);
    supervisor_resume(w->s, w->p, false);
    world_expect(w, "sweep(9)");
    world_swept(w, 9, 1);
    world_state(w, LC_STOPPING);
    world_advance(w, 1600);
    assert_non_null(strstr(w->log, "kill(9)"));
    world_swept(w, 9, 0);
    world_state(w, LC_STOPPED);
    w->log[0] = '\0';
    world_close(w);
}

static void test_stopping_without_a_run(void **state)
{
    struct world *w = world_new();

    (void)state;
    restored(w, LC_STOPPING, DESIRED_DOWN, 0);
    w->p->reason = LC_R_STOPPED;
    supervisor_resume(w->s, w->p, false);
    world_state(w, LC_STOPPED);
    world_close(w);
}

static void test_waiting(void **state)
{
    struct world *w = world_new();

    (void)state;
    restored(w, LC_WAITING, DESIRED_UP, 0);
    w->p->run = 9; /* the store keeps the last number */
    ended_before(w, 9, LC_R_EXIT, 1, 60000);
    w->p->deadline_ms = w->wall + 400;
    supervisor_resume(w->s, w->p, false);
    assert_null(supervisor_by_run(w->s, 9));
    world_advance(w, 399);
    world_expect(w, "");
    world_advance(w, 1);
    world_expect(w, "spawn(51)");
    world_close(w);
}

static void test_waiting_that_is_overdue(void **state)
{
    struct world *w = world_new();

    (void)state;
    restored(w, LC_WAITING, DESIRED_UP, 0);
    w->p->deadline_ms = w->wall - 400;
    supervisor_resume(w->s, w->p, false);
    world_advance(w, 0);
    world_expect(w, "spawn(51)");
    world_close(w);
}

/* The last engine knew of leftovers; the new one asks again. */
static void test_waiting_with_leftovers(void **state)
{
    struct world *w = world_new();

    (void)state;
    restored(w, LC_WAITING, DESIRED_UP, 0);
    ended_before(w, 9, LC_R_EXIT, 1, 100);
    w->p->deadline_ms = w->wall + 10000;
    supervisor_resume(w->s, w->p, false);
    world_expect(w, "sweep(9)");
    world_swept(w, 9, 1);
    world_advance(w, 1600);
    world_expect(w, "kill_run(9)");
    world_swept(w, 9, 0);
    world_close(w);
}

static void test_at_rest(void **state)
{
    struct world *w = world_new();

    (void)state;
    restored(w, LC_ERRORED, DESIRED_UP, 0);
    supervisor_resume(w->s, w->p, false);
    world_expect(w, "");
    world_state(w, LC_ERRORED);
    w->p->state = LC_STOPPED;
    w->p->desired = DESIRED_DOWN;
    supervisor_resume(w->s, w->p, false);
    world_expect(w, "");
    world_state(w, LC_STOPPED);
    w->p->desired = DESIRED_UP;
    supervisor_resume(w->s, w->p, false);
    world_expect(w, "spawn(51)");
    assert_false(w->p->fresh); /* a failed exec is retried: a mount may come later */
    world_close(w);
}

static void test_down_is_wanted(void **state)
{
    struct world *w = world_new();

    (void)state;
    restored(w, LC_ONLINE, DESIRED_DOWN, 9);
    supervisor_resume(w->s, w->p, true);
    world_expect(w, "terminate(9)");
    world_state(w, LC_STOPPING);
    world_close(w);

    w = world_new();
    restored(w, LC_ONLINE, DESIRED_DOWN, 9);
    supervisor_resume(w->s, w->p, false);
    world_expect(w, "ended(9,lost) sweep(9)");
    world_state(w, LC_STOPPED);
    world_close(w);

    w = world_new();
    restored(w, LC_WAITING, DESIRED_DOWN, 0);
    supervisor_resume(w->s, w->p, false);
    world_state(w, LC_STOPPED);
    world_close(w);
}

static void test_delete_goes_on(void **state)
{
    struct world *w = world_new();

    (void)state;
    restored(w, LC_STOPPING, DESIRED_DOWN, 9);
    w->p->reason = LC_R_DELETED;
    w->p->signaled_ms = w->wall;
    supervisor_resume(w->s, w->p, true);
    world_exit(w, 9, 0);
    world_swept(w, 9, 0);
    assert_null(w->p);
    world_close(w);

    w = world_new();
    restored(w, LC_STOPPED, DESIRED_DOWN, 0);
    w->p->reason = LC_R_DELETED;
    supervisor_resume(w->s, w->p, false);
    assert_null(w->p);
    world_close(w);
}

static void test_note_round_trip(void **state)
{
    struct world *w = world_new();
    struct process back = {0};
    uint8_t note[KW_NOTE_MAX];
    size_t len;

    (void)state;
    w->p->counters = (struct lc_counters){.restarts = 70000, .unstable = 15, .backoff_delay = 8614};
    w->p->created_ms = 1700000000123ull;
    w->p->fresh = true;
    w->p->desired = DESIRED_UP;
    w->p->instance = 3;
    w->p->times = (struct schedule_clock){.handled = 1700000060, .next = 1700000120};
    len = process_note_write(w->p, note, sizeof(note));
    assert_in_range(len, 1, KW_NOTE_MAX);
    assert_int_equal(process_note_read(&back, note, len), 0);
    assert_memory_equal(&back.counters, &w->p->counters, sizeof(back.counters));
    assert_int_equal(back.created_ms, w->p->created_ms);
    assert_int_equal(back.instance, 3);
    assert_true(back.fresh);
    assert_int_equal(back.desired, DESIRED_UP);
    assert_int_equal(back.times.handled, 1700000060);
    assert_int_equal(back.times.next, 0); /* to be computed */
    assert_int_equal(process_note_app(note, len), 77);
    note[len] = 1;
    assert_int_equal(process_note_read(&back, note, len + 1), 0); /* of a newer build */
    back.times.handled = 5;
    assert_int_equal(process_note_read(&back, note, len - 8), 0); /* of a build that had no schedules */
    assert_int_equal(back.times.handled, 5);
    assert_int_equal(process_note_read(&back, note, len - 9), 0); /* or no reload */
    assert_int_equal(process_note_role(note, len - 9), ROLE_SLOT);
    assert_int_equal(process_note_read(&back, note, 59), -EBADMSG);
    assert_int_equal(process_note_app(note, 59), 0);
    note[0] = 99;
    assert_int_equal(process_note_read(&back, note, len), -EBADMSG);
    assert_int_equal(process_note_read(&back, note, 0), -EBADMSG);
    assert_int_equal(process_note_write(w->p, note, 10), 0);
    w->p->instance = 0;
    world_close(w);
}

/* What was ended with the daemon is not run again by the next one: a job waits for its time. */
static void test_a_job_waits(void **state)
{
    struct world *w = world_new();
    char words[256];

    (void)state;
    w->spec->schedule = strdup("0 4 * * *");
    w->p->desired = DESIRED_UP;
    w->p->reason = LC_R_SHUTDOWN;
    supervisor_resume(w->s, w->p, false);
    assert_int_equal(w->p->state, LC_STOPPED);
    assert_int_equal(w->p->desired, DESIRED_DOWN);
    assert_int_equal(w->runs, 0);
    supervisor_describe_reason(w->s, w->p, words, sizeof(words));
    assert_string_equal(words, "stopped with the daemon; waits for its schedule");
    w->p->reason = LC_R_NONE;
    supervisor_describe_reason(w->s, w->p, words, sizeof(words));
    assert_string_equal(words, "waits for its schedule");
    world_close(w);
}

static void test_idmap(void **state)
{
    struct idmap m = {0};
    static int values[5000];

    (void)state;
    assert_null(idmap_get(&m, 1));
    idmap_del(&m, 1);
    for (uint64_t i = 0; i < 5000; i++)
        idmap_put(&m, i * 7, &values[i]);
    for (uint64_t i = 0; i < 5000; i += 3)
        idmap_del(&m, i * 7);
    for (uint64_t i = 0; i < 5000; i++)
        assert_ptr_equal(idmap_get(&m, i * 7), i % 3 ? &values[i] : NULL);
    for (uint64_t i = 0; i < 5000; i++)
        idmap_del(&m, i * 7);
    assert_int_equal(m.used, 0);
    idmap_put(&m, 5, &values[0]);
    idmap_put(&m, 5, &values[1]);
    assert_ptr_equal(idmap_get(&m, 5), &values[1]);
    assert_int_equal(m.used, 1);
    idmap_deinit(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_online_goes_on),
        cmocka_unit_test(test_died_with_a_record),
        cmocka_unit_test(test_died_without_a_record),
        cmocka_unit_test(test_died_and_stored),
        cmocka_unit_test(test_launching),
        cmocka_unit_test(test_launching_waits_for_readiness),
        cmocka_unit_test(test_launching_whose_exec_failed),
        cmocka_unit_test(test_launching_that_was_never_forked),
        cmocka_unit_test(test_stopping_before_the_signal),
        cmocka_unit_test(test_stopping_after_the_signal),
        cmocka_unit_test(test_stopping_for_a_restart),
        cmocka_unit_test(test_stopping_with_a_tree),
        cmocka_unit_test(test_stopping_without_a_run),
        cmocka_unit_test(test_waiting),
        cmocka_unit_test(test_waiting_that_is_overdue),
        cmocka_unit_test(test_waiting_with_leftovers),
        cmocka_unit_test(test_at_rest),
        cmocka_unit_test(test_down_is_wanted),
        cmocka_unit_test(test_delete_goes_on),
        cmocka_unit_test(test_note_round_trip),
        cmocka_unit_test(test_a_job_waits),
        cmocka_unit_test(test_idmap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
