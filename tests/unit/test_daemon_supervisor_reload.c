/* Reload: a candidate beside the slot, its success and its failures, and what happens meanwhile. */
#include "supervisor_world.h"

static struct process *candidate(struct world *w)
{
    struct process *p = world_shadow(w, ROLE_CANDIDATE);

    assert_non_null(p);
    return p;
}

static struct process *draining(struct world *w)
{
    struct process *p = world_shadow(w, ROLE_DRAINING);

    assert_non_null(p);
    return p;
}

/* A candidate that is up, beside run 1. */
static struct world *begun(void)
{
    struct world *w = world_new();

    world_online(w);
    world_reload(w);
    world_up(w, candidate(w));
    world_expect(w, "spawn(2)");
    return w;
}

static void gone(struct world *w, uint64_t run)
{
    world_exit(w, run, 0);
    world_swept(w, run, 0);
}

static void say_ready(struct world *w)
{
    supervisor_on_ready(w->s, candidate(w)->run);
}

static struct world *begun_with_ready(void)
{
    struct world *w = world_new();

    world_start(w);
    world_up(w, w->p);
    world_advance(w, SETTLE_MS);
    world_answer(w, NULL);
    w->spec->wait_ready = true;
    w->log[0] = '\0';
    world_reload(w);
    world_up(w, candidate(w));
    world_expect(w, "spawn(2)");
    return w;
}

/* The old one listens. */
static struct world *begun_listening(void)
{
    struct world *w = world_new();

    world_online(w);
    w->listening[1] = true;
    world_reload(w);
    world_up(w, candidate(w));
    world_expect(w, "spawn(2)");
    return w;
}

/* min_uptime is no proof for an app that has a check. */
static void test_healthy_takes_over(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    w->spec->health_check.exec = strdup("true");
    world_reload(w);
    world_up(w, candidate(w));
    world_advance(w, 2000);
    world_expect(w, "spawn(2)");
    supervisor_on_healthy(w->s, 2);
    world_expect(w, "replaced(2) terminate(1)");
    gone(w, 1);
    world_answer(w, NULL);
    world_close(w);
}

static void test_unhealthy_does_not_take_over(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    w->spec->health_check.exec = strdup("true");
    world_reload(w);
    world_up(w, candidate(w));
    world_expect(w, "spawn(2)");
    world_advance(w, 3000);
    world_expect(w, "terminate(2)");
    gone(w, 2);
    world_answer(w, "the new process was not healthy within 3 s; the old one goes on");
    world_state(w, LC_ONLINE);
    world_close(w);
}

static void test_lives_for_min_uptime(void **state)
{
    struct world *w = begun();

    (void)state;
    w->spec->kill_timeout = 5000;
    assert_int_equal(w->p->run, 1);
    world_advance(w, 999);
    world_expect(w, "");
    world_advance(w, 1);
    world_expect(w, "replaced(2) terminate(1)");
    assert_int_equal(w->p->run, 2);
    assert_int_equal(w->p->counters.restarts, 1);
    world_state(w, LC_ONLINE);
    assert_int_equal(w->answered, 0); /* the old one still finishes */
    gone(w, 1);
    world_expect(w, "ended(1,reloaded) look(1)");
    world_answer(w, NULL);
    assert_null(world_shadow(w, ROLE_DRAINING));
    assert_int_equal(w->p->last.run, 1);
    world_reason(w, "up for 0 ms; the run before: replaced by a reload: exited with code 0");
    world_close(w);
}

static void test_first_ready(void **state)
{
    struct world *w = begun_with_ready();

    (void)state;
    world_advance(w, 2999);
    world_expect(w, "");
    say_ready(w);
    world_expect(w, "replaced(2) terminate(1)");
    gone(w, 1);
    world_answer(w, NULL);
    world_close(w);
}

