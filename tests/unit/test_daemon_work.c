/* A command on several processes: how many at a time, in which order, and who comes in between. */
#include "supervisor_world.h"

#include "common/mem.h"
#include "daemon/work.h"

#define N 5

struct job {
    struct world *w;
    struct process *p[N];
    char order[256]; /* "0 1! ": ids in the order of their reports, ! for a failure */
    char error[256]; /* the last one */
    unsigned done;
    bool halted;
};

static void on_report(void *arg, const struct waiter_result *r)
{
    struct job *j = arg;
    size_t len = strlen(j->order);

    snprintf(j->order + len, sizeof(j->order) - len, "%u%s ", r->id, r->ok ? "" : "!");
    if (!r->ok)
        snprintf(j->error, sizeof(j->error), "%s", r->error);
}

static void on_done(void *arg)
{
    ((struct job *)arg)->done++;
}

static bool is_halted(void *arg)
{
    return ((struct job *)arg)->halted;
}

static void bring_up(struct job *j, unsigned i)
{
    world_up(j->w, j->p[i]);
    world_advance(j->w, SETTLE_MS);
}

/* `n` processes with runs 1 to n, online. */
static void job_init(struct job *j, unsigned n)
{
    *j = (struct job){.w = world_new()};
    j->p[0] = j->w->p;
    for (unsigned i = 1; i < n; i++)
        j->p[i] = supervisor_add_process(j->w->s, j->w->app, i, -1);
    for (unsigned i = 0; i < n; i++) {
        supervisor_start(j->w->s, j->p[i], "pm start", NULL, NULL);
        bring_up(j, i);
    }
    j->w->log[0] = '\0';
}

static void go(struct job *j, unsigned n, enum work_kind kind, unsigned parallel)
{
    const struct work_client client = {j, on_report, on_done, is_halted};
    struct work *w = work_new(j->w->s, "pm test", &client);

    /* The last one first: the order is that of the ids all the same. */
    for (unsigned i = n; i-- > 0;)
        work_add(w, j->p[i], kind);
    assert_int_equal(work_size(w), n);
    work_go(w, parallel);
}

static void end(struct job *j, uint64_t run)
{
    world_exit(j->w, run, 0);
    world_swept(j->w, run, 0);
}

static void expect(struct job *j, const char *calls, const char *order)
{
    world_expect(j->w, calls);
    assert_string_equal(j->order, order);
}

static void test_two_at_a_time(void **state)
{
    struct job j;

    (void)state;
    job_init(&j, 4);
    go(&j, 4, WORK_RESTART, 0);
    expect(&j, "terminate(1) terminate(2)", "");
    end(&j, 2);
    expect(&j, "ended(2,restarted) look(2) spawn(5)", "");
    bring_up(&j, 1); /* the second is up again first: only now the third goes */
    expect(&j, "terminate(3)", "1 ");
    end(&j, 1);
    bring_up(&j, 0);
    expect(&j, "ended(1,restarted) look(1) spawn(6) terminate(4)", "1 0 ");
    end(&j, 3);
    end(&j, 4);
    bring_up(&j, 2);
    assert_int_equal(j.done, 0);
    bring_up(&j, 3);
    assert_string_equal(j.order, "1 0 2 3 ");
    assert_int_equal(j.done, 1);
    world_close(j.w);
}

static void test_one_of_two(void **state)
{
    struct job j;

    (void)state;
    job_init(&j, 2);
    go(&j, 2, WORK_STOP, 0);
    expect(&j, "terminate(1)", "");
    end(&j, 1);
    expect(&j, "ended(1,stopped) look(1) terminate(2)", "0 ");
    end(&j, 2);
    assert_string_equal(j.order, "0 1 ");
    world_close(j.w);
}

static void test_a_given_number(void **state)
{
    struct job j;

    (void)state;
    job_init(&j, 4);
    go(&j, 4, WORK_STOP, 3);
    expect(&j, "terminate(1) terminate(2) terminate(3)", "");
    for (uint64_t run = 1; run <= 4; run++)
        end(&j, run);
    assert_string_equal(j.order, "0 1 2 3 ");
    assert_int_equal(j.done, 1);
    world_close(j.w);
}

