/*
 * The end by request: apps are stopped one after another, the last started first, for later ones may need the
 * earlier. The next begins when the one before is down, or after a second, so that a stubborn app does not
 * hold up all others; but never before those that depend on it are down.
 */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/plog.h"
#include "daemon/depends.h"
#include "daemon/engine.h"

#define SHUTDOWN_STEP_MS 1000u

struct shutdown {
    struct engine *engine;
    bool forget; /* the list is emptied (pm kill) */
    char *by;
    unsigned stopping, stopped;
    unsigned current_left; /* of the app that was asked last */
    bool finished;
    uv_timer_t step;
    void (*done)(void *arg, unsigned stopped);
    void *arg;
};

static void step(uv_timer_t *timer);

static void process_down(void *arg, const struct waiter_result *r)
{
    struct shutdown *s = arg;

    (void)r;
    s->stopping--;
    s->stopped++;
    if (s->current_left > 0)
        s->current_left--;
    /* Not from within the supervisor's own loop over its lists: the timer brings the next one. */
    if (s->current_left == 0 || s->stopping == 0)
        uv_timer_start(&s->step, step, 0, 0);
}

static void end_stored(void *arg, int rc, const char *msg)
{
    struct shutdown *s = arg;

    if (rc < 0)
        log_error("the end of the apps could not be stored: %s", msg);
    if (s->done)
        s->done(s->arg, s->stopped);
    engine_end(s->engine);
}

/* Who asked is told when it is on disk: an engine that dies after that must not bring anything back. */
static void finish(struct shutdown *s)
{
    if (s->finished)
        return;
    s->finished = true;
    uv_timer_stop(&s->step);
    log_info("all apps are stopped");
    /* Only now: a daemon that dies before is followed by one that goes on, not by one that begins anew. */
    store_set_ended(s->engine->store, s->forget || s->engine->forgotten ? STORE_FORGOTTEN : STORE_TERMINATED);
    store_commit(s->engine->store, end_stored, s);
}

static bool has_work(const struct app *a)
{
    const struct process *p;

    TAILQ_FOREACH (p, &a->processes, app_entry) {
        if (!runtime_of(p)->shutting_down)
            return true;
    }
    return false;
}

static bool is_down(const struct app *a)
{
    const struct process *p;

    TAILQ_FOREACH (p, &a->processes, app_entry) {
        if (p->state != LC_STOPPED && p->state != LC_ERRORED)
            return false;
    }
    return true;
}

/* Is something up that depends on it? */
static bool is_needed(struct shutdown *s, const struct app *a)
{
    const struct app *other;

    TAILQ_FOREACH (other, supervisor_apps(s->engine->sup), entry) {
        if (other != a && other->spec->depends_on.n && depends_names(other->spec, a->spec->name) &&
            !is_down(other))
            return true;
    }
    return false;
}

/* NULL when there is none, or all that are left have to wait. */
static struct app *last_app_with_work(struct shutdown *s)
{
    struct app_list_head *apps = supervisor_apps(s->engine->sup);
    struct app *a;

    TAILQ_FOREACH_REVERSE(a, apps, app_list_head, entry)
    {
        if (has_work(a) && !is_needed(s, a))
            return a;
    }
    if (s->stopping > 0)
        return NULL;
    TAILQ_FOREACH_REVERSE(a, apps, app_list_head, entry)
    {
        if (has_work(a)) /* they need each other, as only a damaged state.db has it */
            return a;
    }
    return NULL;
}

static void stop_process(struct shutdown *s, struct process *p)
{
    runtime_of(p)->shutting_down = true;
    s->stopping++;
    s->current_left++;
    if (s->forget)
        supervisor_delete(s->engine->sup, p, s->by, process_down, s);
    else
        supervisor_stop(s->engine->sup, p, LC_R_SHUTDOWN, s->by, process_down, s);
}

static void step(uv_timer_t *timer)
{
    struct shutdown *s = timer->data;
    struct app *a = last_app_with_work(s);
    struct process *p, *next;

    if (!a) {
        if (s->stopping == 0)
            finish(s);
        else
            uv_timer_start(timer, step, SHUTDOWN_STEP_MS, 0);
        return;
    }
    s->current_left = 0;
    uv_timer_start(&s->step, step, SHUTDOWN_STEP_MS, 0);
    for (p = TAILQ_FIRST(&a->processes); p; p = next) {
        next = TAILQ_NEXT(p, app_entry);
        if (!runtime_of(p)->shutting_down)
            stop_process(s, p);
    }
}

void engine_shutdown(struct engine *e, bool forget, const char *by, void (*done)(void *arg, unsigned stopped),
                     void *arg)
{
    const struct kw_msg stopping = {.type = KW_STOPPING};
    struct shutdown *s;

    if (e->shutdown) {
        if (done)
            done(arg, 0);
        return;
    }
    log_info("stopping all apps (%s)", by);
    s = xcalloc(1, sizeof(*s));
    *s = (struct shutdown){.engine = e, .forget = forget, .by = xstrdup(by), .done = done, .arg = arg};
    e->shutdown = s;
    engine_send(e, &stopping);
    event_emit(e, &(struct event){.kind = EVENT_KILL, .by = by, .text = "the daemon ends"});
    uv_timer_init(&e->loop, &s->step);
    s->step.data = s;
    uv_timer_start(&s->step, step, 0, 0);
}

static void timer_closed(uv_handle_t *handle)
{
    struct shutdown *s = handle->data;

    free(s->by);
    free(s);
}

void engine_shutdown_free(struct engine *e)
{
    if (e->shutdown)
        uv_close((uv_handle_t *)&e->shutdown->step, timer_closed);
}