static void test_never_ready(void **state)
{
    struct world *w = begun_with_ready();

    (void)state;
    world_advance(w, 3000);
    world_expect(w, "terminate(2)");
    assert_int_equal(w->p->run, 1);
    world_advance(w, 1600);
    world_expect(w, "kill(2)");
    world_signaled(w, 2, SIGKILL);
    world_expect(w, "ended(2,reload-failed)");
    world_swept(w, 2, 0);
    assert_int_equal(w->answers[0].failed_run, 2);
    world_answer(w, "the new process was not ready within 3 s; the old one goes on");
    world_state(w, LC_ONLINE);
    assert_int_equal(w->p->counters.restarts, 0);
    world_close(w);
}

/* It listens, so it has connections: they are finished before it goes. */
static void test_never_ready_but_listens(void **state)
{
    struct world *w = begun_with_ready();

    (void)state;
    w->drains = true;
    w->listening[1] = w->listening[2] = w->alike[2] = true;
    supervisor_on_listening(w->s, 2);
    world_advance(w, 3000);
    world_expect(w, "drain(2)");
    supervisor_on_drained(w->s, 2);
    world_expect(w, "terminate(2)");
    gone(w, 2);
    world_answer(w, "the new process was not ready within 3 s; the old one goes on");
    world_state(w, LC_ONLINE);
    world_close(w);
}

static void test_listens(void **state)
{
    struct world *w = begun_listening();

    (void)state;
    world_advance(w, 2000);
    w->listening[2] = true;
    supervisor_on_listening(w->s, 2); /* on one of the two */
    world_expect(w, "");
    w->alike[2] = true;
    supervisor_on_listening(w->s, 2);
    world_expect(w, "replaced(2) terminate(1)");
    gone(w, 1);
    world_answer(w, NULL);
    world_close(w);
}

static void test_ready_and_listening(void **state)
{
    struct world *w = begun_with_ready();

    (void)state;
    w->listening[1] = true; /* it began to while the candidate was on its way */
    say_ready(w);
    world_expect(w, "");
    w->listening[2] = w->alike[2] = true;
    supervisor_on_listening(w->s, 2);
    world_expect(w, "replaced(2) terminate(1)");
    gone(w, 1);
    world_answer(w, NULL);
    world_close(w);
}

static void test_never_listens(void **state)
{
    struct world *w = begun_listening();

    (void)state;
    world_advance(w, 3000);
    world_expect(w, "terminate(2)");
    gone(w, 2);
    world_answer(w, "the new process was not listening within 3 s; the old one goes on");
    world_close(w);
}

static void test_listens_elsewhere(void **state)
{
    struct world *w = begun_listening();

    (void)state;
    w->listening[2] = true;
    supervisor_on_listening(w->s, 2);
    world_advance(w, 3000);
    gone(w, 2);
    world_answer(w, "the new process did not listen where the old one does within 3 s; the old one goes on");
    world_close(w);
}

/* Not known to listen when the reload began: the new one is given as long as one that is. */
static void test_old_listens_late(void **state)
{
    struct world *w = begun();

    (void)state;
    w->listening[1] = true;
    world_advance(w, 1000);
    world_expect(w, "");
    world_advance(w, 1999);
    world_expect(w, "");
    world_advance(w, 1);
    world_expect(w, "terminate(2)");
    gone(w, 2);
    world_answer(w, "the new process was not listening within 3 s; the old one goes on");
    world_close(w);
}

static void test_candidate_exits(void **state)
{
    struct world *w = begun();

    (void)state;
    world_advance(w, 40);
    world_exit(w, 2, 1);
    world_expect(w, "ended(2,exit) sweep(2)");
    assert_int_equal(w->answered, 0); /* there may be more of its tree */
    world_swept(w, 2, 0);
    assert_int_equal(w->answers[0].failed_run, 2);
    world_answer(w, "the new process exited with code 1 after 40 ms; the old one goes on");
    assert_int_equal(w->p->run, 1);
    assert_false(w->p->last.valid);
    world_reason(w, "up for 140 ms");
    world_close(w);
}

static void test_candidate_cannot_be_spawned(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    w->spawn_rc = -E2BIG;
    world_reload(w);
    world_answer(w, "the new process did not start: cannot find the program /x; the old one goes on");
    w->spawn_rc = 0;
    world_reload(w);
    supervisor_on_child(w->s, 3, 99, 1, w->wall);
    supervisor_on_exec(w->s, 3, KW_STEP_EXEC, ENOENT);
    world_answer(w, "the new process did not start: cannot exec /srv/app: No such file or directory; the old "
                    "one goes on");
    world_close(w);
}