static void test_delete_takes_ten(void **state)
{
    struct job j;

    (void)state;
    job_init(&j, 5);
    go(&j, 5, WORK_DELETE, 0);
    expect(&j, "terminate(1) terminate(2) terminate(3) terminate(4) terminate(5)", "");
    for (uint64_t run = 5; run >= 1; run--)
        end(&j, run);
    assert_string_equal(j.order, "4 3 2 1 0 ");
    assert_int_equal(j.w->deleted, 5);
    assert_int_equal(j.done, 1);
    world_close(j.w);
}

/* What is down takes nothing down: it does not wait for its turn, unless the number was given. */
static void test_what_is_down_begins_at_once(void **state)
{
    struct job j;

    (void)state;
    job_init(&j, 5);
    for (unsigned i = 3; i < 5; i++) {
        supervisor_stop(j.w->s, j.p[i], LC_R_STOPPED, "pm stop", NULL, NULL);
        end(&j, i + 1);
    }
    j.w->log[0] = '\0';
    go(&j, 5, WORK_RESTART, 0);
    expect(&j, "spawn(6) spawn(7) terminate(1) terminate(2)", "");
    bring_up(&j, 3);
    bring_up(&j, 4);
    expect(&j, "", "3 4 "); /* they do not make room either */
    for (unsigned i = 0; i < 3; i++) {
        end(&j, i + 1);
        bring_up(&j, i);
    }
    assert_int_equal(j.done, 1);
    world_close(j.w);
}

static void test_starts_are_all_at_once(void **state)
{
    struct job j = {.w = world_new()};

    (void)state;
    j.p[0] = j.w->p;
    for (unsigned i = 1; i < N; i++)
        j.p[i] = supervisor_add_process(j.w->s, j.w->app, i, -1);
    go(&j, N, WORK_START, 0);
    expect(&j, "spawn(1) spawn(2) spawn(3) spawn(4) spawn(5)", "");
    for (unsigned i = 0; i < N; i++)
        bring_up(&j, i);
    assert_int_equal(j.done, 1);
    world_close(j.w);
}

/* Some begin before the last is added; those that wait are in order all the same, and none begins twice. */
static void test_begun_bit_by_bit(void **state)
{
    static const unsigned order[] = {4, 2, 3, 0, 1};
    struct job j;
    const struct work_client client = {&j, on_report, on_done, is_halted};
    struct work *w;

    (void)state;
    job_init(&j, 5);
    for (unsigned i = 3; i < 5; i++) {
        supervisor_stop(j.w->s, j.p[i], LC_R_STOPPED, "pm stop", NULL, NULL);
        end(&j, i + 1);
    }
    j.w->log[0] = '\0';
    w = work_new(j.w->s, "pm test", &client);
    for (unsigned i = 0; i < 5; i++) {
        work_add(w, j.p[order[i]], WORK_RESTART);
        work_some(w);
    }
    expect(&j, "spawn(6) spawn(7)", "");
    work_go(w, 0);
    expect(&j, "terminate(1) terminate(2)", "");
    bring_up(&j, 4);
    bring_up(&j, 3);
    for (unsigned i = 0; i < 3; i++) {
        end(&j, i + 1);
        bring_up(&j, i);
    }
    assert_string_equal(j.order, "4 3 0 1 2 ");
    assert_int_equal(j.done, 1);
    world_close(j.w);
}

static void test_starts_by_number(void **state)
{
    struct job j = {.w = world_new()};

    (void)state;
    j.p[0] = j.w->p;
    j.p[1] = supervisor_add_process(j.w->s, j.w->app, 1, -1);
    go(&j, 2, WORK_START, 1);
    expect(&j, "spawn(1)", "");
    bring_up(&j, 0);
    expect(&j, "spawn(2)", "0 ");
    bring_up(&j, 1);
    assert_int_equal(j.done, 1);
    world_close(j.w);
}

