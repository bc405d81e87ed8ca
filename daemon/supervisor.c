/* The lists, the table's engine: the one setter of states, and the actions. */
#include "daemon/supervisor.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/supervisor_impl.h"

struct supervisor *supervisor_new(const struct sys *sys)
{
    struct supervisor *s = xcalloc(1, sizeof(*s));

    s->sys = *sys;
    TAILQ_INIT(&s->apps);
    TAILQ_INIT(&s->processes);
    TAILQ_INIT(&s->shadows);
    TAILQ_INIT(&s->done);
    SLIST_INIT(&s->graveyard);
    return s;
}

static void app_free(struct app *app)
{
    app_spec_free(app->spec);
    free(app);
}

static void proc_free(struct proc *pr)
{
    struct waiter *w, *next;

    sup_leftovers_drop(pr);
    for (w = TAILQ_FIRST(&pr->p.waiters); w; w = next) {
        next = TAILQ_NEXT(w, entry);
        free(w);
    }
    if (pr->own_app)
        app_free(pr->own_app);
    free(pr->spawn_error);
    free(pr->p.by);
    free(pr);
}

static void free_list(struct process_list *list)
{
    struct process *p, *next;

    for (p = TAILQ_FIRST(list); p; p = next) {
        next = TAILQ_NEXT(p, entry);
        for (int t = 0; t < SYS_TIMER_COUNT; t++)
            sup_timer_clear(proc_of(p), (enum sys_timer)t);
        proc_free(proc_of(p));
    }
}

void supervisor_free(struct supervisor *s)
{
    struct app *app, *next_app;

    if (!s)
        return;
    assert(s->depth == 0);
    free_list(&s->shadows);
    free_list(&s->processes);
    for (app = TAILQ_FIRST(&s->apps); app; app = next_app) {
        next_app = TAILQ_NEXT(app, entry);
        app_free(app);
    }
    idmap_deinit(&s->by_id);
    idmap_deinit(&s->by_run);
    idmap_deinit(&s->by_leftover);
    free(s);
}

struct app *supervisor_add_app(struct supervisor *s, uint64_t id, struct app_spec *take_spec)
{
    struct app *app = xcalloc(1, sizeof(*app));

    app->id = id;
    app->spec = take_spec;
    TAILQ_INIT(&app->processes);
    TAILQ_INSERT_TAIL(&s->apps, app, entry);
    return app;
}

static uint32_t choose_id(struct supervisor *s, int64_t id)
{
    if (id > INT32_MAX || (id >= 0 && idmap_get(&s->by_id, (uint64_t)id))) {
        log_warn("process id %lld cannot be used again", (long long)id);
        id = -1;
    }
    if (id < 0)
        id = (int64_t)s->next_id;
    if ((uint64_t)id >= s->next_id)
        s->next_id = (uint64_t)id + 1;
    return (uint32_t)id;
}

/* Ids mostly grow, so the place is near the tail. */
static void insert_ordered(struct supervisor *s, struct process *p)
{
    struct process *before = TAILQ_LAST(&s->processes, process_list);

    while (before && before->id > p->id)
        before = TAILQ_PREV(before, process_list, entry);
    if (before)
        TAILQ_INSERT_AFTER(&s->processes, before, p, entry);
    else
        TAILQ_INSERT_HEAD(&s->processes, p, entry);

    before = TAILQ_LAST(&p->app->processes, process_list);
    while (before && before->instance > p->instance)
        before = TAILQ_PREV(before, process_list, app_entry);
    if (before)
        TAILQ_INSERT_AFTER(&p->app->processes, before, p, app_entry);
    else
        TAILQ_INSERT_HEAD(&p->app->processes, p, app_entry);
}

struct proc *sup_proc_new(struct supervisor *s, struct app *app, uint32_t instance, uint32_t id)
{
    struct proc *pr = xcalloc(1, sizeof(*pr));
    struct process *p = &pr->p;

    pr->s = s;
    TAILQ_INIT(&pr->leftovers);
    p->id = id;
    p->app = app;
    p->instance = instance;
    p->state = LC_STOPPED;
    p->desired = DESIRED_DOWN;
    p->created_ms = sup_wall(s);
    p->last.exit_code = -1;
    TAILQ_INIT(&p->waiters);
    return pr;
}

struct process *supervisor_add_process(struct supervisor *s, struct app *app, uint32_t instance, int64_t id)
{
    struct proc *pr = sup_proc_new(s, app, instance, choose_id(s, id));
    struct process *p = &pr->p;

    insert_ordered(s, p);
    idmap_put(&s->by_id, p->id, pr);
    s->count++;
    return p;
}