/* The candidate goes on; nothing else is started. */
static void test_old_crashes(void **state)
{
    struct world *w = begun();

    (void)state;
    w->left_nothing = true;
    world_exit(w, 1, 3);
    world_state(w, LC_WAITING);
    world_expect(w, "ended(1,exit)");
    world_advance(w, 999);
    world_expect(w, "");
    world_advance(w, 1);
    world_expect(w, "replaced(2)");
    world_answer(w, NULL);
    world_state(w, LC_ONLINE);
    assert_int_equal(w->p->run, 2);
    assert_null(world_shadow(w, ROLE_DRAINING));
    assert_int_equal(w->p->last.exit_code, 3);
    world_close(w);
}

/* It did listen: so must the new one. */
static void test_old_that_listened_crashes(void **state)
{
    struct world *w = begun_listening();

    (void)state;
    w->left_nothing = true;
    world_signaled(w, 1, SIGSEGV);
    world_advance(w, 2000);
    world_expect(w, "ended(1,signal)");
    w->listening[2] = true;
    supervisor_on_listening(w->s, 2);
    world_expect(w, "replaced(2)");
    world_answer(w, NULL);
    world_close(w);
}

static void test_old_crashes_with_leftovers(void **state)
{
    struct world *w = begun();

    (void)state;
    world_exit(w, 1, 3);
    world_advance(w, 1000);
    world_expect(w, "ended(1,exit) sweep(1) replaced(2)");
    world_swept(w, 1, 2);
    assert_int_equal(w->answered, 0);
    world_advance(w, 600);
    world_expect(w, "look(1) kill_run(1)");
    world_swept(w, 1, 0);
    world_answer(w, NULL);
    world_close(w);
}

static void test_both_crash(void **state)
{
    struct world *w = begun();

    (void)state;
    w->left_nothing = true;
    world_exit(w, 1, 3);
    world_advance(w, 10);
    world_exit(w, 2, 4);
    world_answer(w,
                 "the new process exited with code 4 after 10 ms; the old one has ended meanwhile as well");
    world_expect(w, "ended(1,exit) ended(2,exit)");
    world_advance(w, 1);
    world_expect(w, "spawn(3)");
    world_up(w, w->p);
    world_state(w, LC_ONLINE);
    world_close(w);
}

/* A job that ends by itself is not run again, but the reload asked for a new run. */
static void test_old_finishes(void **state)
{
    struct world *w = begun();

    (void)state;
    w->left_nothing = true;
    w->spec->autorestart = false;
    world_exit(w, 1, 0);
    world_state(w, LC_STOPPED);
    world_advance(w, 1000);
    world_expect(w, "ended(1,exit) replaced(2)");
    world_answer(w, NULL);
    assert_int_equal(w->p->desired, DESIRED_UP);
    world_close(w);
}

static void test_new_one_crashes_after_taking_over(void **state)
{
    struct world *w = begun();

    (void)state;
    w->left_nothing = true;
    world_advance(w, 1000);
    world_exit(w, 2, 7);
    world_expect(w, "replaced(2) terminate(1) ended(2,exit) spawn(3)");
    world_up(w, w->p);
    gone(w, 1);
    world_answer(w, "the new process took over, and then it exited with code 7 after 1 s");
    assert_int_equal(w->p->last.run, 2);
    world_close(w);
}

static void test_second_reload(void **state)
{
    struct world *w = begun();

    (void)state;
    world_reload(w);
    world_answer(w, "it is being reloaded already");
    world_advance(w, 1000);
    supervisor_reload(w->s, w->p, NULL, false, "pm", world_done, w);
    w->asked++;
    world_answer(w,
                 "it was reloaded just now: the process before is still finishing its connections (--force "
                 "does not wait for it)");
    supervisor_reload(w->s, w->p, NULL, true, "pm", world_done, w);
    w->asked++;
    world_up(w, candidate(w));
    world_advance(w, 1000);
    assert_int_equal(w->p->run, 3);
    gone(w, 2);
    assert_int_equal(w->answered, 0);
    gone(w, 1);
    assert_int_equal(w->answered, 2);
    assert_true(w->answers[0].ok && w->answers[1].ok);
    w->asked -= 2;
    w->answered = 0;
    world_close(w);
}

