/*
 * What ended runs left behind: a child that died by itself may leave others of its tree. They got the polite
 * signal with the first look; they are killed when kill_timeout has passed, in the background, while the next
 * run may be up already.
 */
#include <stdio.h>

#include "common/mem.h"
#include "daemon/supervisor_impl.h"

static void arm(struct proc *pr)
{
    struct leftover *lo, *first = NULL;
    uint64_t now;

    TAILQ_FOREACH (lo, &pr->leftovers, entry)
        if (!first || lo->kill_at < first->kill_at)
            first = lo;
    if (!first) {
        sup_timer_clear(pr, SYS_TIMER_LEFTOVER);
        return;
    }
    now = sup_mono(pr->s);
    sup_timer(pr, SYS_TIMER_LEFTOVER, first->kill_at > now ? first->kill_at - now : 0);
}

static void leftover_free(struct leftover *lo)
{
    struct proc *pr = lo->proc;

    TAILQ_REMOVE(&pr->leftovers, lo, entry);
    pr->n_leftovers--;
    idmap_del(&pr->s->by_leftover, lo->run);
    free(lo);
}

static void kill_now(struct leftover *lo)
{
    struct supervisor *s = lo->proc->s;
    uint64_t now = sup_mono(s);

    if (!lo->kill_since)
        lo->kill_since = now;
    lo->asked = true;
    lo->kill_at = now + KILL_STUCK_RETRY_MS; /* should no answer come */
    s->sys.kill_run(s->sys.ctx, &lo->proc->p, lo->run);
}

struct leftover *sup_leftover_add(struct proc *pr, uint64_t run)
{
    struct leftover *lo = xcalloc(1, sizeof(*lo));

    /* An app that crashes fast and leaves stubborn children each time must not fill our memory. */
    if (pr->n_leftovers >= LEFTOVERS_MAX) {
        struct leftover *oldest = TAILQ_FIRST(&pr->leftovers);

        pr->s->sys.kill_run(pr->s->sys.ctx, &pr->p, oldest->run);
        leftover_free(oldest);
    }
    lo->run = run;
    lo->proc = pr;
    lo->kill_at = sup_mono(pr->s) + (uint64_t)pr->p.app->spec->kill_timeout;
    TAILQ_INSERT_TAIL(&pr->leftovers, lo, entry);
    pr->n_leftovers++;
    idmap_put(&pr->s->by_leftover, run, lo);
    arm(pr);
    return lo;
}

void sup_leftovers_drop(struct proc *pr)
{
    struct leftover *lo, *next;

    for (lo = TAILQ_FIRST(&pr->leftovers); lo; lo = next) {
        next = TAILQ_NEXT(lo, entry);
        idmap_del(&pr->s->by_leftover, lo->run);
        free(lo);
    }
    TAILQ_INIT(&pr->leftovers);
    pr->n_leftovers = 0;
}

void sup_leftover_timer(struct proc *pr)
{
    struct leftover *lo;
    uint64_t now = sup_mono(pr->s);

    TAILQ_FOREACH (lo, &pr->leftovers, entry)
        if (lo->kill_at <= now)
            kill_now(lo);
    arm(pr);
}

void sup_leftovers_look(struct proc *pr)
{
    struct supervisor *s = pr->s;
    struct leftover *lo;

    TAILQ_FOREACH (lo, &pr->leftovers, entry) {
        if (lo->asked)
            continue;
        lo->asked = true;
        s->sys.sweep(s->sys.ctx, &pr->p, lo->run, false);
    }
}

/* Is there something that would go on sooner if it knew that a leftover is gone? */
static bool is_awaited(const struct proc *pr)
{
    switch (pr->p.state) {
    case LC_STOPPING:
        return true;
    case LC_WAITING:
        return pr->hold_run != 0;
    case LC_STOPPED:
    case LC_ERRORED:
        return pr->p.role != ROLE_SLOT || pr->p.delete_when_down || !TAILQ_EMPTY(&pr->p.waiters);
    default:
        return false;
    }
}

static void still_there(struct leftover *lo, unsigned alive)
{
    struct proc *pr = lo->proc;
    uint64_t now = sup_mono(pr->s);

    if (lo->kill_since) {
        lo->stuck = now - lo->kill_since >= KILL_STUCK_MS;
        lo->kill_at = now + (lo->stuck ? KILL_STUCK_RETRY_MS : KILL_RETRY_MS);
        arm(pr);
        if (lo->stuck && is_awaited(pr)) {
            char words[128];

            snprintf(words, sizeof(words), "%u of its processes still alive %u s after SIGKILL", alive,
                     KILL_STUCK_MS / 1000);
            sup_tell_stuck(pr, words, lo->run);
        }
    } else if (is_awaited(pr)) {
        sup_look_later(pr);
    }
}

void sup_leftover_swept(struct leftover *lo, unsigned alive)
{
    struct proc *pr = lo->proc;
    uint64_t run = lo->run;

    lo->asked = false;
    if (alive) {
        still_there(lo, alive);
        return;
    }
    leftover_free(lo);
    arm(pr);
    if (pr->p.state == LC_STOPPING) {
        sup_post(pr, sup_stop_progress(pr));
    } else if (pr->p.state == LC_WAITING && pr->hold_run == run) {
        uint64_t now = sup_mono(pr->s);

        pr->hold_run = 0;
        if (pr->candidate)
            return;
        if (pr->due <= now)
            sup_post(pr, LC_EV_RESTART_DUE);
        else
            sup_timer(pr, SYS_TIMER_STATE, pr->due - now);
    } else {
        sup_settle(pr);
    }
}
