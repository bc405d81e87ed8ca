/* What makes a process ready: its own word (wait_ready), its first successful health check, or both. */
#include <stdio.h>

#include "config/health_check.h"
#include "daemon/supervisor_impl.h"

bool sup_waits_ready(const struct proc *pr)
{
    return pr->p.app->spec->wait_ready || health_check_is_set(pr->p.app->spec);
}

static bool lacks_word(const struct proc *pr)
{
    return pr->p.app->spec->wait_ready && !pr->p.said_ready;
}

bool sup_lacks_ready(const struct proc *pr)
{
    return lacks_word(pr) || (health_check_is_set(pr->p.app->spec) && !pr->p.said_healthy);
}

uint64_t sup_ready_limit(const struct proc *pr)
{
    const struct app_spec *spec = pr->p.app->spec;
    int64_t limit = spec->listen_timeout;

    if (health_check_is_set(spec) && spec->health_check.start_period > limit)
        limit = spec->health_check.start_period;
    return limit < 0 ? 0 : (uint64_t)limit;
}

void sup_late_words(struct proc *pr, char *out, size_t size)
{
    const struct sys *sys = &pr->s->sys;
    char limit[32], why[160];

    sup_duration_words(sup_ready_limit(pr), limit, sizeof(limit));
    if (lacks_word(pr) || !health_check_is_set(pr->p.app->spec))
        snprintf(out, size, "not ready within %s", limit);
    else if (sys->unready_words && sys->unready_words(sys->ctx, &pr->p, why, sizeof(why)))
        snprintf(out, size, "not healthy within %s: %s", limit, why);
    else
        snprintf(out, size, "not healthy within %s", limit);
}

static void heard(struct proc *pr)
{
    if (pr->p.role == ROLE_CANDIDATE) {
        sup_changed(pr);
        sup_candidate_check(pr);
    } else if (!sup_lacks_ready(pr)) {
        sup_post(pr, LC_EV_READY); /* also before the news of the exec: who speaks has been executed */
    } else {
        sup_changed(pr);
    }
}

void supervisor_on_ready(struct supervisor *s, uint64_t run)
{
    struct proc *pr = (struct proc *)supervisor_by_run(s, run);

    if (!pr)
        return;
    sup_enter(s);
    pr->p.said_ready = true;
    heard(pr);
    sup_leave(s);
}

void supervisor_on_healthy(struct supervisor *s, uint64_t run)
{
    struct proc *pr = (struct proc *)supervisor_by_run(s, run);

    if (!pr || pr->p.said_healthy)
        return;
    sup_enter(s);
    pr->p.said_healthy = true;
    heard(pr);
    sup_leave(s);
}