static void test_stop_meanwhile(void **state)
{
    struct world *w = begun();

    (void)state;
    world_stop(w);
    world_expect(w, "terminate(2) terminate(1)");
    world_answer(w, "overtaken by: stop (pm stop)");
    gone(w, 1);
    world_state(w, LC_STOPPED);
    assert_int_equal(w->answered, 0);
    gone(w, 2);
    world_answer(w, NULL);
    world_expect(w, "ended(1,stopped) look(1) ended(2,stopped) look(2)");
    world_close(w);
}

/* The candidate's child is not there yet. */
static void test_stop_before_the_child(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_online(w);
    world_reload(w);
    world_stop(w);
    world_answer(w, "overtaken by: stop (pm stop)");
    gone(w, 1);
    world_child(w, candidate(w));
    world_expect(w, "spawn(2) terminate(1) ended(1,stopped) look(1) terminate(2)");
    gone(w, 2);
    world_answer(w, NULL);
    world_close(w);
}

static void test_delete_in_both_phases(void **state)
{
    (void)state;
    for (int phase = 0; phase < 2; phase++) {
        struct world *w = begun();

        if (phase == 1) {
            world_advance(w, 1000);
            world_expect(w, "replaced(2) terminate(1)");
        }
        world_delete(w);
        world_answer(w, "overtaken by: delete (pm delete)");
        gone(w, 2);
        assert_int_equal(w->deleted, 0);
        gone(w, 1);
        assert_int_equal(w->deleted, 1);
        assert_string_equal(w->answers[0].status, "deleted");
        world_answer(w, NULL);
        world_close(w);
    }
}

static void test_restart_meanwhile(void **state)
{
    struct world *w = begun();

    (void)state;
    world_restart(w);
    world_answer(w, "overtaken by: restart (pm restart)");
    world_expect(w, "terminate(2) terminate(1)");
    gone(w, 1);
    world_expect(w, "ended(1,restarted) look(1) spawn(3)");
    world_up(w, w->p);
    world_advance(w, SETTLE_MS);
    world_answer(w, NULL);
    supervisor_reload(w->s, w->p, NULL, false, "pm", world_done, w);
    w->asked++;
    world_answer(w, "the new process of the last reload is still being stopped");
    gone(w, 2);
    world_close(w);
}

static void test_shutdown_in_both_phases(void **state)
{
    (void)state;
    for (int phase = 0; phase < 2; phase++) {
        struct world *w = begun();

        w->drains = true;
        if (phase == 1)
            world_advance(w, 1000);
        world_expect(w, phase ? "replaced(2) drain(1)" : "");
        w->asked++;
        supervisor_stop(w->s, w->p, LC_R_SHUTDOWN, "signal", world_done, w);
        /* What was only asked to finish gets the signal now. */
        world_expect(w, phase ? "terminate(1) terminate(2)" : "terminate(2) terminate(1)");
        world_answer(w, "overtaken by: stop (signal)");
        gone(w, 2);
        gone(w, 1);
        world_answer(w, NULL);
        assert_int_equal(w->p->desired, DESIRED_UP);
        world_close(w);
    }
}

static void test_start_of_a_crashed_slot(void **state)
{
    struct world *w = begun();

    (void)state;
    w->left_nothing = true;
    world_exit(w, 1, 3);
    world_start(w);
    world_answer(w, "overtaken by: start (pm start)");
    world_expect(w, "ended(1,exit) terminate(2) spawn(3)");
    world_up(w, w->p);
    world_advance(w, SETTLE_MS);
    world_answer(w, NULL);
    gone(w, 2);
    world_close(w);
}