/* A stop that came after the restart wins, also for those that the restart had not come to. */
static void test_a_newer_command_wins(void **state)
{
    struct job j;

    (void)state;
    job_init(&j, 4);
    go(&j, 4, WORK_RESTART, 0);
    go(&j, 4, WORK_STOP, 0);
    /* The stop too has only come to the first two. */
    assert_string_equal(j.order, "0! 2! 3! 1! ");
    assert_int_equal(j.done, 1);
    for (uint64_t run = 1; run <= 4; run++)
        end(&j, run);
    assert_string_equal(j.order, "0! 2! 3! 1! 0 1 2 3 ");
    assert_null(strstr(j.w->log, "spawn"));
    assert_int_equal(j.done, 2);
    world_close(j.w);
}

/* The same command by another client is no hindrance. */
static void test_a_like_command_does_not_hinder(void **state)
{
    struct job j;

    (void)state;
    job_init(&j, 3);
    go(&j, 3, WORK_STOP, 0);
    go(&j, 3, WORK_DELETE, 0);
    for (uint64_t run = 1; run <= 3; run++)
        end(&j, run);
    assert_int_equal(j.done, 2);
    assert_null(strchr(j.order, '!'));
    world_close(j.w);
}

static void test_gone_before_its_turn(void **state)
{
    struct job j;

    (void)state;
    job_init(&j, 3);
    go(&j, 3, WORK_RESTART, 0);
    supervisor_delete(j.w->s, j.p[2], "pm delete", NULL, NULL);
    end(&j, 3);
    end(&j, 1);
    bring_up(&j, 0);
    assert_string_equal(j.order, "0 2! ");
    assert_string_equal(j.error, "it was deleted before its turn came");
    end(&j, 2);
    bring_up(&j, 1);
    assert_int_equal(j.done, 1);
    world_close(j.w);
}

/* To delete what another client has deleted is done. */
static void test_deleted_twice(void **state)
{
    struct job j;

    (void)state;
    job_init(&j, 3);
    go(&j, 3, WORK_DELETE, 1);
    supervisor_delete(j.w->s, j.p[2], "pm delete", NULL, NULL);
    end(&j, 3);
    end(&j, 1);
    end(&j, 2);
    assert_string_equal(j.order, "0 1 2 ");
    assert_int_equal(j.done, 1);
    world_close(j.w);
}

static void test_nothing_begins_in_a_shutdown(void **state)
{
    struct job j;

    (void)state;
    job_init(&j, 3);
    go(&j, 3, WORK_RESTART, 0);
    j.halted = true;
    supervisor_stop(j.w->s, j.p[0], LC_R_SHUTDOWN, "pm kill", NULL, NULL);
    assert_string_equal(j.order, "0! 2! ");
    assert_string_equal(j.error, "the daemon is shutting down");
    supervisor_stop(j.w->s, j.p[1], LC_R_SHUTDOWN, "pm kill", NULL, NULL);
    assert_int_equal(j.done, 1);
    world_close(j.w);
}

static void test_nothing_to_do(void **state)
{
    struct job j = {.w = world_new()};

    (void)state;
    go(&j, 0, WORK_RESTART, 0);
    assert_int_equal(j.done, 1);
    world_close(j.w);
}

/* The candidate of a process becomes fit, and the one before ends. */
static void reloaded(struct job *j, unsigned i, uint64_t old)
{
    struct process *p;

    TAILQ_FOREACH (p, supervisor_shadows(j->w->s), entry)
        if (p->id == i && p->role == ROLE_CANDIDATE)
            break;
    assert_non_null(p);
    world_up(j->w, p);
    world_advance(j->w, 1000);
    assert_int_equal(supervisor_by_id(j->w->s, i)->run, p->run);
    end(j, old);
}

