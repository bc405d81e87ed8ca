/*
 * Reload: a new run beside the old one, in a process object of its own (the candidate), which takes the
 * slot's place when it is fit to. What was replaced is drained. Both are "shadows": of the same id as the
 * slot, and in none of the lists that users see.
 */
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "daemon/supervisor_impl.h"

struct proc *sup_slot_of(const struct proc *shadow)
{
    struct process *p = supervisor_by_id(shadow->s, shadow->p.id);

    return p && p->app->id == shadow->p.app->id ? proc_of(p) : NULL;
}

static struct proc *shadow_of(const struct proc *slot, enum process_role role)
{
    struct process *p;

    TAILQ_FOREACH (p, &slot->s->shadows, entry)
        if (p->id == slot->p.id && p->role == role && p->app->id == slot->p.app->id)
            return proc_of(p);
    return NULL;
}

bool sup_has_shadows(const struct proc *slot)
{
    return shadow_of(slot, ROLE_DRAINING) || shadow_of(slot, ROLE_CANDIDATE);
}

/* The slot respawns by itself again, if its run ended meanwhile. */
static void release(struct proc *slot)
{
    uint64_t now = sup_mono(slot->s), in = slot->due > now ? slot->due - now : 0;

    slot->candidate = NULL;
    if (slot->p.state != LC_WAITING)
        return;
    if (slot->hold_run && in < LEFTOVER_GRACE_MS)
        in = LEFTOVER_GRACE_MS;
    sup_timer(slot, SYS_TIMER_STATE, in);
}

void sup_candidate_detach(struct proc *pr)
{
    struct proc *slot = sup_slot_of(pr);

    if (slot && slot->candidate == pr)
        release(slot);
}

static void stop_candidate(struct proc *pr, enum lc_reason why, const char *by)
{
    sup_candidate_detach(pr);
    pr->p.reason = why;
    pr->p.desired = DESIRED_DOWN;
    sup_set_by(pr, by);
    pr->looks = 0;
    sup_post(pr, LC_EV_STOP);
}

void sup_polite_now(struct proc *pr)
{
    struct supervisor *s = pr->s;
    struct process *p = &pr->p;

    if (!p->disconnecting)
        return;
    p->disconnecting = false;
    p->signaled_ms = sup_wall(s);
    p->deadline_ms = p->signaled_ms + (uint64_t)p->app->spec->kill_timeout;
    sup_timer(pr, SYS_TIMER_STATE, (uint64_t)p->app->spec->kill_timeout);
    if (!p->exited) {
        s->sys.terminate(s->sys.ctx, p);
    } else {
        p->sweeping = true; /* what it left */
        s->sys.sweep(s->sys.ctx, p, p->run, true);
    }
    sup_changed(pr);
}

void sup_end_reload(struct proc *slot, const char *command, enum lc_reason why, const char *by, bool hurry)
{
    struct process *p;

    if (slot->p.role != ROLE_SLOT)
        return;
    sup_overtake(slot, WANT_RELOAD, command, by);
    if (slot->candidate)
        stop_candidate(slot->candidate, why, by);
    if (!hurry)
        return;
    TAILQ_FOREACH (p, &slot->s->shadows, entry)
        if (p->role == ROLE_DRAINING && p->id == slot->p.id)
            sup_polite_now(proc_of(p));
}

/* --- the new one --- */

static struct proc *candidate_new(struct proc *slot, enum process_role role, struct app_spec *take_spec)
{
    struct supervisor *s = slot->s;
    struct proc *pr = sup_proc_new(s, slot->p.app, slot->p.instance, slot->p.id);

    pr->p.role = role;
    pr->p.created_ms = slot->p.created_ms;
    pr->p.counters = slot->p.counters;
    pr->p.times = slot->p.times;
    if (take_spec) {
        pr->own_app = xcalloc(1, sizeof(*pr->own_app));
        pr->own_app->id = slot->p.app->id;
        pr->own_app->spec = take_spec;
        TAILQ_INIT(&pr->own_app->processes);
        pr->p.app = pr->own_app;
    }
    TAILQ_INSERT_TAIL(&s->shadows, &pr->p, entry);
    if (s->sys.shadow_made)
        s->sys.shadow_made(s->sys.ctx, &pr->p);
    return pr;
}