static void test_reload_of_what_is_down(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_reload(w);
    world_expect(w, "spawn(1)");
    world_up(w, w->p);
    world_advance(w, SETTLE_MS);
    world_answer(w, NULL);
    world_close(w);
}

static void test_drained(void **state)
{
    struct world *w = begun();

    (void)state;
    w->drains = true;
    world_advance(w, 1000);
    world_expect(w, "replaced(2) drain(1)");
    world_reason(w, "up for 0 ms; the process before (pid 1001) is finishing its connections");
    supervisor_on_drained(w->s, 1);
    world_expect(w, "terminate(1)");
    supervisor_on_drained(w->s, 1);
    world_advance(w, 1600);
    world_expect(w, "kill(1)");
    world_signaled(w, 1, SIGKILL);
    world_swept(w, 1, 0);
    world_answer(w, NULL);
    world_close(w);
}

static void test_drain_takes_too_long(void **state)
{
    struct world *w = begun();

    (void)state;
    w->drains = true;
    world_advance(w, 1000);
    world_advance(w, 1599);
    world_expect(w, "replaced(2) drain(1)");
    world_advance(w, 1);
    world_expect(w, "terminate(1)");
    world_advance(w, 1600);
    world_expect(w, "kill(1)");
    world_signaled(w, 1, SIGKILL);
    world_swept(w, 1, 0);
    world_answer(w, NULL);
    world_close(w);
}

static void test_retire(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->drains = true;
    world_online(w);
    w->asked++;
    supervisor_retire(w->s, w->p, "pm scale", world_done, w);
    world_expect(w, "drain(1)");
    gone(w, 1);
    world_answer(w, NULL);
    assert_int_equal(w->deleted, 1);
    world_close(w);
}

/* A delete does not wait as patiently as a retirement that is under way. */
static void test_delete_hurries_a_retirement(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->drains = true;
    world_online(w);
    w->asked++;
    supervisor_retire(w->s, w->p, "pm scale", world_done, w);
    world_delete(w);
    world_expect(w, "drain(1) terminate(1)");
    gone(w, 1);
    assert_int_equal(w->answered, 2);
    w->answered = 0;
    w->asked = 0;
    world_close(w);
}

static void test_new_configuration(void **state)
{
    struct world *w = world_new();
    struct app_spec *spec = world_spec("api");

    (void)state;
    world_online(w);
    spec->min_uptime = 50;
    w->asked++;
    supervisor_reload(w->s, w->p, spec, false, "pm reload", world_done, w);
    assert_ptr_equal(candidate(w)->app->spec, spec);
    assert_int_equal(w->app->spec->min_uptime, 1000); /* a crash of the old one would use that */
    world_up(w, candidate(w));
    world_advance(w, 50);
    assert_ptr_equal(w->app->spec, spec);
    assert_ptr_equal(w->p->app, w->app);
    gone(w, 1);
    world_answer(w, NULL);

    spec = world_spec("api");
    spec->max_restarts = 99;
    w->asked++;
    supervisor_reload(w->s, w->p, spec, false, "pm reload", world_done, w);
    w->left_nothing = true;
    world_up(w, candidate(w));
    world_exit(w, 3, 1);
    world_answer(w, "the new process exited with code 1 after 0 ms; the old one goes on");
    assert_int_equal(w->app->spec->max_restarts, 16);

    spec = world_spec("api"); /* refused: it is freed */
    supervisor_delete(w->s, w->p, NULL, NULL, NULL);
    w->asked++;
    supervisor_reload(w->s, w->p, spec, false, "pm reload", world_done, w);
    world_answer(w, "it is being deleted");
    world_close(w);
}

static void test_old_cannot_be_killed(void **state)
{
    struct world *w = begun();

    (void)state;
    world_advance(w, 1000 + 1600);
    world_expect(w, "replaced(2) terminate(1) kill(1)");
    for (int i = 0; i < 120 && !w->answered; i++) {
        world_swept(w, 1, 1);
        world_advance(w, 100);
    }
    world_answer(w,
                 "cannot be killed: 1 process still alive 10 s after SIGKILL (uninterruptible?); pid 1001");
    gone(w, 1);
    world_close(w);
}