static void test_reload_two_at_a_time(void **state)
{
    struct job j;

    (void)state;
    job_init(&j, 4);
    go(&j, 4, WORK_RELOAD, 0);
    expect(&j, "spawn(5) spawn(6)", "");
    reloaded(&j, 0, 1);
    expect(&j, "replaced(5) terminate(1) ended(1,reloaded) look(1) spawn(7)", "0 ");
    reloaded(&j, 1, 2);
    reloaded(&j, 2, 3);
    reloaded(&j, 3, 4);
    assert_string_equal(j.order, "0 1 2 3 ");
    assert_int_equal(j.done, 1);
    world_close(j.w);
}

static void test_reload_never_takes_all_of_an_app(void **state)
{
    struct job j;

    (void)state;
    job_init(&j, 3);
    go(&j, 3, WORK_RELOAD, 100);
    expect(&j, "spawn(4) spawn(5)", "");
    reloaded(&j, 1, 2);
    reloaded(&j, 0, 1);
    reloaded(&j, 2, 3);
    assert_string_equal(j.order, "1 0 2 ");
    world_close(j.w);
}

static void test_reload_of_one_that_is_alone(void **state)
{
    struct job j;

    (void)state;
    job_init(&j, 1);
    go(&j, 1, WORK_RELOAD, 0);
    reloaded(&j, 0, 1);
    assert_string_equal(j.order, "0 ");
    world_close(j.w);
}

static void test_reload_stops_at_a_failure(void **state)
{
    struct job j;

    (void)state;
    job_init(&j, 4);
    j.w->left_nothing = true;
    go(&j, 4, WORK_RELOAD, 1);
    world_child(j.w, world_shadow(j.w, ROLE_CANDIDATE));
    world_exit(j.w, 5, 1);
    expect(&j, "spawn(5) ended(5,exit)", "0! 1! 2! 3! ");
    assert_string_equal(j.error, "left as it is: the reload of id 0 failed");
    assert_int_equal(j.done, 1);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(j.p[i]->run, i + 1);
    world_close(j.w);
}

/* Another app's processes go on. */
static void test_a_failure_is_the_app_s_own(void **state)
{
    struct job j;
    struct app *other;

    (void)state;
    job_init(&j, 2);
    other = supervisor_add_app(j.w->s, 78, world_spec("other"));
    j.p[2] = supervisor_add_process(j.w->s, other, 0, -1);
    supervisor_start(j.w->s, j.p[2], "pm", NULL, NULL);
    bring_up(&j, 2);
    j.w->left_nothing = true;
    go(&j, 3, WORK_RELOAD, 1);
    world_child(j.w, world_shadow(j.w, ROLE_CANDIDATE));
    world_exit(j.w, 4, 1);
    assert_string_equal(j.order, "0! 1! ");
    reloaded(&j, 2, 3);
    assert_string_equal(j.order, "0! 1! 2 ");
    world_close(j.w);
}

static void test_reload_of_what_is_down(void **state)
{
    struct job j;

    (void)state;
    job_init(&j, 2);
    supervisor_stop(j.w->s, j.p[0], LC_R_STOPPED, "pm", NULL, NULL);
    end(&j, 1);
    j.w->log[0] = '\0';
    go(&j, 2, WORK_RELOAD, 0);
    expect(&j, "spawn(3)", "");
    bring_up(&j, 0);
    expect(&j, "spawn(4)", "0 ");
    reloaded(&j, 1, 2);
    assert_string_equal(j.order, "0 1 ");
    world_close(j.w);
}

static void test_retire(void **state)
{
    struct job j;

    (void)state;
    job_init(&j, 2);
    j.w->drains = true;
    go(&j, 2, WORK_RETIRE, 0);
    expect(&j, "drain(1)", "");
    end(&j, 1);
    expect(&j, "ended(1,deleted) sweep(1) drain(2)", "0 ");
    end(&j, 2);
    assert_int_equal(j.done, 1);
    world_close(j.w);
}

