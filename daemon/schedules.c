#include "daemon/schedules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/cron.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/plog.h"
#include "config/times.h"
#include "daemon/act.h"
#include "daemon/engine.h"
#include "daemon/zone_cache.h"

#define LOOK_MS 1000 /* a jump of the clock is seen within this time */
#define LATE_S  30   /* beyond, a time was missed */

/* Of an app that has times. */
struct app_schedule {
    struct schedules *owner;
    struct app *app;
    bool job;
    enum schedule_overlap overlap;
    char *pattern, *tz;
    struct cron cron;
    struct zone_ref *zone; /* NULL = local */
    TAILQ_ENTRY(app_schedule) entry;
};

struct schedules {
    struct engine *engine;
    struct zone_cache *zones;
    uv_timer_t timer;
    TAILQ_HEAD(, app_schedule) apps;
};

static const struct zone *zone_of(const struct app_schedule *as)
{
    return as->zone ? zone_ref_zone(as->zone) : NULL;
}

static bool is_ready(const struct app_schedule *as)
{
    return !as->zone || zone_ref_zone(as->zone);
}

/* ---- a time has come ---- */

static bool stopped_since(const struct process *p, int64_t at)
{
    return p->state == LC_STOPPED && p->reason == LC_R_STOPPED && p->last.valid &&
           p->last.ended_ms >= (uint64_t)at * 1000;
}

static void save(struct engine *e, const struct process *p)
{
    engine_save_process(e, p);
    if (p->run)
        engine_note(e, p);
}

static void words_of(const struct app_schedule *as, const struct process *p, int64_t at, int64_t now,
                     char *out, size_t size)
{
    char time[SCHEDULE_TIME_MAX];
    bool queued = as->job && as->overlap != SCHEDULE_SKIP_RUN && p->last.valid &&
                  p->last.ended_ms >= (uint64_t)at * 1000;

    schedule_time(time, zone_of(as), at);
    if (queued)
        snprintf(out, size, "it was %s, and the run before had to end first", time);
    else if (now - at > LATE_S)
        snprintf(out, size, "it was %s: made up now", time);
    else
        snprintf(out, size, "it is %s (%.80s)", time, as->pattern);
}

static void tell_left_out(struct engine *e, const struct app_schedule *as, const struct process *p,
                          int64_t at)
{
    char time[SCHEDULE_TIME_MAX], words[160];

    snprintf(words, sizeof(words), "%s is left out: the run before still goes (pid %d)",
             schedule_time(time, zone_of(as), at), (int)p->pid);
    log_info("%s (%u): schedule: %s", p->app->spec->name, p->id, words);
    event_emit(e, &(struct event){.kind = EVENT_SCHEDULE, .p = p, .by = "pm: schedule", .text = words});
}

static void start(struct engine *e, const struct app_schedule *as, struct process *p, const char *words)
{
    const char *by = as->job ? "pm: schedule" : "pm: cron_restart";

    log_info("%s (%u): %s: %s", p->app->spec->name, p->id, by + 4, words);
    event_emit(e, &(struct event){.kind = EVENT_SCHEDULE, .p = p, .by = by, .text = words});
    supervisor_start(e->sup, p, by, NULL, NULL);
}

/* Instances of an app are restarted one after the other; all of a job run at once. False: its turn comes. */
static bool restart(struct engine *e, const struct app_schedule *as, struct process *p, const char *words)
{
    if (p->acting)
        return !as->job; /* it is replaced already */
    return engine_act(e, p, as->job ? ACT_RESTART : ACT_REPLACE, EVENT_SCHEDULE,
                      as->job ? "schedule" : "cron_restart", words, as->job);
}

/*
 * True when a command was given. Others may have waited for the process, and have been told: then anything
 * may be gone, and the list is to be gone through anew.
 */
static bool act(struct engine *e, const struct app_schedule *as, struct process *p, int64_t now)
{
    const struct schedule_clock was = p->times;
    const uint64_t app = p->app->id;
    const uint32_t id = p->id;
    const struct schedule_view view = {.job = as->job,
                                       .overlap = as->overlap,
                                       .state = p->state,
                                       .reason = p->reason,
                                       .held = p->held,
                                       .stopped_since = stopped_since(p, was.next)};
    enum schedule_act what = schedule_judge(&view);
    char words[200];

    if (what == SCHEDULE_WAIT)
        return false;
    words_of(as, p, was.next, now, words, sizeof(words));
    /* First this, so that what follows is stored with it: an engine that is killed must not do it again. */
    schedule_handled(&p->times, now);
    if (what == SCHEDULE_START) {
        start(e, as, p, words);
    } else if (what == SCHEDULE_RESTART && !restart(e, as, p, words)) {
        p->times = was;
        return false;
    } else if (what == SCHEDULE_LEAVE && (uint64_t)was.handled * 1000 <= p->started_ms) {
        tell_left_out(e, as, p, was.next); /* once for each run that is in the way */
    }
    p = supervisor_by_id(e->sup, id);
    if (p && p->app->id == app)
        save(e, p);
    return what == SCHEDULE_START || what == SCHEDULE_RESTART;
}

/* ---- the clock ---- */

static void on_timer(uv_timer_t *timer);

static void arm(struct schedules *s, uint64_t in_ms)
{
    uv_update_time(&s->engine->loop);
    uv_timer_start(&s->timer, on_timer, in_ms, 0);
}

/* Sees to one process, and lowers *next to its next time. True when a command was given. */
static bool look_at(struct engine *e, const struct app_schedule *as, struct process *p, int64_t now,
                    int64_t *next)
{
    int64_t handled = p->times.handled;

    if (p->delete_when_down)
        return false;
    if (schedule_due(&p->times, &as->cron, zone_of(as), now)) {
        if (act(e, as, p, now))
            return true;
        schedule_due(&p->times, &as->cron, zone_of(as), now);
    } else if (p->times.handled != handled) {
        save(e, p);
    }
    if (p->times.next < *next)
        *next = p->times.next;
    return false;
}