/* --- a new engine --- */

/* The note of this process as the keeper has it; its run goes on. */
struct left {
    uint8_t note[KW_NOTE_MAX];
    size_t len;
    uint64_t run;
};

static struct left left_by(const struct process *p)
{
    struct left l = {.run = p->run};

    l.len = process_note_write(p, l.note, sizeof(l.note));
    return l;
}

static void fill(struct world *w, struct process *p, uint64_t run)
{
    p->run = run;
    p->pid = (pid_t)(1000 + run);
    p->start_ticks = run * 10;
    p->started_ms = w->wall - 60000;
}

/* What world_close counts on. */
static struct world *next_engine(struct world *old)
{
    struct world *w = world_new();

    w->runs = 50;
    w->wall = old->wall;
    return w;
}

static struct process *put_back(struct world *w, const struct left *l, enum process_role role)
{
    struct process *p = supervisor_add_shadow(w->s, w->p, role, l->note, l->len, NULL);

    assert_non_null(p);
    fill(w, p, l->run);
    return p;
}

static void slot_back(struct world *w, const struct left *l)
{
    assert_int_equal(process_note_role(l->note, l->len), ROLE_SLOT);
    process_note_read(w->p, l->note, l->len);
    fill(w, w->p, l->run);
    supervisor_resume(w->s, w->p, true);
}

/* The old world's processes end, so that it can be closed. */
static void forget(struct world *w)
{
    w->answered = w->asked = 0;
    world_close(w);
}

static void test_engine_dies_while_a_candidate_starts(void **state)
{
    (void)state;
    for (int dead = 0; dead < 2; dead++) {
        struct world *old = begun_with_ready(), *w = next_engine(old);
        struct left slot = left_by(old->p), c = left_by(candidate(old));
        struct process *p;

        w->spec->wait_ready = true;
        assert_int_equal(process_note_role(c.note, c.len), ROLE_CANDIDATE);
        p = put_back(w, &c, ROLE_CANDIDATE);
        slot_back(w, &slot);
        w->wall += 1000; /* the engine took so long to come back */
        supervisor_resume(w->s, p, true);
        world_expect(w, "");
        world_advance(w, 1999);
        world_expect(w, "");
        if (dead) {
            world_advance(w, 1); /* the deadline is by the wall clock */
            world_expect(w, "terminate(2)");
            gone(w, 2);
            assert_int_equal(w->p->run, 1);
        } else {
            say_ready(w);
            world_expect(w, "replaced(2) terminate(1)");
            assert_int_equal(w->p->run, 2);
        }
        forget(old);
        world_close(w);
    }
}

/* Its "ready" was heard by the last engine; that it listens is to be heard by this one. */
static void test_engine_dies_between_ready_and_listening(void **state)
{
    struct world *old = begun_with_ready(), *w;
    struct left slot, c;
    struct process *p;

    (void)state;
    old->listening[1] = true;
    say_ready(old);
    slot = left_by(old->p);
    c = left_by(candidate(old));
    w = next_engine(old);
    w->spec->wait_ready = true;
    p = put_back(w, &c, ROLE_CANDIDATE);
    assert_true(p->said_ready && p->must_listen);
    slot_back(w, &slot);
    supervisor_resume(w->s, p, true);
    world_expect(w, "");
    w->listening[2] = true;
    supervisor_on_listening(w->s, 2);
    world_expect(w, "replaced(2) terminate(1)");
    forget(old);
    world_close(w);
}

static void test_old_died_with_the_engine(void **state)
{
    struct world *old = begun(), *w = next_engine(old);
    struct left slot = left_by(old->p), c = left_by(candidate(old));
    struct process *p;

    (void)state;
    w->left_nothing = true;
    p = put_back(w, &c, ROLE_CANDIDATE);
    slot_back(w, &slot);
    world_exit(w, 1, 3);
    world_expect(w, "ended(1,exit)");
    supervisor_resume(w->s, p, true);
    world_advance(w, 1000);
    world_expect(w, "replaced(2)");
    forget(old);
    world_close(w);
}

