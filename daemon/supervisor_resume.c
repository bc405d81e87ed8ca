/* After an engine's start: every life cycle goes on where the last engine left it. */
#include "common/plog.h"
#include "config/times.h"
#include "daemon/supervisor_impl.h"

#define LEFTOVER_MEMORY_MS                                                                                   \
    10000u /* beyond kill_timeout: leftovers of runs that ended longer ago are gone                          \
            */

static uint64_t remaining(const struct proc *pr, uint64_t deadline_ms)
{
    uint64_t now = sup_wall(pr->s);

    return deadline_ms > now ? deadline_ms - now : 0;
}

/* The old engine took what it knew of leftovers with it. Only runs that ended by themselves have any: the
 * tree of a stopped run was seen empty. A second polite signal does no harm. */
static void resume_leftovers(struct proc *pr)
{
    struct supervisor *s = pr->s;
    const struct process *p = &pr->p;
    const struct last_exit *l = &p->last;
    uint64_t until = l->ended_ms + (uint64_t)p->app->spec->kill_timeout + LEFTOVER_MEMORY_MS;
    bool by_itself = l->reason == LC_R_EXIT || l->reason == LC_R_SIGNAL || l->reason == LC_R_LOST;

    if (!p->app->spec->treekill || !l->valid || l->run == p->run || !by_itself || sup_wall(s) > until)
        return;
    sup_leftover_add(pr, l->run)->asked = true;
    s->sys.sweep(s->sys.ctx, &pr->p, l->run, true);
}

static void record_lost(struct proc *pr)
{
    struct run_end end = {.run = pr->p.run, .end_us = sup_wall(pr->s) * 1000};

    sup_record_end(pr, &end, pr->p.state == LC_STOPPING ? pr->p.reason : LC_R_LOST, 0, 0);
}

static void resume_dead(struct proc *pr)
{
    struct process *p = &pr->p;

    bool wanted = p->desired == DESIRED_UP;
    enum lc_event ev;

    if (!p->run || (!p->pid && !p->exited)) {
        /* The spawn was never carried out: there is no run to judge. */
        sup_forget_run(pr);
        pr->next_fresh = p->fresh;
        sup_post(pr, wanted ? LC_EV_END_AGAIN : LC_EV_END_FINAL);
        return;
    }
    sup_set_by(pr, NULL);
    if (!p->exited)
        record_lost(pr);
    ev = sup_ended_by_itself(pr);
    sup_post(pr, wanted ? ev : LC_EV_END_FINAL);
}

static void resume_up(struct proc *pr)
{
    struct process *p = &pr->p;

    if (p->state == LC_LAUNCHING && !sup_waits_ready(pr)) {
        sup_post(pr, LC_EV_READY);
    } else if (p->state == LC_LAUNCHING) {
        if (!p->deadline_ms)
            p->deadline_ms = sup_wall(pr->s) + sup_ready_limit(pr);
        sup_timer(pr, SYS_TIMER_STATE, remaining(pr, p->deadline_ms));
    } else if (!p->online_ms) {
        p->online_ms = p->started_ms;
    }
    /* The stop was wanted, and the engine died before it got to it. */
    if (p->desired == DESIRED_DOWN)
        sup_post(pr, LC_EV_STOP);
}

static void resume_stopping(struct proc *pr, bool child_alive)
{
    struct process *p = &pr->p;
    struct supervisor *s = pr->s;
    enum lc_event ev;

    if (p->run && child_alive && !p->exited) {
        if (!p->signaled_ms) {
            sup_post(pr, LC_EV_CHILD); /* sends the polite signal */
            return;
        }
        if (!p->deadline_ms)
            p->deadline_ms = p->signaled_ms + (uint64_t)p->app->spec->kill_timeout;
        sup_timer(pr, SYS_TIMER_STATE, remaining(pr, p->deadline_ms));
        return;
    }
    if (p->run && !p->exited) {
        if (p->pid)
            record_lost(pr);
        else
            sup_forget_run(pr);
    }
    if (p->run && !p->app->spec->treekill)
        p->tree_empty = true;
    ev = sup_stop_progress(pr);
    if (ev != NO_EVENT) {
        sup_post(pr, ev);
        return;
    }
    if (p->run && !p->signaled_ms) {
        /* The child died before its polite signal; what is left of its tree gets it now. */
        p->signaled_ms = sup_wall(s);
        p->sweeping = true;
        s->sys.sweep(s->sys.ctx, p, p->run, true);
    }
    if (p->run)
        sup_timer(pr, SYS_TIMER_STATE, remaining(pr, p->signaled_ms + (uint64_t)p->app->spec->kill_timeout));
    sup_look(pr);
}

static void resume_waiting(struct proc *pr)
{
    struct process *p = &pr->p;
    uint64_t left = remaining(pr, p->deadline_ms);

    if (p->desired == DESIRED_DOWN) {
        sup_post(pr, LC_EV_STOP);
        return;
    }
    pr->due = sup_mono(pr->s) + left;
    if (pr->candidate)
        return;
    sup_timer(pr, SYS_TIMER_STATE, left);
}

static void resume_at_rest(struct proc *pr)
{
    struct process *p = &pr->p;

    if (p->reason == LC_R_DELETED)
        sup_settle(pr);
    else if (p->state == LC_STOPPED && p->reason == LC_R_SHUTDOWN && app_is_job(p->app->spec))
        p->desired = DESIRED_DOWN; /* it was ended with the daemon, and waits for its next time */
    else if (p->state == LC_STOPPED && p->desired == DESIRED_UP)
        /* Not a user's start: what cannot be executed yet (a mount still missing after boot) is retried. */
        sup_start_or_hold(pr, LC_EV_START);
}

void supervisor_resume(struct supervisor *s, struct process *p, bool child_alive)
{
    struct proc *pr = proc_of(p);

    sup_enter(s);
    p->exited = p->run && p->last.valid && p->last.run == p->run;
    p->tree_empty = false;
    p->sweeping = false;
    p->delete_when_down = p->reason == LC_R_DELETED;
    pr->next_fresh = p->state == LC_STOPPING && p->reason == LC_R_RESTARTED;
    pr->online_mono = sup_mono(s) >= SETTLE_MS ? sup_mono(s) - SETTLE_MS : 0;
    if (p->run && (p->state == LC_STOPPED || p->state == LC_WAITING || p->state == LC_ERRORED))
        sup_forget_run(pr); /* the store keeps the number of the last run */
    if (p->run)
        idmap_put(&s->by_run, p->run, pr);
    resume_leftovers(pr);
    switch (p->state) {
    case LC_LAUNCHING:
    case LC_ONLINE:
        if (p->role == ROLE_DRAINING)
            sup_replace(pr, 0, p->by); /* the last engine died just before it began with that */
        else if (p->role == ROLE_CANDIDATE && child_alive)
            sup_resume_candidate(pr);
        else if (child_alive && !p->exited)
            resume_up(pr);
        else
            resume_dead(pr);
        break;
    case LC_STOPPING:
        resume_stopping(pr, child_alive);
        break;
    case LC_WAITING:
        resume_waiting(pr);
        break;
    default:
        resume_at_rest(pr);
        break;
    }
    sup_leave(s);
}
