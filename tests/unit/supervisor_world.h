/*
 * A world for the supervisor: a clock that only moves when told, timers in a list, children that do what the
 * test says. Calls to the outside are written to a text that tests compare.
 */
#ifndef PM_TESTS_SUPERVISOR_WORLD_H
#define PM_TESTS_SUPERVISOR_WORLD_H

#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/kwire.h"
#include "daemon/supervisor_impl.h"

#define WORLD_TIMERS  4096
#define WORLD_ANSWERS 64

/* Only used while the library has no such functions of its own: the real ones win at the link. */
__attribute__((weak)) void app_spec_free(struct app_spec *s)
{
    if (!s)
        return;
    free(s->name);
    free(s->script);
    free(s->stop_exit_codes.v);
    free(s->health_check.exec);
    free(s->schedule);
    free(s);
}

__attribute__((weak)) const char *kw_step_word(int step)
{
    return step == KW_STEP_EXEC ? "exec" : step == KW_STEP_FORK ? "fork" : "do a step";
}

struct world_timer {
    struct process *p;
    enum sys_timer which;
    uint64_t due;
};

struct world {
    struct supervisor *s;
    uint64_t now, wall;
    struct world_timer timers[WORLD_TIMERS];
    unsigned n_timers;
    uint64_t runs;
    char log[16384];
    int spawn_rc;
    bool left_nothing;                 /* what the first look at an ended run knows */
    uint64_t listening[64], alike[64]; /* by run: sys.listens, sys.listens_as */
    bool drains;                       /* sys.drain knows a word */
    unsigned shadows, replaced;
    unsigned jitter; /* what random() gives; below the limit */
    unsigned changes, deleted, ended;
    uint64_t ended_run;
    struct app *app;
    struct app_spec *spec;
    struct process *p; /* the first process */
    unsigned asked, answered;
    struct waiter_result answers[WORLD_ANSWERS];
};

