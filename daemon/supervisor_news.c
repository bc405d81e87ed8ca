/* What the keeper, the timers and the looks at trees tell, turned into life-cycle events. */
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/kwire.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/supervisor_impl.h"

/* One keeper may be killed at any moment; a start that ends three is to blame itself. */
#define UNANSWERED_MAX 3

void supervisor_on_child(struct supervisor *s, uint64_t run, pid_t pid, uint64_t start_ticks,
                         uint64_t start_ms)
{
    struct proc *pr = (struct proc *)supervisor_by_run(s, run);

    if (!pr || pr->p.pid || pr->p.exited)
        return;
    sup_enter(s);
    pr->unanswered = 0;
    pr->p.pid = pid;
    pr->p.start_ticks = start_ticks;
    if (start_ms)
        pr->p.started_ms = start_ms;
    s->sys.run_started(s->sys.ctx, &pr->p);
    if (pr->p.state == LC_STOPPING)
        sup_post(pr, LC_EV_CHILD);
    else
        sup_changed(pr); /* the pid is to be stored, though the table has nothing to do */
    sup_leave(s);
}

void supervisor_on_exec(struct supervisor *s, uint64_t run, int step, int error)
{
    struct proc *pr = (struct proc *)supervisor_by_run(s, run);

    /* `exited`: the exit record was faster; it has been judged as what it says. */
    if (!pr || pr->p.exited)
        return;
    sup_enter(s);
    if (error) {
        if (pr->p.state == LC_LAUNCHING || pr->p.state == LC_ONLINE || pr->p.state == LC_STOPPING)
            sup_post(pr, sup_run_failed(pr, LC_R_EXEC_FAILED, step, error));
    } else if (pr->p.state == LC_LAUNCHING) {
        if (pr->p.role == ROLE_CANDIDATE) {
            sup_candidate_started(pr);
        } else if (!sup_waits_ready(pr)) {
            sup_post(pr, LC_EV_READY);
        } else {
            pr->p.deadline_ms = sup_wall(s) + sup_ready_limit(pr);
            sup_timer(pr, SYS_TIMER_STATE, sup_ready_limit(pr));
            sup_changed(pr);
        }
    }
    sup_leave(s);
}

void supervisor_on_refused(struct supervisor *s, uint64_t run, int step, int error)
{
    struct proc *pr = (struct proc *)supervisor_by_run(s, run);

    if (!pr || pr->p.exited)
        return;
    sup_enter(s);
    sup_post(pr, sup_run_failed(pr, LC_R_SPAWN_REFUSED, step, error));
    sup_leave(s);
}

void supervisor_on_not_spawned(struct supervisor *s, uint64_t run, int rc, const char *words)
{
    struct proc *pr = (struct proc *)supervisor_by_run(s, run);

    if (!pr || pr->p.pid || pr->p.exited)
        return;
    sup_enter(s);
    if (pr->p.state == LC_STOPPING && pr->p.reason != LC_R_NONE) {
        sup_post(pr, sup_run_failed(pr, pr->p.reason, 0, 0));
    } else {
        free(pr->spawn_error);
        pr->spawn_error = xstrdup(words);
        sup_post(pr, sup_run_failed(pr, LC_R_EXEC_FAILED, 0, -rc));
    }
    sup_leave(s);
}

void supervisor_on_unanswered(struct supervisor *s, uint64_t run)
{
    struct proc *pr = (struct proc *)supervisor_by_run(s, run);
    bool fresh;

    if (!pr || pr->p.pid || pr->p.exited)
        return;
    if (++pr->unanswered >= UNANSWERED_MAX) {
        pr->unanswered = 0;
        supervisor_on_refused(s, run, KW_STEP_FORK, EPIPE);
        return;
    }
    sup_enter(s);
    fresh = pr->p.fresh;
    sup_forget_run(pr);
    if (pr->p.state == LC_STOPPING) {
        enum lc_event ev = sup_stop_progress(pr);

        if (ev == NO_EVENT)
            sup_look(pr); /* at what is left of earlier runs */
        sup_post(pr, ev);
    } else {
        pr->next_fresh = fresh;
        sup_post(pr, pr->p.desired == DESIRED_UP ? LC_EV_END_AGAIN : LC_EV_END_FINAL);
    }
    sup_leave(s);
}

void supervisor_on_listening(struct supervisor *s, uint64_t run)
{
    struct proc *pr = (struct proc *)supervisor_by_run(s, run);

    if (!pr || pr->p.role != ROLE_CANDIDATE)
        return;
    sup_enter(s);
    sup_candidate_check(pr);
    sup_leave(s);
}

void supervisor_on_drained(struct supervisor *s, uint64_t run)
{
    struct proc *pr = (struct proc *)supervisor_by_run(s, run);

    if (!pr || pr->p.state != LC_STOPPING)
        return;
    sup_enter(s);
    sup_polite_now(pr);
    sup_leave(s);
}