static void test_candidate_died_with_the_engine(void **state)
{
    struct world *old = begun(), *w = next_engine(old);
    struct left slot = left_by(old->p), c = left_by(candidate(old));
    struct process *p;

    (void)state;
    w->left_nothing = true;
    p = put_back(w, &c, ROLE_CANDIDATE);
    slot_back(w, &slot);
    supervisor_resume(w->s, p, true);
    world_exit(w, 2, 3);
    world_expect(w, "ended(2,exit)");
    assert_null(world_shadow(w, ROLE_CANDIDATE));
    world_state(w, LC_ONLINE);
    forget(old);
    world_close(w);
}

/* A candidate that was being removed, beside a slot that waits for its respawn. */
static void test_engine_dies_while_a_candidate_is_removed(void **state)
{
    struct world *old = begun_with_ready(), *w;
    struct left slot, c;
    struct process *p;

    (void)state;
    world_advance(old, 3000);
    slot = left_by(old->p);
    c = left_by(candidate(old));
    w = next_engine(old);
    w->left_nothing = true;
    p = put_back(w, &c, ROLE_CANDIDATE);
    assert_null(proc_of(w->p)->candidate);
    slot_back(w, &slot);
    world_exit(w, 1, 3);
    world_expect(w, "ended(1,exit) spawn(51)");
    supervisor_resume(w->s, p, true);
    world_expect(w, "");
    gone(w, 2);
    assert_null(world_shadow(w, ROLE_CANDIDATE));
    forget(old);
    world_close(w);
}

static void test_engine_dies_while_the_old_one_drains(void **state)
{
    (void)state;
    for (int drains = 0; drains < 2; drains++) {
        struct world *old = begun(), *w;
        struct left slot, d;
        struct process *p;

        old->drains = drains;
        world_advance(old, 1000);
        slot = left_by(old->p);
        d = left_by(draining(old));
        assert_int_equal(process_note_role(d.note, d.len), ROLE_DRAINING);
        w = next_engine(old);
        p = put_back(w, &d, ROLE_DRAINING);
        slot_back(w, &slot);
        supervisor_resume(w->s, p, true);
        world_expect(w, "");
        world_advance(w, 1600);
        world_expect(w, drains ? "terminate(1)" : "kill(1)");
        gone(w, 1);
        assert_int_equal(w->p->last.run, 1);
        assert_int_equal(w->p->last.reason, LC_R_RELOADED);
        assert_int_equal(w->p->counters.restarts, 1);
        forget(old);
        world_close(w);
    }
}

/* The new one's note was the last that the engine sent. */
static void test_engine_dies_before_the_old_one_is_told(void **state)
{
    struct world *old = begun(), *w;
    struct left slot, d = left_by(old->p);
    struct process *p;

    (void)state;
    world_advance(old, 1000);
    slot = left_by(old->p);
    w = next_engine(old);
    p = put_back(w, &d, ROLE_DRAINING);
    slot_back(w, &slot);
    assert_int_equal(w->p->run, 2);
    supervisor_resume(w->s, p, true);
    world_expect(w, "terminate(1)");
    gone(w, 1);
    world_expect(w, "ended(1,reloaded) look(1)");
    forget(old);
    world_close(w);
}

static void test_engine_dies_after_a_crash_of_the_old_one(void **state)
{
    struct world *old = begun(), *w;
    struct left c;
    struct process *p;

    (void)state;
    old->left_nothing = true;
    world_exit(old, 1, 3);
    c = left_by(candidate(old));
    w = next_engine(old);
    w->p->state = LC_WAITING; /* as state.db has it */
    w->p->desired = DESIRED_UP;
    w->p->last = old->p->last;
    p = put_back(w, &c, ROLE_CANDIDATE);
    supervisor_resume(w->s, w->p, false);
    supervisor_resume(w->s, p, true);
    world_expect(w, "sweep(1)");
    world_swept(w, 1, 0);
    world_expect(w, "");
    world_advance(w, 1000);
    world_expect(w, "replaced(2)");
    forget(old);
    world_close(w);
}

