/*
 * Thousands of random commands, deaths, refusals and late answers, against a model of the children. Whatever
 * the order: nothing is shown at rest while it lives, nothing is signalled that is gone, every command is
 * answered, and in the end nothing is left.
 */
#include "supervisor_world.h"

#define PROCESSES 5
#define RUNS_MAX  20000
#define ASKS_MAX  4096
#define STEPS     6000

enum child { NOT_FORKED, ALIVE, DEAD, GONE }; /* GONE: its end was told */

struct run {
    enum child child;
    bool exec_told;
    unsigned others; /* of its tree, beside the child */
    bool doomed;     /* got a signal that it will obey */
};

static struct run runs[RUNS_MAX];
static uint64_t asks[ASKS_MAX];
static unsigned n_asks;
static uint32_t seed;
static unsigned commands, answers;

static uint32_t rnd(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static void ask(uint64_t run)
{
    assert_true(n_asks < ASKS_MAX);
    asks[n_asks++] = run;
}

static int sim_spawn(void *ctx, struct process *p, struct err *e)
{
    (void)ctx;
    assert_true(p->run < RUNS_MAX);
    runs[p->run] = (struct run){.child = NOT_FORKED};
    if (rnd(40) == 0)
        return err_set(e, -ENOENT, "no such program");
    return 0;
}

static void sim_terminate(void *ctx, struct process *p)
{
    (void)ctx;
    assert_true(p->pid && !p->exited);
    runs[p->run].doomed = rnd(3) != 0;
}

static bool sim_drain(void *ctx, struct process *p)
{
    (void)ctx;
    assert_true(p->pid && !p->exited);
    return rnd(2);
}

static bool sim_listens(void *ctx, struct process *p)
{
    (void)ctx;
    return p->run % 3 == 0;
}

static bool sim_listens_as(void *ctx, struct process *p, struct process *old)
{
    (void)ctx;
    assert_true(p->role == ROLE_CANDIDATE && old->role == ROLE_SLOT && p->id == old->id);
    return p->run % 3 == 0 && rnd(2);
}

static void kill_tree(uint64_t run)
{
    if (runs[run].child == ALIVE && rnd(8))
        runs[run].child = DEAD;
    if (rnd(8))
        runs[run].others = 0;
}

static void sim_kill(void *ctx, struct process *p)
{
    (void)ctx;
    kill_tree(p->run);
    ask(p->run);
}

static void sim_kill_run(void *ctx, struct process *p, uint64_t run)
{
    (void)ctx;
    (void)p;
    assert_true(runs[run].child == GONE);
    kill_tree(run);
    ask(run);
}

static void sim_sweep(void *ctx, struct process *p, uint64_t run, bool polite)
{
    (void)ctx;
    (void)p;
    if (polite && rnd(2))
        runs[run].others = 0;
    ask(run);
}

static bool sim_left_nothing(void *ctx, struct process *p, uint64_t run)
{
    (void)ctx;
    (void)p;
    assert_true(runs[run].child == GONE);
    return runs[run].others == 0 && rnd(2);
}

static void sim_ended(void *ctx, struct process *p, const struct run_end *end)
{
    (void)ctx;
    assert_true(runs[end->run].child != GONE); /* once a run */
    assert_int_equal(p->last.run, end->run);
    runs[end->run].child = GONE;
}

static void sim_done(void *arg, const struct waiter_result *r)
{
    struct world *w = arg;
    struct process *p = supervisor_by_id(w->s, r->id);

    answers++;
    assert_true(r->ok == !r->error[0]);
    /* A callback that gives a command, now and then. */
    if (p && rnd(20) == 0) {
        commands++;
        supervisor_restart(w->s, p, NULL, sim_done, w);
    }
}

static void command(struct world *w, struct process *p)
{
    commands++;
    switch (rnd(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
        supervisor_start(w->s, p, "start", sim_done, w);
        break;
    case 4:
    case 5:
    case 6:
        supervisor_stop(w->s, p, rnd(4) ? LC_R_STOPPED : LC_R_SHUTDOWN, "stop", sim_done, w);
        break;
    case 7:
        supervisor_delete(w->s, p, "delete", sim_done, w);
        break;
    case 8:
        supervisor_retire(w->s, p, "scale", sim_done, w);
        break;
    case 9:
    case 10:
    case 11:
    case 12:
        supervisor_reload(w->s, p, rnd(3) ? NULL : world_spec("random"), rnd(3) == 0, "reload", sim_done, w);
        break;
    default:
        supervisor_restart(w->s, p, "restart", sim_done, w);
        break;
    }
}

/* One piece of news about the current run of a process, as far as there is any. */
static void news(struct world *w, struct process *p, bool obey)
{
    struct run *r = &runs[p->run];
    uint64_t run = p->run;

    if (!run || r->child == GONE)
        return;
    if (r->child == NOT_FORKED) {
        if (rnd(30) == 0) {
            if (rnd(2))
                supervisor_on_refused(w->s, run, KW_STEP_FORK, EAGAIN);
            else
                supervisor_on_unanswered(w->s, run);
            return;
        }
        r->child = ALIVE;
        r->others = rnd(4) ? 0 : rnd(4);
        world_child(w, p);
        return;
    }
    if (!r->exec_told && rnd(4)) {
        r->exec_told = true;
        supervisor_on_exec(w->s, run, KW_STEP_EXEC, rnd(15) ? 0 : ENOENT);
        return;
    }
    if (rnd(6) == 0)
        supervisor_on_ready(w->s, run);
    if (rnd(6) == 0)
        supervisor_on_listening(w->s, run);
    if (rnd(6) == 0)
        supervisor_on_drained(w->s, run);
    if (r->child == ALIVE && (r->doomed || rnd(10) == 0 || obey))
        r->child = DEAD;
    if (r->child == DEAD) {
        if (rnd(3))
            world_exit(w, run, (int)rnd(3));
        else
            world_signaled(w, run, SIGSEGV);
    }
}

static void answer_one(struct world *w)
{
    unsigned i;
    uint64_t run;

    if (!n_asks)
        return;
    i = rnd(n_asks);
    run = asks[i];
    asks[i] = asks[--n_asks];
    supervisor_on_swept(w->s, run, runs[run].others + (runs[run].child == ALIVE));
}

static void check(struct world *w)
{
    struct process *p;

    TAILQ_FOREACH (p, supervisor_processes(w->s), entry) {
        bool rests = p->state == LC_STOPPED || p->state == LC_ERRORED || p->state == LC_WAITING;

        assert_true(!rests || (!p->run && !p->pid));
        if (p->state == LC_LAUNCHING || p->state == LC_ONLINE) {
            assert_true(p->run && runs[p->run].child != GONE);
            assert_ptr_equal(supervisor_by_run(w->s, p->run), p);
        }
        assert_int_equal(p->role, ROLE_SLOT);
        assert_true(p->state != LC_WAITING || world_has_timer(w, p, SYS_TIMER_STATE) ||
                    proc_of(p)->candidate);
        assert_true(!p->delete_when_down || p->desired == DESIRED_DOWN);
        assert_true(proc_of(p)->up == UP_PENDING);
    }
    TAILQ_FOREACH (p, supervisor_shadows(w->s), entry) {
        struct proc *slot = sup_slot_of(proc_of(p));

        assert_non_null(slot);
        assert_true(p->role == ROLE_CANDIDATE || p->role == ROLE_DRAINING);
        assert_true(p->role != ROLE_DRAINING || p->state == LC_STOPPING || p->state == LC_STOPPED);
        assert_true(p->state != LC_LAUNCHING || slot->candidate == proc_of(p));
        assert_true(TAILQ_EMPTY(&p->waiters));
        if (p->run)
            assert_ptr_equal(supervisor_by_run(w->s, p->run), p);
    }
    assert_true(w->s->by_leftover.used <= 4 * PROCESSES * LEFTOVERS_MAX);
}

static void set_up(struct world *w)
{
    struct sys *sys = &w->s->sys;

    sys->spawn = sim_spawn;
    sys->terminate = sim_terminate;
    sys->kill = sim_kill;
    sys->kill_run = sim_kill_run;
    sys->sweep = sim_sweep;
    sys->left_nothing = sim_left_nothing;
    sys->run_ended = sim_ended;
    sys->drain = sim_drain;
    sys->listens = sim_listens;
    sys->listens_as = sim_listens_as;
    memset(runs, 0, sizeof(runs));
    n_asks = 0;
    commands = answers = 0;
}

static struct process *pick(struct world *w, unsigned *count)
{
    struct process *p, *chosen = NULL;
    unsigned n = 0;

    TAILQ_FOREACH (p, supervisor_processes(w->s), entry)
        if (rnd(++n) == 0)
            chosen = p;
    *count = n;
    TAILQ_FOREACH (p, supervisor_shadows(w->s), entry) /* for news: commands go to slots */
        if (rnd(++n) == 0)
            chosen = p;
    return chosen;
}

static void add_app(struct world *w)
{
    struct app_spec *spec = world_spec("random");
    struct app *app = supervisor_add_app(w->s, 5, spec);

    spec->wait_ready = rnd(3) == 0;
    spec->treekill = rnd(5) != 0;
    spec->autorestart = rnd(5) != 0;
    spec->max_restarts = rnd(6);
    spec->restart_delay = rnd(2) ? 0 : rnd(500);
    spec->exp_backoff_restart_delay = rnd(2) ? 0 : 100;
    spec->kill_timeout = 50 + rnd(1600);
    supervisor_add_process(w->s, app, rnd(2), -1);
}

static void run_world(uint32_t first_seed)
{
    struct world *w = world_new();

    seed = first_seed;
    set_up(w);
    for (int step = 0; step < STEPS; step++) {
        unsigned n;
        struct process *p = pick(w, &n);

        if (n < PROCESSES) {
            add_app(w);
            continue;
        }
        switch (rnd(8)) {
        case 0:
            command(w, supervisor_by_id(w->s, p->id));
            break;
        case 1:
        case 2:
        case 3:
            news(w, p, false);
            break;
        case 4:
        case 5:
            answer_one(w);
            break;
        default:
            world_advance(w, rnd(4) ? rnd(60) : rnd(2500));
            break;
        }
        check(w);
    }
    /* Everybody obeys now: a minute later nothing may be left. */
    for (int i = 0; i < 3000 && !TAILQ_EMPTY(supervisor_processes(w->s)); i++) {
        struct process *p, *next;

        for (p = TAILQ_FIRST(supervisor_processes(w->s)); p; p = next) {
            next = TAILQ_NEXT(p, entry);
            if (!p->delete_when_down) {
                commands++;
                supervisor_delete(w->s, p, NULL, sim_done, w);
                break;
            }
            if (p->run && runs[p->run].child != GONE) {
                news(w, p, true);
                break;
            }
        }
        for (p = TAILQ_FIRST(supervisor_shadows(w->s)); p; p = next) {
            next = TAILQ_NEXT(p, entry);
            if (p->run && runs[p->run].child != GONE) {
                news(w, p, true);
                break;
            }
        }
        for (unsigned k = n_asks; k > 0; k--)
            answer_one(w);
        world_advance(w, 20);
    }
    assert_true(TAILQ_EMPTY(supervisor_processes(w->s)));
    assert_true(TAILQ_EMPTY(supervisor_shadows(w->s)));
    assert_int_equal(commands, answers);
    w->p = NULL;
    world_close(w);
}

static void test_random_worlds(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 40; i++)
        run_world(i * 7919);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_worlds)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
