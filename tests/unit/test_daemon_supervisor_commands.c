/* Every command in every state, two commands at once, and the kill deadline. */
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
    TAILQ_FOREACH(p, supervisor_processes(w->s), entry)
    assert_int_equal(p->id, want[i++]);
    i = 0;
    TAILQ_FOREACH(p, &w->app->processes, app_entry)
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
    TAILQ_FOREACH(p, supervisor_processes(w->s), entry)
    supervisor_start(w->s, p, NULL, NULL, NULL);
    w->log[0] = '\0';
    TAILQ_FOREACH(p, supervisor_processes(w->s), entry)
    world_up(w, p);
    for (uint64_t run = 1; run <= 1000; run++) {
        world_exit(w, run, 1);
        world_swept(w, run, 0);
        w->log[0] = '\0';
    }
    TAILQ_FOREACH(p, supervisor_processes(w->s), entry)
    {
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