static inline void world_log(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void world_log(struct world *w, const char *fmt, ...)
{
    size_t len = strlen(w->log);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(w->log + len, sizeof(w->log) - len, fmt, ap);
    va_end(ap);
}

static inline uint64_t world_mono(void *ctx)
{
    return ((struct world *)ctx)->now;
}

static inline uint64_t world_wall(void *ctx)
{
    return ((struct world *)ctx)->wall;
}

static inline uint32_t world_random(void *ctx, uint32_t below)
{
    struct world *w = ctx;

    assert_true(below > 0);
    return w->jitter < below ? w->jitter : below - 1;
}

static inline void world_timer_clear(void *ctx, struct process *p, enum sys_timer which)
{
    struct world *w = ctx;

    for (unsigned i = 0; i < w->n_timers; i++)
        if (w->timers[i].p == p && w->timers[i].which == which) {
            w->timers[i] = w->timers[--w->n_timers];
            return;
        }
}

static inline void world_timer_set(void *ctx, struct process *p, enum sys_timer which, uint64_t in_ms)
{
    struct world *w = ctx;

    world_timer_clear(ctx, p, which);
    assert_true(w->n_timers < WORLD_TIMERS);
    w->timers[w->n_timers++] = (struct world_timer){p, which, w->now + in_ms};
}

static inline uint64_t world_next_run(void *ctx)
{
    return ++((struct world *)ctx)->runs;
}

static inline int world_spawn(void *ctx, struct process *p, struct err *e)
{
    struct world *w = ctx;

    world_log(w, "spawn(%llu) ", (unsigned long long)p->run);
    if (w->spawn_rc < 0)
        return err_set(e, w->spawn_rc, "cannot find the program /x");
    return 0;
}

static inline void world_terminate(void *ctx, struct process *p)
{
    assert_true(p->pid > 0 && !p->exited);
    world_log(ctx, "terminate(%llu) ", (unsigned long long)p->run);
}

static inline void world_kill(void *ctx, struct process *p)
{
    assert_true(p->run != 0);
    world_log(ctx, "kill(%llu) ", (unsigned long long)p->run);
}

static inline void world_sweep(void *ctx, struct process *p, uint64_t run, bool polite)
{
    (void)p;
    world_log(ctx, "%s(%llu) ", polite ? "sweep" : "look", (unsigned long long)run);
}

static inline bool world_left_nothing(void *ctx, struct process *p, uint64_t run)
{
    assert_true(p->run == run && p->exited);
    return ((struct world *)ctx)->left_nothing;
}

static inline void world_kill_run(void *ctx, struct process *p, uint64_t run)
{
    assert_true(p->run != run);
    world_log(ctx, "kill_run(%llu) ", (unsigned long long)run);
}

static inline void world_started(void *ctx, struct process *p)
{
    (void)ctx;
    assert_true(p->pid > 0 && p->run > 0);
}

static inline void world_ended(void *ctx, struct process *p, const struct run_end *end)
{
    struct world *w = ctx;

    assert_true(p->last.valid && p->last.run == end->run);
    assert_true(w->ended_run != end->run); /* once a run */
    w->ended_run = end->run;
    w->ended++;
    world_log(w, "ended(%llu,%s) ", (unsigned long long)end->run, lc_reason_word(p->last.reason));
}

static inline void world_changed(void *ctx, struct process *p, enum lc_state old)
{
    (void)p;
    (void)old;
    ((struct world *)ctx)->changes++;
}

static inline void world_deleted(void *ctx, struct process *p)
{
    struct world *w = ctx;

    w->deleted++;
    if (p == w->p)
        w->p = NULL;
}

static inline bool world_listens(void *ctx, struct process *p)
{
    return ((struct world *)ctx)->listening[p->run % 64];
}

static inline bool world_listens_as(void *ctx, struct process *p, struct process *old)
{
    assert_int_equal(p->id, old->id);
    assert_int_equal(p->role, ROLE_CANDIDATE);
    return ((struct world *)ctx)->alike[p->run % 64];
}

static inline bool world_drain(void *ctx, struct process *p)
{
    struct world *w = ctx;

    if (w->drains)
        world_log(w, "drain(%llu) ", (unsigned long long)p->run);
    return w->drains;
}

static inline void world_shadow_made(void *ctx, struct process *p)
{
    assert_int_not_equal(p->role, ROLE_SLOT);
    ((struct world *)ctx)->shadows++;
}

static inline void world_shadow_gone(void *ctx, struct process *p)
{
    assert_int_not_equal(p->role, ROLE_SLOT);
    ((struct world *)ctx)->shadows--;
}

static inline void world_replaced(void *ctx, struct process *p, struct process *old)
{
    struct world *w = ctx;

    assert_int_equal(p->role, ROLE_SLOT);
    assert_int_equal(old->role, ROLE_DRAINING);
    assert_ptr_equal(supervisor_by_id(w->s, p->id), p);
    if (w->p == old)
        w->p = p;
    w->replaced++;
    world_log(w, "replaced(%llu) ", (unsigned long long)p->run);
}

static inline void world_set_spec(void *ctx, struct app *app, struct app_spec *take)
{
    struct world *w = ctx;

    app_spec_free(app->spec);
    app->spec = take;
    if (app == w->app)
        w->spec = take;
}

static inline struct app_spec *world_spec(const char *name)
{
    struct app_spec *spec = calloc(1, sizeof(*spec));

    spec->name = strdup(name);
    spec->script = strdup("/srv/app");
    spec->autorestart = true;
    spec->treekill = true;
    spec->min_uptime = 1000;
    spec->max_restarts = 16;
    spec->kill_timeout = 1600;
    spec->listen_timeout = 3000;
    spec->stop_signal = SIGINT;
    return spec;
}

static inline struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));
    struct sys sys = {
        .ctx = w,
        .mono_ms = world_mono,
        .wall_ms = world_wall,
        .random = world_random,
        .timer_set = world_timer_set,
        .timer_clear = world_timer_clear,
        .next_run = world_next_run,
        .spawn = world_spawn,
        .terminate = world_terminate,
        .kill = world_kill,
        .sweep = world_sweep,
        .left_nothing = world_left_nothing,
        .kill_run = world_kill_run,
        .run_started = world_started,
        .run_ended = world_ended,
        .changed = world_changed,
        .deleted = world_deleted,
        .listens = world_listens,
        .listens_as = world_listens_as,
        .drain = world_drain,
        .shadow_made = world_shadow_made,
        .shadow_gone = world_shadow_gone,
        .replaced = world_replaced,
        .set_spec = world_set_spec,
    };

    w->now = 5000;
    w->wall = 1700000000000ull;
    w->s = supervisor_new(&sys);
    w->spec = world_spec("api");
    w->app = supervisor_add_app(w->s, 77, w->spec);
    w->p = supervisor_add_process(w->s, w->app, 0, -1);
    return w;
}

static inline void world_done(void *arg, const struct waiter_result *r)
{
    struct world *w = arg;

    assert_true(w->answered < WORLD_ANSWERS);
    w->answers[w->answered++] = *r;
}

/* What was asked of the outside since the last call. */
static inline void world_expect(struct world *w, const char *want)
{
    size_t len = strlen(w->log);

    if (len)
        w->log[len - 1] = '\0';
    assert_string_equal(w->log, want);
    w->log[0] = '\0';
}

/* Moves the clock, firing timers in the order in which they are due. */
static inline void world_advance(struct world *w, uint64_t ms)
{
    uint64_t end = w->now + ms;

    for (;;) {
        struct world_timer t;
        unsigned first = w->n_timers;

        for (unsigned i = 0; i < w->n_timers; i++)
            if (w->timers[i].due <= end && (first == w->n_timers || w->timers[i].due < w->timers[first].due))
                first = i;
        if (first == w->n_timers)
            break;
        t = w->timers[first];
        w->timers[first] = w->timers[--w->n_timers];
        if (t.due > w->now) {
            w->wall += t.due - w->now;
            w->now = t.due;
        }
        supervisor_on_timer(w->s, t.p, t.which);
    }
    w->wall += end - w->now;
    w->now = end;
}