/* The next time of any process, which has come already where one has to wait. */
static int64_t look(struct schedules *s, int64_t now)
{
    struct app_schedule *as;
    int64_t next = INT64_MAX;

    TAILQ_FOREACH (as, &s->apps, entry) {
        struct process *p;

        if (!is_ready(as))
            continue;
        TAILQ_FOREACH (p, &as->app->processes, app_entry) {
            if (look_at(s->engine, as, p, now, &next)) {
                arm(s, 0);
                return now;
            }
        }
    }
    return next;
}

static void on_timer(uv_timer_t *timer)
{
    struct schedules *s = timer->data;
    const struct engine *e = s->engine;
    int64_t now_ms = (int64_t)clock_wall_ms(), now = now_ms / 1000, next;

    if (TAILQ_EMPTY(&s->apps) || e->shutdown)
        return;
    arm(s, LOOK_MS);
    /* What comes during an update is the next engine's. */
    if (e->restore || e->updating)
        return;
    next = look(s, now);
    if (next > now && next <= now + LOOK_MS / 1000 && next * 1000 - now_ms < LOOK_MS)
        arm(s, (uint64_t)(next * 1000 - now_ms));
}

static void on_zone(void *arg)
{
    struct schedules *s = arg;
    const struct app_schedule *as;

    TAILQ_FOREACH (as, &s->apps, entry) {
        if (as->zone && zone_ref_trouble(as->zone))
            log_error("%s: its times do not come: %s", as->app->spec->name, zone_ref_trouble(as->zone));
    }
    arm(s, 0);
}

void schedules_look(struct engine *e, const struct app *a)
{
    if (e->schedules && (!a || a->times))
        arm(e->schedules, 0);
}

/* ---- apps ---- */

struct schedules *schedules_new(struct engine *e)
{
    struct schedules *s = xcalloc(1, sizeof(*s));

    s->engine = e;
    s->zones = zone_cache_new(&e->loop, on_zone, s);
    uv_timer_init(&e->loop, &s->timer);
    s->timer.data = s;
    TAILQ_INIT(&s->apps);
    return s;
}

static void timer_closed(uv_handle_t *timer)
{
    free(timer->data);
}

void schedules_free(struct schedules *s)
{
    struct app_schedule *as;

    if (!s)
        return;
    while ((as = TAILQ_FIRST(&s->apps)))
        schedules_app_gone(as->app);
    zone_cache_free(s->zones);
    uv_close((uv_handle_t *)&s->timer, timer_closed);
}

void schedules_app_gone(struct app *a)
{
    struct app_schedule *as = a->times;

    if (!as)
        return;
    TAILQ_REMOVE(&as->owner->apps, as, entry);
    zone_cache_drop(as->zone);
    free(as->pattern);
    free(as->tz);
    free(as);
    a->times = NULL;
}

static bool same_text(const char *a, const char *b)
{
    return (!a || !b) ? a == b : strcmp(a, b) == 0;
}

static bool is_as_before(const struct app_schedule *as, const struct app_spec *s)
{
    return as && same_text(as->pattern, app_times(s)) && same_text(as->tz, s->tz);
}

static void add(struct schedules *s, struct app *a, const struct cron *cron)
{
    struct app_schedule *as = xcalloc(1, sizeof(*as));
    const char *tz = a->spec->tz;
    struct process *p;

    *as = (struct app_schedule){
        .owner = s, .app = a, .pattern = xstrdup(app_times(a->spec)), .tz = xstrdup(tz), .cron = *cron};
    if (tz)
        as->zone = zone_cache_get(s->zones, tz);
    TAILQ_INSERT_TAIL(&s->apps, as, entry);
    a->times = as;
    TAILQ_FOREACH (p, &a->processes, app_entry) {
        p->times = (struct schedule_clock){0}; /* other times: those from now on count */
    }
}

void schedules_app(struct engine *e, struct app *a)
{
    const struct app_spec *s = a->spec;
    struct app_schedule *as;
    struct cron cron;
    struct err err;

    if (!e->schedules)
        return;
    if (!is_as_before(a->times, s)) {
        schedules_app_gone(a);
        if (!app_times(s))
            return;
        /* It was checked when the app was taken; a stored one may be of another version. */
        if (cron_parse(app_times(s), &cron, &err) < 0) {
            log_error("%s: its times do not come: %s: %s", s->name, app_times_key(s), err.msg);
            return;
        }
        add(e->schedules, a, &cron);
    }
    as = a->times;
    as->job = app_is_job(s);
    as->overlap = schedule_overlap_of(s->overlap);
    arm(e->schedules, 0);
}

size_t schedules_next(const struct app *a, int64_t *out, size_t n)
{
    const struct app_schedule *as = a->times;
    int64_t at = (int64_t)(clock_wall_ms() / 1000);

    if (!as || !is_ready(as))
        return 0;
    for (size_t i = 0; i < n; i++)
        out[i] = at = cron_next(&as->cron, zone_of(as), at);
    return n;
}

const char *schedules_trouble(const struct app *a)
{
    const struct app_schedule *as = a->times;

    return as && as->zone ? zone_ref_trouble(as->zone) : NULL;
}

const char *schedules_next_words(const struct app *a, char out[SCHEDULE_TIME_MAX])
{
    const struct app_schedule *as = a->times;
    int64_t next;

    return schedules_next(a, &next, 1) ? schedule_time(out, zone_of(as), next) : NULL;
}