struct process_list *supervisor_processes(struct supervisor *s)
{
    return &s->processes;
}

struct process_list *supervisor_shadows(struct supervisor *s)
{
    return &s->shadows;
}

struct app_list_head *supervisor_apps(struct supervisor *s)
{
    return &s->apps;
}

struct process *supervisor_by_id(struct supervisor *s, uint32_t id)
{
    return idmap_get(&s->by_id, id);
}

struct process *supervisor_by_run(struct supervisor *s, uint64_t run)
{
    return run ? idmap_get(&s->by_run, run) : NULL;
}

void sup_enter(struct supervisor *s)
{
    s->depth++;
}

/* Two processes of one app may be buried together: the last one takes the app with it. */
static bool is_last_of_app(struct supervisor *s, const struct app *app)
{
    struct proc *other;

    SLIST_FOREACH(other, &s->graveyard, grave)
    if (other->p.app == app)
        return false;
    return TAILQ_EMPTY(&app->processes);
}

static void free_the_buried(struct supervisor *s)
{
    struct proc *pr;

    while ((pr = SLIST_FIRST(&s->graveyard))) {
        struct app *app = pr->own_app ? NULL : pr->p.app;

        SLIST_REMOVE_HEAD(&s->graveyard, grave);
        proc_free(pr);
        if (!app || !is_last_of_app(s, app))
            continue;
        TAILQ_REMOVE(&s->apps, app, entry);
        app_free(app);
    }
}

void sup_leave(struct supervisor *s)
{
    assert(s->depth > 0);
    if (--s->depth > 0 || s->flushing)
        return;
    s->flushing = true;
    sup_flush(s);
    free_the_buried(s);
    s->flushing = false;
}

void sup_timer(struct proc *pr, enum sys_timer which, uint64_t in_ms)
{
    pr->s->sys.timer_set(pr->s->sys.ctx, &pr->p, which, in_ms);
}

void sup_timer_clear(struct proc *pr, enum sys_timer which)
{
    pr->s->sys.timer_clear(pr->s->sys.ctx, &pr->p, which);
}

void sup_changed(struct proc *pr)
{
    pr->s->sys.changed(pr->s->sys.ctx, &pr->p, pr->p.state);
}

void sup_set_by(struct proc *pr, const char *by)
{
    char *copy = xstrdup(by); /* first: `by` may be p->by itself */

    free(pr->p.by);
    pr->p.by = copy;
}

void sup_forget_run(struct proc *pr)
{
    struct process *p = &pr->p;

    if (p->run)
        idmap_del(&pr->s->by_run, p->run);
    p->run = 0;
    p->pid = 0;
    p->start_ticks = 0;
    p->started_ms = 0;
    p->online_ms = 0;
    p->exited = false;
    p->tree_empty = false;
    p->sweeping = false;
    p->signaled_ms = 0;
    p->said_ready = false;
    p->said_healthy = false;
    p->disconnecting = false;
    pr->kill_since = 0;
    pr->stuck = false;
    pr->alive = 0;
    pr->looks = 0;
}

/* The one place where a state is assigned: timers that the new state has no use for are dropped here. */
static void set_state(struct proc *pr, enum lc_state next, enum lc_event ev)
{
    struct process *p = &pr->p;
    enum lc_state old = p->state;

    log_debug("%s (%u): %s -> %s on %s", p->app->spec->name, p->id, lc_state_word(old), lc_state_word(next),
              lc_event_word(ev));
    if (next == old && next != LC_LAUNCHING)
        return;
    p->state = next;
    p->deadline_ms = 0;
    sup_timer_clear(pr, SYS_TIMER_STATE);
    sup_timer_clear(pr, SYS_TIMER_SWEEP);
    sup_timer_clear(pr, SYS_TIMER_SETTLE);
    if (next != LC_WAITING)
        pr->hold_run = 0;
}

static enum lc_event act_spawn(struct proc *pr)
{
    struct supervisor *s = pr->s;
    struct process *p = &pr->p;
    struct err e = {0};
    int rc;

    sup_forget_run(pr);
    p->run = s->sys.next_run(s->sys.ctx);
    idmap_put(&s->by_run, p->run, pr);
    p->started_ms = sup_wall(s);
    p->fresh = pr->next_fresh;
    pr->next_fresh = false;
    p->reason = LC_R_NONE;
    if (!p->fresh)
        sup_set_by(pr, NULL);
    free(pr->spawn_error);
    pr->spawn_error = NULL;
    rc = s->sys.spawn(s->sys.ctx, p, &e);
    if (rc >= 0)
        return NO_EVENT;
    if (e.msg[0])
        pr->spawn_error = xstrdup(e.msg);
    return sup_run_failed(pr, LC_R_EXEC_FAILED, 0, -rc);
}