static bool listens(struct proc *pr)
{
    const struct sys *sys = &pr->s->sys;

    return sys->listens && sys->listens(sys->ctx, &pr->p);
}

static void begin(struct proc *slot, struct app_spec *take_spec, const char *by, waiter_cb cb, void *arg)
{
    struct proc *pr = candidate_new(slot, ROLE_CANDIDATE, take_spec);

    slot->candidate = pr;
    pr->p.must_listen = listens(slot);
    pr->p.desired = DESIRED_UP;
    pr->next_fresh = true;
    sup_set_by(pr, by);
    sup_wait(slot, WANT_RELOAD, cb, arg);
    sup_post(pr, LC_EV_START);
}

/* Why there can be no reload now; NULL when it can. */
static const char *hindrance(const struct proc *slot, bool force)
{
    if (slot->p.delete_when_down)
        return "it is being deleted";
    if (slot->candidate)
        return "it is being reloaded already";
    if (shadow_of(slot, ROLE_CANDIDATE))
        return "the new process of the last reload is still being stopped";
    if (!force && shadow_of(slot, ROLE_DRAINING))
        return "it was reloaded just now: the process before is still finishing its connections (--force "
               "does "
               "not wait for it)";
    return NULL;
}

void supervisor_reload(struct supervisor *s, struct process *p, struct app_spec *take_spec, bool force,
                       const char *by, waiter_cb cb, void *arg)
{
    struct proc *slot = proc_of(p);
    const char *error = hindrance(slot, force);

    sup_enter(s);
    if (error) {
        app_spec_free(take_spec);
        /* A kind of its own, so that the reload that is under way is not answered. */
        sup_wait(slot, WANT_NOTHING, cb, arg);
        sup_answer(slot, WANT_NOTHING, error, 0);
    } else if (p->state == LC_ONLINE) {
        begin(slot, take_spec, by, cb, arg);
    } else {
        if (take_spec)
            s->sys.set_spec(s->sys.ctx, p->app, take_spec);
        sup_restart(slot, by, cb, arg);
    }
    sup_leave(s);
}

/* --- is it fit? --- */

/* Is there something that the candidate can show? Else it has to live for a while. */
static bool has_proof(const struct proc *pr)
{
    return sup_waits_ready(pr) || pr->p.must_listen;
}

static bool lacks_sockets(struct proc *pr, const struct proc *slot)
{
    const struct sys *sys = &pr->s->sys;
    struct process *old = slot ? (struct process *)&slot->p : NULL;

    if (old && old->state == LC_ONLINE && sys->listens && sys->listens(sys->ctx, old)) {
        pr->p.must_listen = true;
        return !sys->listens_as || !sys->listens_as(sys->ctx, &pr->p, old);
    }
    return pr->p.must_listen && !listens(pr);
}

static uint64_t at_least_0(int64_t v)
{
    return v < 0 ? 0 : (uint64_t)v;
}

/* From the exec on. */
static uint64_t time_limit(const struct proc *pr)
{
    const struct app_spec *spec = pr->p.app->spec;

    return has_proof(pr) ? sup_ready_limit(pr) : at_least_0(spec->min_uptime);
}

static void take_lists(struct proc *pr, struct proc *old)
{
    struct supervisor *s = pr->s;

    TAILQ_REMOVE(&s->shadows, &pr->p, entry);
    TAILQ_INSERT_AFTER(&s->processes, &old->p, &pr->p, entry);
    TAILQ_REMOVE(&s->processes, &old->p, entry);
    TAILQ_INSERT_TAIL(&s->shadows, &old->p, entry);
    TAILQ_INSERT_AFTER(&old->p.app->processes, &old->p, &pr->p, app_entry);
    TAILQ_REMOVE(&old->p.app->processes, &old->p, app_entry);
    idmap_del(&s->by_id, old->p.id);
    idmap_put(&s->by_id, pr->p.id, pr);
    pr->p.role = ROLE_SLOT;
    old->p.role = ROLE_DRAINING;
    old->candidate = NULL;
}

/* What belongs to the slot, whoever holds it. */
static void take_state(struct proc *pr, struct proc *old)
{
    struct process *p = &pr->p;

    p->counters.restarts = old->p.counters.restarts + 1;
    p->counters.unstable = 0;
    p->counters.backoff_delay = 0;
    p->created_ms = old->p.created_ms;
    p->times = old->p.times;
    p->last = old->p.last;
    p->order = old->p.order;
    p->order_up = old->p.order_up;
    TAILQ_CONCAT(&p->waiters, &old->p.waiters, entry);
}

