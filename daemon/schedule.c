#include "daemon/schedule.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/cron.h"
#include "common/zone.h"

/* What a clock that was put back makes of the times that are dealt with. */
static int64_t base(const struct schedule_clock *k, const struct cron *c, int64_t now)
{
    int64_t back = k->handled - now;

    if (k->handled <= 0) /* none, or nonsense in a damaged state.db */
        return now;
    if (back <= SCHEDULE_STEP_BACK || (back <= SCHEDULE_CLOCK_SET && !c->sweeping))
        return k->handled;
    return now;
}

bool schedule_due(struct schedule_clock *k, const struct cron *c, const struct zone *z, int64_t now)
{
    int64_t from = base(k, c, now);

    if (from != k->handled) {
        k->handled = from;
        k->next = 0;
    }
    if (!k->next)
        k->next = cron_next(c, z, k->handled);
    return k->next <= now;
}

void schedule_handled(struct schedule_clock *k, int64_t now)
{
    k->handled = now;
    k->next = 0;
}

enum schedule_overlap schedule_overlap_of(const char *word)
{
    if (strcmp(word, "queue") == 0)
        return SCHEDULE_QUEUE_RUN;
    return strcmp(word, "kill") == 0 ? SCHEDULE_KILL_RUN : SCHEDULE_SKIP_RUN;
}

static enum schedule_act judge_up(const struct schedule_view *v)
{
    if (!v->job || v->overlap == SCHEDULE_KILL_RUN)
        return SCHEDULE_RESTART;
    return v->overlap == SCHEDULE_QUEUE_RUN ? SCHEDULE_WAIT : SCHEDULE_LEAVE;
}

static enum schedule_act judge_stopping(const struct schedule_view *v)
{
    /* A stop that falls on the time is the newer word; and of a restart a new run comes by itself. */
    if (!v->job || v->reason == LC_R_STOPPED || v->reason == LC_R_DELETED)
        return SCHEDULE_PASS;
    return v->overlap == SCHEDULE_SKIP_RUN ? SCHEDULE_LEAVE : SCHEDULE_WAIT;
}

enum schedule_act schedule_judge(const struct schedule_view *v)
{
    switch (v->state) {
    case LC_STOPPED:
    case LC_ERRORED:
        return v->held || v->stopped_since ? SCHEDULE_PASS : SCHEDULE_START;
    case LC_WAITING:
        return SCHEDULE_START;
    case LC_LAUNCHING:
    case LC_ONLINE:
        return judge_up(v);
    case LC_STOPPING:
        return judge_stopping(v);
    case LC_STATE_COUNT:
        break;
    }
    return SCHEDULE_PASS;
}

const char *schedule_time(char out[SCHEDULE_TIME_MAX], const struct zone *z, int64_t at)
{
    struct tm tm = {0};

    zone_local(z, at, &tm);
    if (!strftime(out, SCHEDULE_TIME_MAX, "%Y-%m-%d %H:%M:%S %z", &tm))
        snprintf(out, SCHEDULE_TIME_MAX, "%lld", (long long)at);
    return out;
}
