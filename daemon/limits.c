#include "daemon/limits.h"

#include <inttypes.h>
#include <stdio.h>

#include "config/spec.h"

#define NEAR_PERCENT 80u

bool limits_any(const struct app_spec *s)
{
    return s->max_memory_restart || s->max_memory.soft || s->max_memory.hard || s->max_cpu_restart.percent ||
           s->max_uptime;
}

/* The lowest limit of memory, in bytes; 0 = none. */
static uint64_t lowest(const struct app_spec *s)
{
    const int64_t all[] = {s->max_memory_restart, s->max_memory.soft, s->max_memory.hard};
    uint64_t least = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        if (all[i] > 0 && (!least || (uint64_t)all[i] < least))
            least = (uint64_t)all[i];
    return least;
}

static uint64_t memory_of(const struct limit_sample *now)
{
    return now->processes > 1 && now->pss ? now->pss : now->rss;
}

/* Is the PSS worth its price? From near the limit on, and where the growth since the last sample would be
 * there with the next but one. */
static bool is_near(const struct limit_state *st, const struct limit_sample *now, uint64_t limit)
{
    uint64_t growth = st->last_rss && now->rss > st->last_rss ? now->rss - st->last_rss : 0;

    return now->rss > limit / 100 * NEAR_PERCENT || now->rss + 2 * growth > limit;
}

static bool stays_above(uint64_t *since, bool above, int64_t for_ms, uint64_t mono_ms)
{
    if (!above) {
        *since = 0;
        return false;
    }
    if (!*since)
        *since = mono_ms;
    return mono_ms - *since >= (uint64_t)for_ms;
}

static enum limit_kind judge_memory(const struct app_spec *s, struct limit_state *st, uint64_t bytes,
                                    uint64_t mono_ms)
{
    uint64_t soft = (uint64_t)s->max_memory.soft;

    /* The time above the soft limit is counted whatever else is passed. */
    bool soft_over = stays_above(&st->soft_since, soft && bytes > soft, s->max_memory.window, mono_ms);

    if (s->max_memory.hard && bytes > (uint64_t)s->max_memory.hard)
        return LIMIT_HARD;
    if (s->max_memory_restart && bytes > (uint64_t)s->max_memory_restart)
        return LIMIT_MEMORY;
    return soft_over ? LIMIT_SOFT : LIMIT_NONE;
}

uint64_t limits_uptime(const struct app_spec *s, uint64_t run)
{
    uint64_t max = (uint64_t)s->max_uptime;
    uint64_t mixed = run * UINT64_C(0x9e3779b97f4a7c15); /* neighbours end up far apart */

    return max - (max / 10) * (mixed >> 44) / (UINT64_C(1) << 20);
}

static void begin_run(const struct app_spec *s, struct limit_state *st, uint64_t run, uint64_t mono_ms)
{
    uint64_t quiet = st->acted ? mono_ms + (uint64_t)s->min_uptime : 0;

    *st = (struct limit_state){.run = run, .quiet_until = quiet};
}

struct limit_verdict limits_judge(const struct app_spec *s, struct limit_state *st, struct limit_sample *now,
                                  uint64_t mono_ms)
{
    struct limit_verdict v = {0};
    uint64_t least = lowest(s);
    bool news = now->time_ms != st->time_ms;

    if (now->run != st->run)
        begin_run(s, st, now->run, mono_ms);
    if (!st->asked)
        now->pss = 0;
    if (news && now->time_ms) {
        v.want_pss = least && now->processes > 1 && is_near(st, now, least);
        st->time_ms = now->time_ms;
        if (mono_ms >= st->quiet_until) {
            v.passed = judge_memory(s, st, memory_of(now), mono_ms);
            if (stays_above(&st->cpu_since,
                            s->max_cpu_restart.percent &&
                                now->cpu_percent > (double)s->max_cpu_restart.percent,
                            s->max_cpu_restart.time, mono_ms) &&
                !v.passed)
                v.passed = LIMIT_CPU;
        }
        /* Only the RSS says so, and of several processes: the next pass knows. */
        bool doubt = v.passed != LIMIT_NONE && v.passed != LIMIT_CPU && v.want_pss && !now->pss;
        if (doubt && !st->waited)
            v.passed = LIMIT_NONE;
        st->waited = doubt;
        st->asked = v.want_pss;
        st->last_rss = now->rss;
    }
    if (!v.passed && s->max_uptime && mono_ms >= st->quiet_until &&
        now->uptime_ms > limits_uptime(s, now->run))
        v.passed = LIMIT_UPTIME;
    if (!v.passed)
        st->waits_since = 0;
    else if (!st->waits_since)
        st->waits_since = mono_ms;
    return v;
}

