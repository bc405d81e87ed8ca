/* Limits in the engine: after each pass of the metrics every process that has one is judged. */
#include "daemon/limits.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "daemon/act.h"
#include "daemon/engine.h"
#include "daemon/metrics.h"

struct limits {
    struct engine *engine;
    struct metrics *metrics;
    struct metrics_observer observer;
};

/* By the clock since the boot, which nobody sets: the wall clock may jump by hours. */
static uint64_t uptime_of(const struct process *p)
{
    const uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
    uint64_t started, now;
    struct timespec ts;

    if (!p->start_ticks || clock_gettime(CLOCK_BOOTTIME, &ts) < 0) {
        now = clock_wall_ms();
        return now > p->started_ms ? now - p->started_ms : 0;
    }
    now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
    started = p->start_ticks * 1000 / hz;
    return now > started ? now - started : 0;
}

static struct limit_sample sample_of(const struct process *p)
{
    const struct metrics_sample *m = metrics_of(p);

    return (struct limit_sample){.run = p->run,
                                 .time_ms = m->time_ms,
                                 .rss = m->rss_bytes,
                                 .pss = m->pss_bytes,
                                 .processes = m->processes,
                                 .cpu_percent = m->cpu_percent,
                                 .uptime_ms = uptime_of(p)};
}

static const struct {
    enum act_how how;
    const char *what;
} acts[] = {
    [LIMIT_MEMORY] = {ACT_REPLACE, "memory limit"}, [LIMIT_SOFT] = {ACT_REPLACE, "memory limit"},
    [LIMIT_HARD] = {ACT_KILL, "memory limit"},      [LIMIT_CPU] = {ACT_REPLACE, "cpu limit"},
    [LIMIT_UPTIME] = {ACT_REPLACE, "uptime limit"},
};

/* A process that has passed a limit. */
struct passed {
    uint32_t id;
    enum limit_kind kind;
    uint64_t since; /* mono ms: it waits for its turn */
    struct limit_sample sample;
};

static int by_wait(const void *a, const void *b)
{
    const struct passed *x = a, *y = b;

    return (x->since > y->since) - (x->since < y->since);
}

static bool judge(struct limits *l, struct process *p, struct passed *out)
{
    const struct app_spec *s = p->app->spec;
    struct runtime *r = runtime_of(p);
    struct limit_sample sample;
    struct limit_verdict v;

    if (!limits_any(s)) {
        free(r->limits);
        r->limits = NULL;
        return false;
    }
    if (p->state != LC_ONLINE && p->state != LC_LAUNCHING)
        return false;
    if (!r->limits)
        r->limits = xcalloc(1, sizeof(*r->limits));
    sample = sample_of(p);
    v = limits_judge(s, r->limits, &sample, clock_mono_ms());
    if (v.want_pss)
        metrics_want_pss(l->metrics, p);
    *out = (struct passed){p->id, v.passed, r->limits->waits_since, sample};
    return v.passed != LIMIT_NONE;
}

static void act_on(struct limits *l, struct process *p, const struct passed *passed)
{
    const struct app_spec *s = p->app->spec;
    struct limit_state *st = runtime_of(p)->limits, before;
    char words[LIMIT_WORDS_MAX];

    if (!st || p->run != passed->sample.run)
        return;
    limits_words(s, passed->kind, &passed->sample, words);
    /* Not after the act: an answer that comes of it may have deleted the process. */
    before = *st;
    limits_acted(s, st, clock_mono_ms());
    if (!engine_act(l->engine, p, acts[passed->kind].how, EVENT_LIMIT, acts[passed->kind].what, words, false))
        *st = before;
}

/* First all are judged, then who has waited longest for its turn is acted on first: of an app whose instances
 * all pass their limits again and again, each has its turn. */
static void on_sampled(void *arg)
{
    struct limits *l = arg;
    struct passed *list = NULL, found;
    struct process *p;
    size_t n = 0, room = 0;

    TAILQ_FOREACH (p, supervisor_processes(l->engine->sup), entry) {
        if (!judge(l, p, &found))
            continue;
        if (n == room) {
            room = room ? 2 * room : 16;
            list = xrealloc(list, room * sizeof(*list));
        }
        list[n++] = found;
    }
    if (n > 1)
        qsort(list, n, sizeof(*list), by_wait);
    for (size_t i = 0; i < n; i++) {
        p = supervisor_by_id(l->engine->sup, list[i].id);
        if (p)
            act_on(l, p, &list[i]);
    }
    free(list);
}

struct limits *limits_new(struct engine *e, struct metrics *m)
{
    struct limits *l = xcalloc(1, sizeof(*l));

    *l = (struct limits){.engine = e, .metrics = m};
    l->observer = (struct metrics_observer){.sampled = on_sampled, .arg = l};
    metrics_observe(m, &l->observer);
    return l;
}

void limits_free(struct limits *l)
{
    if (!l)
        return;
    metrics_unobserve(l->metrics, &l->observer);
    free(l);
}
