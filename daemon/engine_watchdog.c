/* sd_notify's watchdog: a process that said nothing for `watchdog` is taken for hung and restarted. */
#include <stdio.h>

#include "common/mem.h"
#include "daemon/act.h"
#include "daemon/engine.h"
#include "daemon/engine_health.h"

#define LAST_LOOK_MS 100u /* what it said may wait to be read: the loop was busy */

struct watchdog {
    struct engine *engine;
    struct process *process;
    uint64_t run;
    bool overdue;
    uv_timer_t timer;
};

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

static void on_due(uv_timer_t *t);

static void arm(struct watchdog *w, uint64_t in_ms)
{
    uv_update_time(&w->engine->loop);
    uv_timer_start(&w->timer, on_due, in_ms, 0);
}

/* False from engine_act: another instance is down, or it goes itself. Then it has as long again. */
static void act(struct watchdog *w, const char *words)
{
    w->overdue = false;
    arm(w, (uint64_t)w->process->app->spec->watchdog);
    engine_act(w->engine, w->process, ACT_RESTART, EVENT_UNHEALTHY, "watchdog", words, false);
}

static void on_due(uv_timer_t *t)
{
    struct watchdog *w = t->data;
    char words[64];

    if (!w->overdue) {
        w->overdue = true;
        arm(w, LAST_LOOK_MS);
        return;
    }
    snprintf(words, sizeof(words), "no WATCHDOG=1 for %lld ms", (long long)w->process->app->spec->watchdog);
    act(w, words);
}

void engine_watchdog_heard(struct engine *e, uint64_t run, bool trigger)
{
    struct process *p = supervisor_by_run(e->sup, run);
    struct watchdog *w = p ? runtime_of(p)->watchdog : NULL;

    if (!w || w->run != run)
        return;
    if (trigger) {
        act(w, "it said WATCHDOG=trigger");
        return;
    }
    w->overdue = false;
    arm(w, (uint64_t)p->app->spec->watchdog);
}

void engine_watchdog_end(struct runtime *r)
{
    struct watchdog *w = r->watchdog;

    r->watchdog = NULL;
    if (w)
        uv_close((uv_handle_t *)&w->timer, on_closed);
}

void engine_watchdog_follow(struct engine *e, struct process *p)
{
    struct runtime *r = runtime_of(p);
    bool wanted = p->run && !p->exited && p->state == LC_ONLINE && p->app->spec->watchdog > 0 && r->notify;

    if (r->watchdog && (!wanted || r->watchdog->run != p->run))
        engine_watchdog_end(r);
    if (!wanted || r->watchdog)
        return;
    r->watchdog = xcalloc(1, sizeof(*r->watchdog));
    r->watchdog->engine = e;
    r->watchdog->process = p;
    r->watchdog->run = p->run;
    uv_timer_init(&e->loop, &r->watchdog->timer);
    r->watchdog->timer.data = r->watchdog;
    arm(r->watchdog, (uint64_t)p->app->spec->watchdog);
}