/* Apps "api" (0), "db" (1), and "cache" (2), online; api depends on db. */
static void three_apps(struct job *j)
{
    static const char *const names[] = {"db", "cache"};
    struct depends_options *d = xcalloc(1, sizeof(*d));

    *j = (struct job){.w = world_new()};
    j->p[0] = j->w->p;
    for (unsigned i = 0; i < 2; i++)
        j->p[i + 1] =
            supervisor_add_process(j->w->s, supervisor_add_app(j->w->s, 78 + i, world_spec(names[i])), 0, -1);
    *d = (struct depends_options){xstrdup("db"), xstrdup("started")};
    j->w->spec->depends_on = (struct depends_list){d, 1};
    for (unsigned i = 0; i < 3; i++) {
        supervisor_start(j->w->s, j->p[i], "pm start", NULL, NULL);
        bring_up(j, i);
    }
    j->w->log[0] = '\0';
}

static void test_restart_in_order(void **state)
{
    struct job j;

    (void)state;
    three_apps(&j);
    go(&j, 3, WORK_RESTART, 3);
    expect(&j, "terminate(2) terminate(3)", "");
    end(&j, 3);
    bring_up(&j, 2);
    expect(&j, "ended(3,restarted) look(3) spawn(4)", "2 ");
    end(&j, 2);
    world_up(j.w, j.p[1]);
    expect(&j, "ended(2,restarted) look(2) spawn(5)", "2 ");
    world_advance(j.w, SETTLE_MS);
    expect(&j, "terminate(1)", "2 1 ");
    end(&j, 1);
    bring_up(&j, 0);
    assert_string_equal(j.order, "2 1 0 ");
    world_close(j.w);
}

static void test_restart_after_a_failure(void **state)
{
    struct job j;

    (void)state;
    three_apps(&j);
    go(&j, 2, WORK_RESTART, 2);
    expect(&j, "terminate(2)", "");
    end(&j, 2);
    supervisor_stop(j.w->s, j.p[1], LC_R_STOPPED, "pm stop", NULL, NULL);
    assert_string_equal(j.order, "1! 0! ");
    assert_string_equal(j.error, "left as it is: its dependency db failed");
    assert_int_equal(j.p[0]->state, LC_ONLINE);
    assert_int_equal(j.done, 1);
    world_close(j.w);
}

static void test_stop_in_reverse(void **state)
{
    struct job j;

    (void)state;
    three_apps(&j);
    go(&j, 3, WORK_STOP, 3);
    expect(&j, "terminate(1) terminate(3)", "");
    end(&j, 3);
    expect(&j, "ended(3,stopped) look(3)", "2 ");
    end(&j, 1);
    expect(&j, "ended(1,stopped) look(1) terminate(2)", "2 0 ");
    end(&j, 2);
    assert_string_equal(j.order, "2 0 1 ");
    world_close(j.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_at_a_time),
        cmocka_unit_test(test_one_of_two),
        cmocka_unit_test(test_a_given_number),
        cmocka_unit_test(test_delete_takes_ten),
        cmocka_unit_test(test_what_is_down_begins_at_once),
        cmocka_unit_test(test_starts_are_all_at_once),
        cmocka_unit_test(test_begun_bit_by_bit),
        cmocka_unit_test(test_starts_by_number),
        cmocka_unit_test(test_a_newer_command_wins),
        cmocka_unit_test(test_a_like_command_does_not_hinder),
        cmocka_unit_test(test_gone_before_its_turn),
        cmocka_unit_test(test_deleted_twice),
        cmocka_unit_test(test_nothing_begins_in_a_shutdown),
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_reload_two_at_a_time),
        cmocka_unit_test(test_reload_never_takes_all_of_an_app),
        cmocka_unit_test(test_reload_of_one_that_is_alone),
        cmocka_unit_test(test_reload_stops_at_a_failure),
        cmocka_unit_test(test_a_failure_is_the_app_s_own),
        cmocka_unit_test(test_reload_of_what_is_down),
        cmocka_unit_test(test_retire),
        cmocka_unit_test(test_restart_in_order),
        cmocka_unit_test(test_restart_after_a_failure),
        cmocka_unit_test(test_stop_in_reverse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
