/* Two commands at once, delete, the end of the daemon, commands from callbacks, many processes. */
#include "supervisor_world.h"

/* --- two at once --- */

static void test_restart_while_stopping(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    world_stop(w);
    world_restart(w);
    world_answer(w, "overtaken by: restart (pm restart)");
    w->asked++;
    assert_int_equal(w->p->desired, DESIRED_UP);
    world_signaled(w, 1, SIGINT);
    world_swept(w, 1, 0);
    world_state(w, LC_LAUNCHING);
    world_expect(w, "terminate(1) ended(1,restarted) look(1) spawn(2)");
    world_up(w, w->p);
    world_advance(w, 100);
    world_answer(w, NULL);
    w->asked = 0;
    world_close(w);
}

static void test_start_while_stopping(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    supervisor_stop(w->s, w->p, LC_R_STOPPED, NULL, NULL, NULL);
    world_start(w);
    world_signaled(w, 1, SIGINT);
    world_swept(w, 1, 0);
    world_up(w, w->p);
    world_advance(w, 100);
    world_answer(w, NULL);
    assert_true(w->p->fresh);
    world_close(w);
}

static void test_stop_while_restarting(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    world_restart(w);
    world_stop(w);
    world_answer(w, "overtaken by: stop (pm stop)");
    w->asked++;
    world_signaled(w, 1, SIGINT);
    world_swept(w, 1, 0);
    world_answer(w, NULL);
    w->asked = 0;
    world_state(w, LC_STOPPED);
    world_expect(w, "terminate(1) ended(1,stopped) look(1)");
    world_close(w);
}

static void test_two_restarts(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    world_restart(w);
    world_restart(w);
    world_signaled(w, 1, SIGINT);
    world_swept(w, 1, 0);
    world_up(w, w->p);
    world_advance(w, 100);
    assert_int_equal(w->answered, 2);
    assert_true(w->answers[0].ok && w->answers[1].ok);
    world_expect(w, "terminate(1) ended(1,restarted) look(1) spawn(2)");
    assert_int_equal(w->p->counters.restarts, 1);
    world_close(w);
}

static void test_stop_and_readiness_timeout(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->spec->wait_ready = true;
    world_start(w);
    world_up(w, w->p);
    world_advance(w, 3000);
    world_answer(w, "not ready within 3 s");
    world_stop(w); /* while the failed run is being stopped */
    world_signaled(w, 1, SIGINT);
    world_swept(w, 1, 0);
    world_answer(w, NULL);
    world_state(w, LC_STOPPED);
    world_close(w);
}

/* --- delete --- */

static void test_delete_in_each_state(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_delete(w); /* stopped */
    assert_null(w->p);
    assert_string_equal(w->answers[0].status, "deleted");
    assert_string_equal(w->answers[0].name, "api");
    world_answer(w, NULL);
    assert_true(TAILQ_EMPTY(supervisor_apps(w->s))); /* with its last process */

    w->app = supervisor_add_app(w->s, 78, world_spec("two"));
    w->p = supervisor_add_process(w->s, w->app, 0, -1);
    assert_int_equal(w->p->id, 0);
    world_online(w);
    world_delete(w);
    world_state(w, LC_STOPPING);
    world_reason(w, "stopping, to be deleted (pm delete); SIGKILL in 1.6 s");
    world_start(w); /* too late */
    world_answer(w, "it is being deleted");
    w->asked++;
    world_stop(w);
    world_restart(w);
    world_answer(w, "it is being deleted");
    w->asked += 1;
    world_exit(w, 1, 0);
    world_swept(w, 1, 0);
    assert_int_equal(w->answered, 2); /* the stop and the delete */
    assert_true(w->answers[0].ok && w->answers[1].ok);
    w->asked = w->answered = 0;
    assert_null(w->p);
    assert_int_equal(w->deleted, 2);
    world_close(w);
}

static void test_delete_launching_waiting_errored(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_start(w);
    world_delete(w);
    world_answer(w, "overtaken by: delete (pm delete)");
    w->asked++;
    world_child(w, w->p);
    world_exit(w, 1, 0);
    world_swept(w, 1, 0);
    world_answer(w, NULL);
    w->asked = 0;
    assert_null(w->p);

    w->app = supervisor_add_app(w->s, 78, world_spec("two"));
    w->app->spec->restart_delay = 9000;
    w->p = supervisor_add_process(w->s, w->app, 0, -1);
    world_online(w);
    world_exit(w, 2, 1);
    world_swept(w, 2, 1); /* and something is left */
    world_delete(w);
    assert_non_null(w->p);
    world_swept(w, 2, 0);
    world_answer(w, NULL);
    assert_null(w->p);

    w->app = supervisor_add_app(w->s, 79, world_spec("three"));
    w->app->spec->max_restarts = 0;
    w->p = supervisor_add_process(w->s, w->app, 0, -1);
    world_online(w);
    world_exit(w, 3, 1);
    world_swept(w, 3, 0);
    world_state(w, LC_ERRORED);
    world_delete(w);
    world_answer(w, NULL);
    assert_null(w->p);
    world_close(w);
}

static void test_delete_twice(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    world_delete(w);
    world_delete(w);
    world_exit(w, 1, 0);
    world_swept(w, 1, 0);
    assert_int_equal(w->answered, 2);
    w->asked = w->answered = 0;
    assert_int_equal(w->deleted, 1);
    world_close(w);
}

/* --- the end of the daemon --- */