void limits_acted(const struct app_spec *s, struct limit_state *st, uint64_t mono_ms)
{
    st->acted = true;
    st->quiet_until = mono_ms + (uint64_t)s->min_uptime;
    st->soft_since = st->cpu_since = 0;
    st->waits_since = 0;
    st->waited = false;
}

#define SIZE_TEXT 32

/* Whole megabytes without a decimal: so they are in a configuration. */
static const char *size_text(char out[SIZE_TEXT], uint64_t bytes)
{
    const uint64_t mb = 1 << 20;

    if (bytes % mb == 0)
        snprintf(out, SIZE_TEXT, "%" PRIu64 " MB", bytes / mb);
    else
        snprintf(out, SIZE_TEXT, "%.1f MB", (double)bytes / (double)mb);
    return out;
}

static const char *time_text(char out[SIZE_TEXT], uint64_t ms)
{
    if (ms < 120000)
        snprintf(out, SIZE_TEXT, "%.*f s", ms % 1000 ? 1 : 0, (double)ms / 1000);
    else if (ms < 7200000)
        snprintf(out, SIZE_TEXT, "%" PRIu64 " min", ms / 60000);
    else
        snprintf(out, SIZE_TEXT, "%.1f h", (double)ms / 3600000);
    return out;
}

static void memory_words(const struct limit_sample *now, uint64_t limit, const char *which,
                         char out[LIMIT_WORDS_MAX])
{
    char is[SIZE_TEXT], of[SIZE_TEXT];

    snprintf(out, LIMIT_WORDS_MAX, "memory %s of %s%s in %" PRIu32 " process%s",
             size_text(is, memory_of(now)), size_text(of, limit), which, now->processes,
             now->processes == 1 ? "" : "es");
}

void limits_words(const struct app_spec *s, enum limit_kind passed, const struct limit_sample *now,
                  char out[LIMIT_WORDS_MAX])
{
    char a[SIZE_TEXT], b[SIZE_TEXT], more[SIZE_TEXT + 32];

    switch (passed) {
    case LIMIT_MEMORY:
        memory_words(now, (uint64_t)s->max_memory_restart, "", out);
        return;
    case LIMIT_SOFT:
        snprintf(more, sizeof(more), " (soft, for %s)", time_text(a, (uint64_t)s->max_memory.window));
        memory_words(now, (uint64_t)s->max_memory.soft, more, out);
        return;
    case LIMIT_HARD:
        memory_words(now, (uint64_t)s->max_memory.hard, " (hard)", out);
        return;
    case LIMIT_CPU:
        snprintf(out, LIMIT_WORDS_MAX, "cpu %.1f %%, above %" PRId64 " %% for %s", now->cpu_percent,
                 s->max_cpu_restart.percent, time_text(a, (uint64_t)s->max_cpu_restart.time));
        return;
    case LIMIT_UPTIME:
        snprintf(out, LIMIT_WORDS_MAX, "up for %s of %s", time_text(a, now->uptime_ms),
                 time_text(b, (uint64_t)s->max_uptime));
        return;
    case LIMIT_NONE:
        break;
    }
    *out = '\0';
}
