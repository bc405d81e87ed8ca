/* start, stop, restart, delete: set what is desired, tell who is overtaken, and post the event. */
#include <stdio.h>
#include <string.h>

#include "daemon/supervisor_impl.h"

void sup_overtake(struct proc *pr, enum want want, const char *command, const char *by)
{
    char words[256];

    if (by && *by)
        snprintf(words, sizeof(words), "overtaken by: %s (%s)", command, by);
    else
        snprintf(words, sizeof(words), "overtaken by: %s", command);
    sup_answer(pr, want, words, 0);
}

/* A user's start or restart begins a new life: the budget and the backoff are as at the first day. */
static void begin_afresh(struct proc *pr, const char *by)
{
    struct process *p = &pr->p;

    p->desired = DESIRED_UP;
    p->counters.unstable = 0;
    p->counters.backoff_delay = 0;
    p->created_ms = sup_wall(pr->s);
    pr->next_fresh = true;
    sup_set_by(pr, by);
}

static bool refuse_deleted(struct proc *pr, waiter_cb cb, void *arg)
{
    if (!pr->p.delete_when_down)
        return false;
    sup_wait(pr, WANT_UP, cb, arg);
    sup_answer(pr, WANT_UP, "it is being deleted", 0);
    return true;
}

static bool is_settled(const struct proc *pr)
{
    return pr->p.state == LC_ONLINE && sup_mono(pr->s) - pr->online_mono >= SETTLE_MS;
}

/* Where nothing has to be stopped first, start and restart are the same. */
static bool is_up(const struct proc *pr)
{
    return pr->p.state == LC_LAUNCHING || pr->p.state == LC_ONLINE;
}

static bool is_at_rest(const struct proc *pr)
{
    return pr->p.state == LC_STOPPED || pr->p.state == LC_ERRORED;
}

static void bring_up(struct proc *pr, enum lc_event ev)
{
    if (is_at_rest(pr))
        sup_start_or_hold(pr, ev);
    else
        sup_post(pr, ev);
}

static void start(struct proc *pr, const char *by, waiter_cb cb, void *arg)
{
    struct process *p = &pr->p;

    sup_overtake(pr, WANT_DOWN, "start", by);
    sup_wait(pr, WANT_UP, cb, arg);
    if (is_up(pr)) {
        if (is_settled(pr))
            sup_answer(pr, WANT_UP, NULL, 0);
        else if (p->state == LC_ONLINE)
            sup_timer(pr, SYS_TIMER_SETTLE, SETTLE_MS - (sup_mono(pr->s) - pr->online_mono));
        return;
    }
    sup_end_reload(pr, "start", LC_R_RESTARTED, by, false);
    begin_afresh(pr, by);
    if (p->state == LC_STOPPING) {
        p->reason = LC_R_RESTARTED;
        sup_changed(pr);
    }
    bring_up(pr, LC_EV_START);
}

void supervisor_start(struct supervisor *s, struct process *p, const char *by, waiter_cb cb, void *arg)
{
    sup_enter(s);
    if (!refuse_deleted(proc_of(p), cb, arg))
        start(proc_of(p), by, cb, arg);
    sup_leave(s);
}

void sup_restart(struct proc *pr, const char *by, waiter_cb cb, void *arg)
{
    struct process *p = &pr->p;

    sup_overtake(pr, WANT_DOWN, "restart", by);
    sup_end_reload(pr, "restart", LC_R_RESTARTED, by, false);
    pr->drain = false;
    sup_wait(pr, WANT_UP, cb, arg);
    begin_afresh(pr, by);
    if (is_up(pr))
        p->counters.restarts++;
    if (is_up(pr) || p->state == LC_STOPPING)
        p->reason = LC_R_RESTARTED;
    if (p->state == LC_STOPPING)
        sup_changed(pr);
    bring_up(pr, LC_EV_RESTART);
}

void supervisor_restart(struct supervisor *s, struct process *p, const char *by, waiter_cb cb, void *arg)
{
    sup_enter(s);
    if (!refuse_deleted(proc_of(p), cb, arg))
        sup_restart(proc_of(p), by, cb, arg);
    sup_leave(s);
}

void supervisor_kill_and_restart(struct supervisor *s, struct process *p, const char *by, waiter_cb cb,
                                 void *arg)
{
    sup_enter(s);
    if (!refuse_deleted(proc_of(p), cb, arg)) {
        sup_restart(proc_of(p), by, cb, arg);
        if (p->pid && !p->exited)
            sup_post(proc_of(p), LC_EV_KILL_DUE);
    }
    sup_leave(s);
}

static void stop(struct proc *pr, enum lc_reason why, const char *by, bool drain)
{
    struct process *p = &pr->p;
    bool finished = p->state == LC_STOPPED && p->desired == DESIRED_DOWN;

    sup_end_reload(pr, why == LC_R_DELETED ? "delete" : "stop", why, by, !drain);
    pr->drain = drain;
    if (p->state == LC_STOPPING && !drain)
        sup_polite_now(pr);

    pr->next_fresh = false;
    p->held = false;
    /* What is down already keeps the reason for it, which tells more: "exited with code 0". */
    if (!finished) {
        p->reason = why;
        sup_set_by(pr, by);
    }
    if (why != LC_R_SHUTDOWN)
        p->desired = DESIRED_DOWN;
    if (p->state == LC_STOPPING)
        sup_changed(pr);
    pr->looks = 0;
    if (p->state == LC_STOPPED)
        sup_leftovers_look(pr);
    sup_post(pr, LC_EV_STOP);
}

void supervisor_stop(struct supervisor *s, struct process *p, enum lc_reason why, const char *by,
                     waiter_cb cb, void *arg)
{
    struct proc *pr = proc_of(p);

    sup_enter(s);
    sup_overtake(pr, WANT_UP, "stop", by);
    sup_wait(pr, WANT_DOWN, cb, arg);
    /* A delete that is under way stays one, also in its words. */
    stop(pr, p->delete_when_down ? LC_R_DELETED : why, by, false);
    sup_leave(s);
}

static void delete (struct supervisor *s, struct process *p, const char *by, bool drain, waiter_cb cb,
                    void *arg)
{
    struct proc *pr = proc_of(p);

    sup_enter(s);
    sup_overtake(pr, WANT_UP, "delete", by);
    sup_wait(pr, WANT_GONE, cb, arg);
    p->delete_when_down = true;
    stop(pr, LC_R_DELETED, by, drain);
    sup_leave(s);
}

void supervisor_delete(struct supervisor *s, struct process *p, const char *by, waiter_cb cb, void *arg)
{
    delete (s, p, by, false, cb, arg);
}

void supervisor_retire(struct supervisor *s, struct process *p, const char *by, waiter_cb cb, void *arg)
{
    delete (s, p, by, true, cb, arg);
}

void supervisor_try_held(struct supervisor *s, struct process *p)
{
    sup_enter(s);
    if (p->held)
        sup_start_or_hold(proc_of(p), LC_EV_START);
    sup_leave(s);
}

void supervisor_reset(struct supervisor *s, struct process *p)
{
    struct proc *pr = proc_of(p);

    sup_enter(s);
    p->counters.restarts = 0;
    p->counters.unstable = 0;
    p->created_ms = sup_wall(s);
    sup_changed(pr);
    sup_leave(s);
}