static void test_shutdown_keeps_what_is_desired(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    w->asked++;
    supervisor_stop(w->s, w->p, LC_R_SHUTDOWN, NULL, world_done, w);
    world_exit(w, 1, 0);
    world_swept(w, 1, 0);
    world_answer(w, NULL);
    world_state(w, LC_STOPPED);
    assert_int_equal(w->p->desired, DESIRED_UP);
    assert_int_equal(w->p->reason, LC_R_SHUTDOWN);
    world_expect(w, "terminate(1) ended(1,shutdown) look(1)");
    supervisor_resume(w->s, w->p, false); /* the next daemon */
    world_expect(w, "spawn(2)");
    world_close(w);
}

/* --- many --- */

static void restart_from_callback(void *arg, const struct waiter_result *r)
{
    struct world *w = arg;

    assert_true(r->ok);
    supervisor_restart(w->s, supervisor_by_id(w->s, r->id), "cb", world_done, w);
}

static void delete_from_callback(void *arg, const struct waiter_result *r)
{
    struct world *w = arg;

    (void)r;
    if (w->p)
        supervisor_delete(w->s, w->p, "cb", world_done, w);
}

static void test_commands_from_callbacks(void **state)
{
    struct world *w = world_new();

    (void)state;
    supervisor_start(w->s, w->p, NULL, restart_from_callback, w);
    world_up(w, w->p);
    world_advance(w, 100);
    world_state(w, LC_STOPPING);
    world_exit(w, 1, 0);
    world_swept(w, 1, 0);
    world_up(w, w->p);
    world_advance(w, 100);
    assert_int_equal(w->answered, 1);
    supervisor_stop(w->s, w->p, LC_R_STOPPED, NULL, delete_from_callback, w);
    world_exit(w, 2, 0);
    world_swept(w, 2, 0);
    assert_null(w->p);
    assert_int_equal(w->answered, 2);
    w->asked = w->answered = 0;
    world_close(w);
}

static void test_ids(void **state)
{
    struct world *w = world_new();
    struct process *one = supervisor_add_process(w->s, w->app, 1, -1);
    struct process *far = supervisor_add_process(w->s, w->app, 2, 40);
    struct process *mid = supervisor_add_process(w->s, w->app, 3, 7);
    uint32_t want[] = {0, 1, 7, 40, 41, 42};
    struct process *p;
    unsigned i = 0;

    (void)state;
    assert_int_equal(one->id, 1);
    assert_int_equal(mid->id, 7);
    assert_int_equal(supervisor_add_process(w->s, w->app, 4, -1)->id, 41);
    assert_int_equal(supervisor_add_process(w->s, w->app, 5, 7)->id, 42); /* 7 is taken */
    TAILQ_FOREACH (p, supervisor_processes(w->s), entry)
        assert_int_equal(p->id, want[i++]);
    i = 0;
    TAILQ_FOREACH (p, &w->app->processes, app_entry)
        assert_int_equal(p->instance, i++);
    assert_ptr_equal(supervisor_by_id(w->s, 40), far);
    supervisor_delete(w->s, supervisor_by_id(w->s, 42), NULL, NULL, NULL);
    assert_null(supervisor_by_id(w->s, 42));
    assert_int_equal(supervisor_add_process(w->s, w->app, 6, -1)->id, 43); /* freed ids do not come back */
    while ((p = TAILQ_FIRST(supervisor_processes(w->s))))
        supervisor_delete(w->s, p, NULL, NULL, NULL);
    w->app = supervisor_add_app(w->s, 78, world_spec("two"));
    w->p = supervisor_add_process(w->s, w->app, 0, -1);
    assert_int_equal(w->p->id, 0); /* the list was empty */
    world_close(w);
}

static void test_a_thousand(void **state)
{
    struct world *w = world_new();
    struct process *p;

    (void)state;
    for (uint32_t i = 1; i < 1000; i++)
        supervisor_add_process(w->s, w->app, i, -1);
    TAILQ_FOREACH (p, supervisor_processes(w->s), entry)
        supervisor_start(w->s, p, NULL, NULL, NULL);
    w->log[0] = '\0';
    TAILQ_FOREACH (p, supervisor_processes(w->s), entry)
        world_up(w, p);
    for (uint64_t run = 1; run <= 1000; run++) {
        world_exit(w, run, 1);
        world_swept(w, run, 0);
        w->log[0] = '\0';
    }
    TAILQ_FOREACH (p, supervisor_processes(w->s), entry) {
        assert_int_equal(p->state, LC_LAUNCHING);
        assert_ptr_equal(supervisor_by_run(w->s, p->run), p);
    }
    world_close(w);
}

static void test_free_with_everything_under_way(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    world_exit(w, 1, 1);
    world_swept(w, 1, 1);
    world_advance(w, LEFTOVER_GRACE_MS);
    world_up(w, w->p);
    world_stop(w);
    supervisor_free(w->s);
    assert_int_equal(w->n_timers, 0);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart_while_stopping),
        cmocka_unit_test(test_start_while_stopping),
        cmocka_unit_test(test_stop_while_restarting),
        cmocka_unit_test(test_two_restarts),
        cmocka_unit_test(test_stop_and_readiness_timeout),
        cmocka_unit_test(test_delete_in_each_state),
        cmocka_unit_test(test_delete_launching_waiting_errored),
        cmocka_unit_test(test_delete_twice),
        cmocka_unit_test(test_shutdown_keeps_what_is_desired),
        cmocka_unit_test(test_commands_from_callbacks),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_a_thousand),
        cmocka_unit_test(test_free_with_everything_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