static void take_spec_of(struct proc *pr, struct app *app)
{
    const struct sys *sys = &pr->s->sys;
    struct app *own = pr->own_app;

    if (!own)
        return;
    pr->p.app = app;
    pr->own_app = NULL;
    if (sys->app_gone)
        sys->app_gone(sys->ctx, own);
    sys->set_spec(sys->ctx, app, own->spec);
    free(own);
}

void sup_replace(struct proc *old, uint64_t successor, const char *by)
{
    struct process *p = &old->p;

    old->successor = successor;
    old->drain = true;
    old->looks = 0;
    p->reason = LC_R_RELOADED;
    p->desired = DESIRED_DOWN;
    sup_set_by(old, by);
    if (p->state == LC_STOPPED)
        sup_leftovers_look(old);
    sup_post(old, LC_EV_STOP);
}

/* The note of the new one goes first: an engine that dies between the two finds the old one as an earlier run
 * of the slot, and goes on with draining it. */
static void commit(struct proc *pr, struct proc *old)
{
    struct supervisor *s = pr->s;
    struct process *p;

    TAILQ_FOREACH (p, &s->shadows, entry) /* of an earlier reload, when this one was forced */
        if (p->role == ROLE_DRAINING && p->id == old->p.id)
            proc_of(p)->successor = pr->p.run;
    sup_timer_clear(pr, SYS_TIMER_STATE);
    take_spec_of(pr, old->p.app);
    take_lists(pr, old);
    take_state(pr, old);
    sup_timer_clear(old, SYS_TIMER_SETTLE);
    sup_post(pr, LC_EV_READY);
    if (s->sys.replaced)
        s->sys.replaced(s->sys.ctx, &pr->p, &old->p);
    sup_replace(old, pr->p.run, pr->p.by);
}

static bool is_fit(struct proc *pr, const struct proc *slot)
{
    return !sup_lacks_ready(pr) && !lacks_sockets(pr, slot);
}

void sup_candidate_check(struct proc *pr)
{
    struct proc *slot = sup_slot_of(pr);

    if (!slot || slot->candidate != pr || pr->p.state != LC_LAUNCHING || pr->p.exited)
        return;
    if (is_fit(pr, slot) && has_proof(pr))
        commit(pr, slot);
}

void sup_candidate_started(struct proc *pr)
{
    uint64_t limit = time_limit(pr);

    pr->p.deadline_ms = sup_wall(pr->s) + limit;
    sup_timer(pr, SYS_TIMER_STATE, limit);
    sup_changed(pr);
    sup_candidate_check(pr);
}

static void say_late(struct proc *pr)
{
    char limit[32], words[230];

    sup_duration_words(sup_ready_limit(pr), limit, sizeof(limit));
    sup_late_words(pr, words, sizeof(words));
    if (sup_lacks_ready(pr))
        snprintf(pr->up_error, sizeof(pr->up_error), "was %s", words);
    else if (listens(pr))
        snprintf(pr->up_error, sizeof(pr->up_error), "did not listen where the old one does within %s",
                 limit);
    else
        snprintf(pr->up_error, sizeof(pr->up_error), "was not listening within %s", limit);
    pr->up_run = pr->p.run;
}

void sup_candidate_due(struct proc *pr)
{
    struct proc *slot = sup_slot_of(pr);
    bool had_proof = has_proof(pr);

    if (slot && slot->candidate == pr && is_fit(pr, slot)) {
        commit(pr, slot);
        return;
    }
    /* The old one has begun to listen only now: the new one has until listen_timeout as well. */
    if (!had_proof && pr->p.app->spec->listen_timeout > pr->p.app->spec->min_uptime) {
        uint64_t more = (uint64_t)(pr->p.app->spec->listen_timeout - pr->p.app->spec->min_uptime);

        pr->p.deadline_ms = sup_wall(pr->s) + more;
        sup_timer(pr, SYS_TIMER_STATE, more);
        sup_changed(pr);
        return;
    }
    say_late(pr);
    pr->drain = listens(pr); /* it has had connections since it listens: nobody is to lose by the attempt */
    pr->p.reason = LC_R_RELOAD_FAILED;
    sup_candidate_detach(pr);
    sup_post(pr, LC_EV_READY_TIMEOUT);
}

