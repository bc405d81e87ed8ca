/* Commands that wait for a process. Answers are queued and given when the supervisor is consistent again. */
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "daemon/supervisor_impl.h"

void sup_wait(struct proc *pr, enum want want, waiter_cb cb, void *arg)
{
    struct waiter *w;

    if (!cb)
        return;
    w = xcalloc(1, sizeof(*w));
    w->want = want;
    w->cb = cb;
    w->arg = arg;
    TAILQ_INSERT_TAIL(&pr->p.waiters, w, entry);
}

static void answer(struct proc *pr, struct waiter *w, const char *error, uint64_t failed_run)
{
    struct waiter_result *r = &w->result;
    struct process *p = &pr->p;

    r->ok = !error;
    snprintf(r->error, sizeof(r->error), "%s", error ? error : "");
    r->failed_run = failed_run;
    r->id = p->id;
    r->instance = p->instance;
    snprintf(r->name, sizeof(r->name), "%s", p->app->spec->name ? p->app->spec->name : "");
    r->pid = (int)p->pid;
    r->status = pr->gone ? "deleted" : lc_state_word(p->state);
    TAILQ_REMOVE(&p->waiters, w, entry);
    TAILQ_INSERT_TAIL(&pr->s->done, w, entry);
}

void sup_answer(struct proc *pr, enum want want, const char *error, uint64_t failed_run)
{
    struct waiter *w = TAILQ_FIRST(&pr->p.waiters), *next;

    for (; w; w = next) {
        next = TAILQ_NEXT(w, entry);
        if (w->want == want)
            answer(pr, w, error, failed_run);
    }
}

void sup_answer_all(struct proc *pr, const char *error, uint64_t failed_run)
{
    struct waiter *w;

    while ((w = TAILQ_FIRST(&pr->p.waiters)))
        answer(pr, w, error, failed_run);
}

bool sup_has_waiter(const struct proc *pr, enum want want)
{
    struct waiter *w;

    TAILQ_FOREACH (w, &pr->p.waiters, entry)
        if (w->want == want)
            return true;
    return false;
}

void sup_flush(struct supervisor *s)
{
    struct waiter *w;

    while ((w = TAILQ_FIRST(&s->done))) {
        TAILQ_REMOVE(&s->done, w, entry);
        w->cb(w->arg, &w->result);
        free(w);
    }
}

static void bury(struct proc *pr)
{
    struct supervisor *s = pr->s;
    struct process *p = &pr->p;

    for (int t = 0; t < SYS_TIMER_COUNT; t++)
        sup_timer_clear(pr, (enum sys_timer)t);
    TAILQ_REMOVE(&s->processes, p, entry);
    TAILQ_REMOVE(&p->app->processes, p, app_entry);
    idmap_del(&s->by_id, p->id);
    if (--s->count == 0)
        s->next_id = 0;
    pr->gone = true;
    s->sys.deleted(s->sys.ctx, p);
    sup_answer_all(pr, NULL, 0);
    SLIST_INSERT_HEAD(&s->graveyard, pr, grave);
}

void sup_settle(struct proc *pr)
{
    struct process *p = &pr->p;

    if (pr->gone || (p->state != LC_STOPPED && p->state != LC_ERRORED) || pr->n_leftovers)
        return;
    if (p->role != ROLE_SLOT) {
        sup_shadow_settle(pr);
        return;
    }
    if (sup_has_shadows(pr))
        return; /* the last of them brings us back here */
    sup_answer(pr, WANT_DOWN, NULL, 0);
    if (p->delete_when_down)
        bury(pr);
}