static inline bool world_has_timer(struct world *w, struct process *p, enum sys_timer which)
{
    for (unsigned i = 0; i < w->n_timers; i++)
        if (w->timers[i].p == p && w->timers[i].which == which)
            return true;
    return false;
}

static inline void world_child(struct world *w, struct process *p)
{
    supervisor_on_child(w->s, p->run, (pid_t)(1000 + p->run), p->run * 10, w->wall);
}

/* The news of a spawn that worked. */
static inline void world_up(struct world *w, struct process *p)
{
    uint64_t run = p->run;

    world_child(w, p);
    supervisor_on_exec(w->s, run, 0, 0);
}

static inline void world_exit(struct world *w, uint64_t run, int code)
{
    struct run_end end = {
        .run = run, .wait_status = code << 8, .status_known = true, .end_us = w->wall * 1000};

    supervisor_on_exit(w->s, &end);
}

static inline void world_signaled(struct world *w, uint64_t run, int sig)
{
    struct run_end end = {.run = run, .wait_status = sig, .status_known = true, .end_us = w->wall * 1000};

    supervisor_on_exit(w->s, &end);
}

static inline void world_swept(struct world *w, uint64_t run, unsigned alive)
{
    supervisor_on_swept(w->s, run, alive);
}

static inline void world_start(struct world *w)
{
    w->asked++;
    supervisor_start(w->s, w->p, "pm start", world_done, w);
}

static inline void world_stop(struct world *w)
{
    w->asked++;
    supervisor_stop(w->s, w->p, LC_R_STOPPED, "pm stop", world_done, w);
}

static inline void world_restart(struct world *w)
{
    w->asked++;
    supervisor_restart(w->s, w->p, "pm restart", world_done, w);
}

static inline void world_delete(struct world *w)
{
    w->asked++;
    supervisor_delete(w->s, w->p, "pm delete", world_done, w);
}

/* The candidate of w->p, or what is still draining; NULL. */
static inline struct process *world_shadow(struct world *w, enum process_role role)
{
    struct process *p;

    TAILQ_FOREACH (p, supervisor_shadows(w->s), entry)
        if (p->role == role)
            return p;
    return NULL;
}

static inline void world_reload(struct world *w)
{
    w->asked++;
    supervisor_reload(w->s, w->p, NULL, false, "pm reload", world_done, w);
}

/* The one answer since the last call; NULL error: ok. */
static inline void world_answer(struct world *w, const char *error)
{
    assert_int_equal(w->answered, 1);
    assert_string_equal(w->answers[0].error, error ? error : "");
    assert_int_equal(w->answers[0].ok, !error);
    w->asked--;
    w->answered = 0;
}

static inline void world_state(struct world *w, enum lc_state state)
{
    assert_string_equal(lc_state_word(w->p->state), lc_state_word(state));
}

static inline void world_reason(struct world *w, const char *want)
{
    char words[256];

    supervisor_describe_reason(w->s, w->p, words, sizeof(words));
    assert_string_equal(words, want);
}

/* Up and settled, with the log empty. */
static inline void world_online(struct world *w)
{
    world_start(w);
    world_up(w, w->p);
    world_advance(w, SETTLE_MS);
    world_answer(w, NULL);
    world_state(w, LC_ONLINE);
    w->log[0] = '\0';
}

/* Deletes everything, lets every child end, and proves that nothing is left. */
static inline void world_close(struct world *w)
{
    struct process *p, *next;
    struct process_list *list = supervisor_processes(w->s);

    if (w->asked != w->answered)
        fail_msg("%u commands, %u answers", w->asked, w->answered);
    for (p = TAILQ_FIRST(list); p; p = next) {
        next = TAILQ_NEXT(p, entry);
        supervisor_delete(w->s, p, NULL, NULL, NULL);
    }
    for (p = TAILQ_FIRST(list); p; p = next) {
        uint64_t run = p->run;

        next = TAILQ_NEXT(p, entry);
        if (!run)
            continue;
        if (!p->pid)
            world_child(w, p);
        world_exit(w, run, 0);
        world_swept(w, run, 0);
    }
    list = supervisor_shadows(w->s);
    for (p = TAILQ_FIRST(list); p; p = next) {
        uint64_t run = p->run;

        next = TAILQ_NEXT(p, entry);
        if (!p->pid)
            world_child(w, p);
        world_exit(w, run, 0);
        world_swept(w, run, 0);
    }
    for (uint64_t run = 1; run <= w->runs; run++)
        world_swept(w, run, 0);
    assert_true(TAILQ_EMPTY(supervisor_shadows(w->s)));
    assert_int_equal(w->shadows, 0);
    list = supervisor_processes(w->s);
    assert_true(TAILQ_EMPTY(list));
    assert_int_equal(w->n_timers, 0);
    assert_int_equal(w->s->by_id.used, 0);
    assert_int_equal(w->s->by_run.used, 0);
    assert_int_equal(w->s->by_leftover.used, 0);
    assert_true(TAILQ_EMPTY(&w->s->done));
    supervisor_free(w->s);
    free(w);
}

#endif