static enum lc_event act_terminate(struct proc *pr)
{
    struct supervisor *s = pr->s;
    struct process *p = &pr->p;
    uint64_t timeout = (uint64_t)p->app->spec->kill_timeout;

    if (!p->run || p->exited) {
        enum lc_event ev = sup_stop_progress(pr);

        if (ev == NO_EVENT)
            sup_look(pr);
        return ev;
    }
    if (!p->pid || p->signaled_ms)
        return NO_EVENT; /* the fork's answer is under way: LC_EV_CHILD brings us back here */
    p->signaled_ms = sup_wall(s);
    p->deadline_ms = p->signaled_ms + timeout;
    sup_timer(pr, SYS_TIMER_STATE, timeout);
    p->disconnecting = pr->drain && s->sys.drain && s->sys.drain(s->sys.ctx, p);
    if (!p->disconnecting)
        s->sys.terminate(s->sys.ctx, p);
    return NO_EVENT;
}

static enum lc_event act_online(struct proc *pr)
{
    struct supervisor *s = pr->s;

    pr->p.online_ms = sup_wall(s);
    pr->online_mono = sup_mono(s);
    if (sup_has_waiter(pr, WANT_UP))
        sup_timer(pr, SYS_TIMER_SETTLE, SETTLE_MS);
    return NO_EVENT;
}

static enum lc_event act_delay(struct proc *pr)
{
    uint64_t in = pr->delay;

    pr->due = sup_mono(pr->s) + pr->delay;
    pr->p.deadline_ms = sup_wall(pr->s) + pr->delay;
    /* The look at what the last run left is under way. Its answer shortens this again, but nothing that
     * happens to it can hold the respawn for longer. */
    if (pr->hold_run && in < LEFTOVER_GRACE_MS)
        in = LEFTOVER_GRACE_MS;
    if (pr->candidate)
        return NO_EVENT; /* what replaces it is on its way; when that fails the timer is armed */
    sup_timer(pr, SYS_TIMER_STATE, in);
    return NO_EVENT;
}

static enum lc_event act(struct proc *pr, enum lc_action action)
{
    switch (action) {
    case LC_ACT_SPAWN:
        return act_spawn(pr);
    case LC_ACT_TERMINATE:
        return act_terminate(pr);
    case LC_ACT_KILL:
        pr->p.deadline_ms = 0;
        sup_kill(pr);
        return NO_EVENT;
    case LC_ACT_ONLINE:
        return act_online(pr);
    case LC_ACT_DELAY:
        return act_delay(pr);
    case LC_ACT_IGNORE:
    case LC_ACT_SETTLE: /* after the change is told: see sup_post */
    case LC_ACT_COUNT:
        break;
    }
    return NO_EVENT;
}

void sup_start_or_hold(struct proc *pr, enum lc_event ev)
{
    struct supervisor *s = pr->s;
    struct process *p = &pr->p;
    enum lc_state old = p->state;
    struct sys_hold why = {0};

    if (p->role != ROLE_SLOT || !s->sys.hold || !s->sys.hold(s->sys.ctx, p, &why)) {
        p->held = false;
        sup_post(pr, ev);
        return;
    }
    if (old == LC_ERRORED) {
        sup_forget_run(pr);
        set_state(pr, LC_STOPPED, ev);
    }
    if (!p->held || old != p->state) {
        p->held = true;
        p->reason = LC_R_NONE;
        s->sys.changed(s->sys.ctx, p, old);
    }
    if (why.failed[0])
        sup_answer(pr, WANT_UP, why.failed, 0);
}

void sup_post(struct proc *pr, enum lc_event ev)
{
    struct supervisor *s = pr->s;

    while (ev != NO_EVENT && !pr->gone) {
        enum lc_state old = pr->p.state;
        const struct lc_cell *cell = &lc_table[old][ev];

        assert(cell->action);
        if (cell->action == LC_ACT_IGNORE) {
            log_debug("%s (%u): %s ignored while %s", pr->p.app->spec->name, pr->p.id, lc_event_word(ev),
                      lc_state_word(old));
            break;
        }
        set_state(pr, (enum lc_state)cell->next, ev);
        ev = act(pr, (enum lc_action)cell->action);
        s->sys.changed(s->sys.ctx, &pr->p, old);
        if (cell->action == LC_ACT_SETTLE)
            sup_settle(pr);
    }
    if (pr->up == UP_PENDING || pr->gone)
        return;
    sup_answer(pr, WANT_UP, pr->up == UP_OK ? NULL : pr->up_error, pr->up == UP_OK ? 0 : pr->up_run);
    pr->up = UP_PENDING;
}