static void test_damaged_note(void **state)
{
    struct world *w = world_new();
    uint8_t note[4] = {9};

    (void)state;
    assert_null(supervisor_add_shadow(w->s, w->p, ROLE_CANDIDATE, note, sizeof(note), world_spec("x")));
    world_close(w);
}

static void test_lists_keep_their_order(void **state)
{
    struct world *w = world_new();
    struct process *b = supervisor_add_process(w->s, w->app, 1, -1),
                   *c = supervisor_add_process(w->s, w->app, 2, -1), *p;
    uint32_t id = 0;

    (void)state;
    for (p = w->p; p; p = TAILQ_NEXT(p, entry)) {
        supervisor_start(w->s, p, "pm", NULL, NULL);
        world_up(w, p);
    }
    w->drains = true;
    supervisor_reload(w->s, b, NULL, false, "pm", NULL, NULL);
    world_up(w, candidate(w));
    world_advance(w, 1000);
    assert_int_equal(w->replaced, 1);
    TAILQ_FOREACH (p, supervisor_processes(w->s), entry)
        assert_int_equal(p->id, id++);
    assert_int_equal(id, 3);
    id = 0;
    TAILQ_FOREACH (p, &w->app->processes, app_entry)
        assert_int_equal(p->instance, id++);
    assert_int_equal(id, 3);
    assert_int_equal(c->run, 3);
    assert_int_equal(supervisor_by_id(w->s, 1)->run, 4);
    assert_int_equal(draining(w)->run, 2);
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_healthy_takes_over),
        cmocka_unit_test(test_unhealthy_does_not_take_over),
        cmocka_unit_test(test_lives_for_min_uptime),
        cmocka_unit_test(test_first_ready),
        cmocka_unit_test(test_never_ready),
        cmocka_unit_test(test_never_ready_but_listens),
        cmocka_unit_test(test_listens),
        cmocka_unit_test(test_ready_and_listening),
        cmocka_unit_test(test_never_listens),
        cmocka_unit_test(test_listens_elsewhere),
        cmocka_unit_test(test_old_listens_late),
        cmocka_unit_test(test_candidate_exits),
        cmocka_unit_test(test_candidate_cannot_be_spawned),
        cmocka_unit_test(test_old_crashes),
        cmocka_unit_test(test_old_that_listened_crashes),
        cmocka_unit_test(test_old_crashes_with_leftovers),
        cmocka_unit_test(test_both_crash),
        cmocka_unit_test(test_old_finishes),
        cmocka_unit_test(test_new_one_crashes_after_taking_over),
        cmocka_unit_test(test_second_reload),
        cmocka_unit_test(test_stop_meanwhile),
        cmocka_unit_test(test_stop_before_the_child),
        cmocka_unit_test(test_delete_in_both_phases),
        cmocka_unit_test(test_restart_meanwhile),
        cmocka_unit_test(test_shutdown_in_both_phases),
        cmocka_unit_test(test_start_of_a_crashed_slot),
        cmocka_unit_test(test_reload_of_what_is_down),
        cmocka_unit_test(test_drained),
        cmocka_unit_test(test_drain_takes_too_long),
        cmocka_unit_test(test_retire),
        cmocka_unit_test(test_delete_hurries_a_retirement),
        cmocka_unit_test(test_new_configuration),
        cmocka_unit_test(test_old_cannot_be_killed),
        cmocka_unit_test(test_engine_dies_while_a_candidate_starts),
        cmocka_unit_test(test_engine_dies_between_ready_and_listening),
        cmocka_unit_test(test_old_died_with_the_engine),
        cmocka_unit_test(test_candidate_died_with_the_engine),
        cmocka_unit_test(test_engine_dies_while_a_candidate_is_removed),
        cmocka_unit_test(test_engine_dies_while_the_old_one_drains),
        cmocka_unit_test(test_engine_dies_before_the_old_one_is_told),
        cmocka_unit_test(test_engine_dies_after_a_crash_of_the_old_one),
        cmocka_unit_test(test_damaged_note),
        cmocka_unit_test(test_lists_keep_their_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
