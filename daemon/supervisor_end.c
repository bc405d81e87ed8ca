/* How runs end: the record, the judgement, and the emptying of a stopped run's tree. */
#include <stdio.h>
#include <sys/wait.h>

#include "common/mem.h"
#include "config/times.h"
#include "daemon/supervisor_impl.h"

/* The end of a run that was replaced is the last end of its slot, unless the next one has ended as well. */
static void tell_slot(struct proc *pr)
{
    struct proc *slot = sup_slot_of(pr);

    if (!slot || (slot->p.last.valid && slot->p.last.run > pr->p.last.run))
        return;
    slot->p.last = pr->p.last;
    sup_changed(slot);
}

void sup_record_end(struct proc *pr, const struct run_end *end, enum lc_reason reason, int step, int error)
{
    struct supervisor *s = pr->s;
    struct process *p = &pr->p;

    p->last = (struct last_exit){
        .valid = true,
        .run = p->run,
        .started_ms = p->started_ms,
        .ended_ms = end->end_us ? end->end_us / 1000 : sup_wall(s),
        .reason = reason,
        .exit_code = -1,
        .step = step,
        .error = error,
    };
    /* A clock that was set back must not give a run that lasted for ages. */
    if (p->last.ended_ms < p->last.started_ms)
        p->last.ended_ms = p->last.started_ms;
    if (end->status_known && WIFEXITED(end->wait_status))
        p->last.exit_code = WEXITSTATUS(end->wait_status);
    if (end->status_known && WIFSIGNALED(end->wait_status)) {
        p->last.signal = WTERMSIG(end->wait_status);
        p->last.core = WCOREDUMP(end->wait_status);
    }
    p->exited = true;
    if (p->role == ROLE_DRAINING)
        tell_slot(pr);
    s->sys.run_ended(s->sys.ctx, p, end);
}