/* --- the end of shadows --- */

static void say_failure(struct proc *slot, const struct proc *pr)
{
    const struct last_exit *l = &pr->p.last;
    bool no_run = l->valid && (l->reason == LC_R_EXEC_FAILED || l->reason == LC_R_SPAWN_REFUSED);
    char words[256];

    snprintf(words, sizeof(words), "the new process %s%.170s; %s", no_run ? "did not start: " : "",
             pr->up_error[0] ? pr->up_error : "was stopped",
             slot->p.state == LC_ONLINE ? "the old one goes on" : "the old one has ended meanwhile as well");
    sup_answer(slot, WANT_RELOAD, words, pr->up_run ? pr->up_run : l->run);
}

static void say_success(struct proc *slot, const struct proc *pr)
{
    char end[170], words[256];

    if (sup_has_shadows(slot))
        return; /* of a forced reload: the later ones tell */
    if (!pr->successor || slot->p.run == pr->successor) {
        sup_answer(slot, WANT_RELOAD, NULL, 0);
        return;
    }
    sup_end_words(slot, end, sizeof(end));
    snprintf(words, sizeof(words), "the new process took over, and then it %s", end);
    sup_answer(slot, WANT_RELOAD, words, slot->p.last.run);
}

void sup_shadow_settle(struct proc *pr)
{
    struct supervisor *s = pr->s;
    struct proc *slot = sup_slot_of(pr);

    for (int t = 0; t < SYS_TIMER_COUNT; t++)
        sup_timer_clear(pr, (enum sys_timer)t);
    sup_candidate_detach(pr);
    TAILQ_REMOVE(&s->shadows, &pr->p, entry);
    pr->gone = true;
    if (s->sys.shadow_gone)
        s->sys.shadow_gone(s->sys.ctx, &pr->p);
    if (pr->own_app && s->sys.app_gone)
        s->sys.app_gone(s->sys.ctx, pr->own_app);
    SLIST_INSERT_HEAD(&s->graveyard, pr, grave);
    if (!slot)
        return;
    if (pr->p.role == ROLE_CANDIDATE)
        say_failure(slot, pr);
    else
        say_success(slot, pr);
    sup_settle(slot);
}

void sup_tell_stuck(struct proc *pr, const char *words, uint64_t run)
{
    struct proc *slot;

    if (pr->p.role == ROLE_SLOT) {
        sup_answer_all(pr, words, run);
        return;
    }
    slot = sup_slot_of(pr);
    if (!slot)
        return;
    sup_answer(slot, WANT_RELOAD, words, run);
    if (slot->p.state == LC_STOPPED || slot->p.state == LC_ERRORED) {
        sup_answer(slot, WANT_DOWN, words, run);
        sup_answer(slot, WANT_GONE, words, run);
    }
}

/* --- after an engine's start --- */

struct process *supervisor_add_shadow(struct supervisor *s, struct process *slot, enum process_role role,
                                      const uint8_t *note, size_t len, struct app_spec *take_spec)
{
    struct process probe = {0};
    struct proc *pr;

    (void)s;
    if (process_note_read(&probe, note, len) < 0) {
        app_spec_free(take_spec);
        return NULL;
    }
    pr = candidate_new(proc_of(slot), role, take_spec);
    process_note_read(&pr->p, note, len);
    if (role == ROLE_CANDIDATE && pr->p.state == LC_LAUNCHING && !proc_of(slot)->candidate)
        proc_of(slot)->candidate = pr;
    return &pr->p;
}

void sup_resume_candidate(struct proc *pr)
{
    struct process *p = &pr->p;
    struct proc *slot = sup_slot_of(pr);
    uint64_t now = sup_wall(pr->s);

    if (!slot || slot->candidate != pr || slot->p.delete_when_down) {
        stop_candidate(pr, LC_R_RELOAD_FAILED, p->by);
        return;
    }
    if (!p->deadline_ms) {
        sup_candidate_started(pr);
        return;
    }
    sup_timer(pr, SYS_TIMER_STATE, p->deadline_ms > now ? p->deadline_ms - now : 0);
    sup_candidate_check(pr);
}
