#include "daemon/depends.h"

#include <string.h>

#include "config/times.h"

static bool waits_for_end(const char *condition)
{
    return strcmp(condition, "completed") == 0 || strcmp(condition, "exited") == 0;
}

static bool at_rest(const struct process *p)
{
    return p->state == LC_STOPPED || p->state == LC_ERRORED;
}

static bool has_run(const struct last_exit *l)
{
    return l->valid && l->reason != LC_R_EXEC_FAILED && l->reason != LC_R_SPAWN_REFUSED;
}

/* An end counts when the process stays ended. */
static enum depends_verdict judge_end(const struct process *p, bool any_code)
{
    const struct last_exit *l = &p->last;
    bool good = any_code ? has_run(l) : l->valid && l->reason == LC_R_EXIT && l->exit_code == 0;

    if (p->held)
        return DEPENDS_PENDING;
    if (at_rest(p))
        return good ? DEPENDS_MET : DEPENDS_FAILED;
    if (p->state == LC_WAITING && !good)
        return DEPENDS_FAILED;
    return p->state == LC_STOPPING && p->desired == DESIRED_DOWN && !any_code ? DEPENDS_FAILED
                                                                              : DEPENDS_PENDING;
}

static enum depends_verdict judge_start(const struct process *p, uint64_t now_ms, bool unwell)
{
    switch (p->state) {
    case LC_ONLINE:
        /* A clock that was set back must not make it wait. */
        if (now_ms >= p->online_ms && now_ms - p->online_ms < DEPENDS_SETTLE_MS)
            return DEPENDS_SOON;
        return unwell ? DEPENDS_PENDING : DEPENDS_MET;
    case LC_LAUNCHING:
        return p->counters.unstable > 0 && p->last.valid ? DEPENDS_FAILED : DEPENDS_PENDING;
    case LC_STOPPING:
        return p->desired == DESIRED_UP ? DEPENDS_PENDING : DEPENDS_FAILED;
    default:
        return p->held ? DEPENDS_PENDING : DEPENDS_FAILED;
    }
}

enum depends_verdict depends_judge(const char *condition, const struct process *p, uint64_t now_ms,
                                   bool unwell)
{
    if (waits_for_end(condition))
        return judge_end(p, strcmp(condition, "exited") == 0);
    return judge_start(p, now_ms, unwell && strcmp(condition, "healthy") == 0);
}

bool depends_never_ends(const char *condition, const struct app_spec *s)
{
    return waits_for_end(condition) && s->autorestart && !app_is_job(s) && s->stop_exit_codes.n == 0;
}

bool depends_names(const struct app_spec *s, const char *name)
{
    for (unsigned i = 0; i < s->depends_on.n; i++)
        if (strcmp(s->depends_on.v[i].name, name) == 0)
            return true;
    return false;
}
