#include "daemon/watch.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/jsonw.h"
#include "common/mem.h"
#include "daemon/engine.h"
#include "daemon/watch_int.h"

bool watcher_polls(const struct watcher *w)
{
    return w->rules->polling || w->fallback;
}

/* While new folders are looked for there may be more to come. */
static uint64_t restart_due(const struct watcher *w)
{
    bool looking = !watcher_polls(w) && (w->scan || w->scan_at);
    uint64_t due = looking ? watch_calm_last(&w->calm, w->delay_ms) : watch_calm_due(&w->calm, w->delay_ms);

    return due < w->busy_until ? w->busy_until : due;
}

static void on_timer(uv_timer_t *timer)
{
    struct watcher *w = timer->data;
    uint64_t now = clock_mono_ms();

    if (w->calm.path && now >= restart_due(w) && !watcher_restart(w))
        w->busy_until = now + WATCH_BUSY_MS;
    if (w->scan_at && now >= w->scan_at && !w->scan)
        watcher_walk(w);
    watcher_arm(w);
}

void watcher_arm(struct watcher *w)
{
    uint64_t now = clock_mono_ms(), due = w->calm.path ? restart_due(w) : UINT64_MAX;

    if (w->scan_at && !w->scan && w->scan_at < due)
        due = w->scan_at;
    if (due == UINT64_MAX) {
        uv_timer_stop(&w->timer);
        return;
    }
    uv_update_time(w->timer.loop);
    uv_timer_start(&w->timer, on_timer, due > now ? due - now : 0, 0);
}

void watcher_changed(struct watcher *w, const char *path)
{
    watch_calm_note(&w->calm, clock_mono_ms(), path);
    watcher_arm(w);
}

/* One that takes long is not repeated all the time. */
void watcher_rescan(struct watcher *w, uint64_t in_ms)
{
    uint64_t rest = WATCH_LONG_SCAN_X * w->last_took_ms;

    if (w->scan_at || w->refused)
        return;
    w->scan_at = clock_mono_ms() + (in_ms > rest ? in_ms : rest);
    watcher_arm(w);
}

static void timer_closed(uv_handle_t *timer)
{
    free(timer->data);
}

static void watcher_end(struct watcher *w)
{
    struct watches *a = w->all;

    if (w->scan) {
        atomic_store(&w->scan->stop, true);
        w->scan->owner = NULL;
    }
    LIST_REMOVE(w, entry);
    watches_drop(a, w->dirs, w->n_dirs, true);
    watches_remove_unused(a);
    watch_rules_unref(w->rules);
    watch_calm_clear(&w->calm);
    free(w->files.v);
    w->app->watch = NULL;
    uv_close((uv_handle_t *)&w->timer, timer_closed);
}

static void watcher_begin(struct engine *e, struct app *a, struct watch_rules *take_rules)
{
    struct watcher *w = xcalloc(1, sizeof(*w));

    w->all = e->watches;
    w->app = a;
    w->rules = take_rules;
    w->delay_ms = (uint64_t)a->spec->watch_delay;
    uv_timer_init(&e->loop, &w->timer);
    w->timer.data = w;
    LIST_INSERT_HEAD(&e->watches->watchers, w, entry);
    a->watch = w;
    watcher_walk(w);
}

void watch_app(struct engine *e, struct app *a)
{
    struct watcher *w = a->watch;
    struct watch_rules *rules;

    if (!e->watches)
        return;
    if (!*a->spec->watch) {
        watch_forget(a);
        return;
    }
    rules = watch_rules_new(a->spec, e->home.path);
    if (w && watch_rules_equal(rules, w->rules)) {
        w->delay_ms = (uint64_t)a->spec->watch_delay;
        watch_rules_unref(rules);
        return;
    }
    watch_forget(a);
    watcher_begin(e, a, rules);
}

void watch_forget(struct app *a)
{
    if (a->watch)
        watcher_end(a->watch);
}

bool watch_is_on(const struct app *a)
{
    const struct watcher *w = a->watch;

    return w && !w->refused;
}

void watch_write(struct jsonw *out, const struct app *a)
{
    const struct watcher *w = a->watch;

    if (!w)
        return;
    jsonw_key(out, "watch");
    jsonw_obj_begin(out);
    jsonw_kstr(out, "method", w->refused ? "none" : watcher_polls(w) ? "polling" : "inotify");
    jsonw_kuint(out, "folders", watcher_polls(w) ? w->n_polled : w->n_dirs);
    jsonw_kbool(out, "ready", w->walked);
    if (w->refused)
        jsonw_kstr(out, "trouble", w->refused);
    jsonw_obj_end(out);
}

struct watches *watches_new(struct engine *e)
{
    struct watches *a = xcalloc(1, sizeof(*a));

    a->engine = e;
    a->fd = -1;
    LIST_INIT(&a->watchers);
    return a;
}

void watches_end_if_idle(struct watches *a)
{
    if (a->engine || a->scans || a->poll_open)
        return;
    if (a->fd >= 0)
        close(a->fd);
    for (unsigned i = 0; i < a->n_stash && i < WATCH_STASH_MAX; i++)
        free(a->stash[i].name);
    free(a->unused);
    free(a->buckets);
    free(a->buffer);
    free(a);
}

static void poll_closed(uv_handle_t *poll)
{
    struct watches *a = poll->data;

    a->poll_open = false;
    watches_end_if_idle(a);
}

void watches_free(struct watches *a)
{
    struct watcher *w;

    if (!a)
        return;
    while ((w = LIST_FIRST(&a->watchers)))
        watcher_end(w);
    a->engine = NULL;
    if (a->poll_open)
        uv_close((uv_handle_t *)&a->poll, poll_closed);
    else
        watches_end_if_idle(a);
}