static enum lc_reason end_reason(const struct process *p, const struct run_end *end)
{
    if (p->state == LC_STOPPING && p->reason != LC_R_NONE)
        return p->reason;
    if (!end->status_known)
        return LC_R_LOST;
    return WIFSIGNALED(end->wait_status) ? LC_R_SIGNAL : LC_R_EXIT;
}

static void exited_while_stopping(struct proc *pr)
{
    struct process *p = &pr->p;
    enum lc_event ev;

    if (!p->app->spec->treekill)
        p->tree_empty = true;
    ev = sup_stop_progress(pr);
    if (ev != NO_EVENT) {
        sup_post(pr, ev);
        return;
    }
    sup_changed(pr);
    /* While a kill is on, its answer (or the timer of the next attempt) takes it from here. */
    if (p->disconnecting)
        sup_polite_now(pr); /* to what it left */
    else if (!pr->kill_since)
        sup_look(pr);
}

void supervisor_on_exit(struct supervisor *s, const struct run_end *end)
{
    struct proc *pr = (struct proc *)supervisor_by_run(s, end->run);

    if (!pr || pr->p.exited)
        return;
    sup_enter(s);
    if (pr->p.state == LC_STOPPING) {
        sup_record_end(pr, end, end_reason(&pr->p, end), 0, 0);
        exited_while_stopping(pr);
    } else {
        sup_set_by(pr, NULL); /* nobody asked for this end */
        sup_record_end(pr, end, end_reason(&pr->p, end), 0, 0);
        sup_post(pr, sup_ended_by_itself(pr));
    }
    sup_leave(s);
}

/* SIGKILL was sent and something still lives: in an uninterruptible sleep, or just slow to die. */
static void survived_kill(struct proc *pr)
{
    uint64_t since = sup_mono(pr->s) - pr->kill_since;
    char words[256];

    if (since < KILL_STUCK_MS) {
        sup_timer(pr, SYS_TIMER_SWEEP, KILL_RETRY_MS);
        return;
    }
    sup_timer(pr, SYS_TIMER_SWEEP, KILL_STUCK_RETRY_MS);
    if (pr->stuck)
        return;
    pr->stuck = true;
    supervisor_describe_reason(pr->s, &pr->p, words, sizeof(words));
    log_warn("%s (%u): %s", pr->p.app->spec->name, pr->p.id, words);
    sup_tell_stuck(pr, words, 0);
    sup_changed(pr);
}

static void run_swept(struct proc *pr, unsigned alive)
{
    struct process *p = &pr->p;

    p->sweeping = false;
    pr->alive = alive;
    if (p->state != LC_STOPPING)
        return;
    if (alive == 0) {
        p->tree_empty = true; /* for good: nothing can come from nothing */
        sup_post(pr, sup_stop_progress(pr));
        return;
    }
    if (pr->kill_since)
        survived_kill(pr);
    else if (p->exited)
        sup_look_later(pr);
}

void supervisor_on_swept(struct supervisor *s, uint64_t run, unsigned alive)
{
    struct proc *pr = (struct proc *)supervisor_by_run(s, run);
    struct leftover *lo = idmap_get(&s->by_leftover, run);

    sup_enter(s);
    if (lo)
        sup_leftover_swept(lo, alive);
    else if (pr)
        run_swept(pr, alive);
    sup_leave(s);
}

static void state_timer(struct proc *pr)
{
    switch (pr->p.state) {
    case LC_LAUNCHING:
        if (pr->p.role == ROLE_CANDIDATE) {
            sup_candidate_due(pr);
            break;
        }
        pr->p.reason = LC_R_READY_TIMEOUT;
        pr->up = UP_FAILED;
        pr->up_run = pr->p.run;
        sup_late_words(pr, pr->up_error, sizeof(pr->up_error));
        sup_set_by(pr, NULL);
        sup_post(pr, LC_EV_READY_TIMEOUT);
        break;
    case LC_STOPPING:
        if (pr->p.disconnecting)
            sup_polite_now(pr);
        else
            sup_post(pr, LC_EV_KILL_DUE);
        break;
    case LC_WAITING:
        sup_post(pr, LC_EV_RESTART_DUE);
        break;
    default:
        break;
    }
}

void supervisor_on_timer(struct supervisor *s, struct process *p, enum sys_timer which)
{
    struct proc *pr = proc_of(p);

    sup_enter(s);
    switch (which) {
    case SYS_TIMER_STATE:
        state_timer(pr);
        break;
    case SYS_TIMER_SWEEP:
        if (p->state == LC_STOPPING && pr->kill_since) {
            sup_kill(pr);
            sup_leftovers_look(pr);
        } else {
            sup_look(pr);
        }
        break;
    case SYS_TIMER_SETTLE:
        if (p->state == LC_ONLINE)
            sup_answer(pr, WANT_UP, NULL, 0);
        break;
    case SYS_TIMER_LEFTOVER:
        sup_leftover_timer(pr);
        break;
    case SYS_TIMER_COUNT:
        break;
    }
    sup_leave(s);
}