static uint32_t clamp_u32(int64_t v)
{
    return v < 0 ? 0 : v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

/* Turns p->last into the event that follows, and sets reason, desired and delay to match. */
static enum lc_event judge(struct proc *pr)
{
    struct supervisor *s = pr->s;
    struct process *p = &pr->p;
    const struct app_spec *spec = p->app->spec;
    struct lc_policy policy = {
        .autorestart = spec->autorestart && !app_is_job(spec),
        .min_uptime = clamp_u32(spec->min_uptime),
        .max_restarts = clamp_u32(spec->max_restarts),
        .restart_delay = clamp_u32(spec->restart_delay),
        .exp_backoff = clamp_u32(spec->exp_backoff_restart_delay),
        .stop_exit_codes = spec->stop_exit_codes.v,
        .n_stop_exit_codes = spec->stop_exit_codes.n,
    };
    struct lc_end end = {
        .reason = p->last.reason,
        .exit_code = p->last.exit_code,
        .uptime_ms = p->last.ended_ms - p->last.started_ms,
        .fresh = p->fresh,
    };
    struct lc_verdict v = lc_judge(&policy, &p->counters, &end);

    p->reason = p->last.reason;
    pr->delay = v.delay_ms;
    /* Instances that crash together (a database went away) must not come back in step. */
    if (policy.exp_backoff && p->instance > 0 && v.delay_ms >= 10)
        pr->delay += s->sys.random(s->sys.ctx, v.delay_ms / 10);
    if (v.event == LC_EV_END_FINAL)
        p->desired = DESIRED_DOWN; /* it has finished: a new engine must not run it again */
    else if (v.event == LC_EV_END_ERRORED && end.reason != LC_R_EXEC_FAILED &&
             end.reason != LC_R_SPAWN_REFUSED)
        p->reason = LC_R_BUDGET;
    return v.event;
}

/* A run ended while somebody waits for it to be up. A job that is done is a success. */
static void tell_up(struct proc *pr, enum lc_event ev)
{
    const struct last_exit *l = &pr->p.last;

    pr->up_run = l->run;
    pr->up = ev == LC_EV_END_FINAL && l->reason == LC_R_EXIT && l->exit_code == 0 ? UP_OK : UP_FAILED;
    sup_end_words(pr, pr->up_error, sizeof(pr->up_error));
}

enum lc_event sup_ended_by_itself(struct proc *pr)
{
    struct supervisor *s = pr->s;
    struct process *p = &pr->p;
    enum lc_event ev = LC_EV_END_FINAL;

    if (p->role == ROLE_SLOT)
        ev = judge(pr);
    else
        p->reason = p->last.reason;
    tell_up(pr, ev);
    if (p->role == ROLE_CANDIDATE)
        sup_candidate_detach(pr);
    if (pr->candidate && ev == LC_EV_END_AGAIN)
        ev = LC_EV_END_DELAY; /* which waits for what the candidate comes to */
    if (p->app->spec->treekill && p->last.reason != LC_R_EXEC_FAILED &&
        p->last.reason != LC_R_SPAWN_REFUSED && !s->sys.left_nothing(s->sys.ctx, p, p->run)) {
        struct leftover *lo = sup_leftover_add(pr, p->run);

        lo->asked = true;
        s->sys.sweep(s->sys.ctx, p, p->run, true);
        if (ev == LC_EV_END_AGAIN)
            ev = LC_EV_END_DELAY; /* of 0 ms, which the look's answer ends */
        if (ev == LC_EV_END_DELAY && pr->delay < LEFTOVER_GRACE_MS)
            pr->hold_run = p->run;
    }
    sup_forget_run(pr);
    return ev;
}

enum lc_event sup_run_failed(struct proc *pr, enum lc_reason reason, int step, int error)
{
    struct process *p = &pr->p;
    struct run_end end = {.run = p->run, .end_us = sup_wall(pr->s) * 1000};

    sup_record_end(pr, &end, reason, step, error);
    if (p->state == LC_STOPPING) {
        p->tree_empty = true; /* no program ever ran: there is no tree */
        return sup_stop_progress(pr);
    }
    return sup_ended_by_itself(pr);
}

enum lc_event sup_stop_progress(struct proc *pr)
{
    struct process *p = &pr->p;
    enum lc_event ev = LC_EV_END_FINAL;

    if (p->run && !(p->exited && p->tree_empty))
        return NO_EVENT;
    if (pr->n_leftovers)
        return NO_EVENT;
    if (p->role != ROLE_SLOT)
        ; /* no other run follows */
    else if (p->reason == LC_R_READY_TIMEOUT && p->last.valid && p->last.reason == LC_R_READY_TIMEOUT)
        ev = judge(pr);
    else if (p->desired == DESIRED_UP && p->reason != LC_R_SHUTDOWN)
        ev = LC_EV_END_AGAIN;
    sup_forget_run(pr);
    return ev;
}

void sup_look(struct proc *pr)
{
    struct supervisor *s = pr->s;
    struct process *p = &pr->p;

    if (p->state == LC_STOPPING && p->run && p->exited && !p->tree_empty && !p->sweeping) {
        p->sweeping = true;
        s->sys.sweep(s->sys.ctx, p, p->run, false);
    }
    sup_leftovers_look(pr);
}

void sup_look_later(struct proc *pr)
{
    static const unsigned pauses[] = {5, 10, 20, 40, 80, 100};
    unsigned i = pr->looks < ARRAY_LEN(pauses) ? pr->looks : ARRAY_LEN(pauses) - 1;

    pr->looks++;
    sup_timer(pr, SYS_TIMER_SWEEP, pauses[i]);
}

void sup_kill(struct proc *pr)
{
    struct supervisor *s = pr->s;

    if (!pr->p.run || (pr->p.exited && pr->p.tree_empty))
        return; /* only leftovers of earlier runs are waited for; they have a timer of their own */
    if (!pr->kill_since)
        pr->kill_since = sup_mono(s);
    pr->p.sweeping = true;
    s->sys.kill(s->sys.ctx, &pr->p);
}
