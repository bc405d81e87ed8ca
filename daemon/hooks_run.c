#include "daemon/hooks_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/plog.h"
#include "config/hook_list.h"
#include "daemon/engine.h"
#include "daemon/hooks_int.h"

struct hooks {
    struct engine *engine;
    struct hook_rates rates;
    struct hook_jobs queue, running;
    unsigned n_queue, n_running;
    uint64_t dropped; /* since the queue was full; 0 = it is not */
};

/* What the targets of an event are queued with. */
struct hook_ask {
    struct hooks *hooks;
    const struct event *event;
    const char *word;
    const char *json; /* NULL: targets are counted only */
    unsigned n;
};

struct hooks *hooks_open(struct engine *e)
{
    struct hooks *h = xcalloc(1, sizeof(*h));

    h->engine = e;
    TAILQ_INIT(&h->rates);
    TAILQ_INIT(&h->queue);
    TAILQ_INIT(&h->running);
    return h;
}

static void tell_failure(struct hooks *h, const struct hook_job *j, const char *words)
{
    struct process *p = supervisor_by_id(h->engine->sup, j->process);
    _cleanup_free_ char *target = hook_target_words(j->target);
    _cleanup_free_ char *text = xasprintf("on %s: %s: %s", j->word, target, words);

    log_warn("%s: a hook failed: %s", j->name, text);
    if (p && strcmp(p->app->spec->name, j->name) != 0)
        p = NULL; /* another one has the number now */
    event_emit(h->engine, &(struct event){.kind = EVENT_HOOK, .p = p, .text = text});
}

static void pump(struct hooks *h);

void hook_child_done(struct hook_job *j, const char *failure)
{
    struct hooks *h = j->hooks;

    if (h) {
        TAILQ_REMOVE(&h->running, j, entry);
        h->n_running--;
        if (failure)
            tell_failure(h, j, failure);
        else
            log_debug("%s: the hook on %s is done", j->name, j->word);
    }
    hook_job_end(j);
    if (h)
        pump(h);
}

static void run(struct hook_job *j, const struct user_ids *ids)
{
    struct err e = {0};

    if (hook_child_start(&j->hooks->engine->loop, j, ids, &e) < 0)
        hook_child_done(j, e.msg);
}

static void on_user(void *arg, const struct user_ids *ids, const struct err *e)
{
    struct hook_job *j = arg;

    if (!j->hooks)
        hook_job_end(j);
    else if (ids)
        run(j, ids);
    else
        hook_child_done(j, e->msg);
}

static void pump(struct hooks *h)
{
    struct hook_job *j;

    /* A hook that cannot be started comes back to here; then this loop finds less to do. */
    while (h->n_running < HOOK_RUNNING_MAX && (j = TAILQ_FIRST(&h->queue)) != NULL) {
        TAILQ_REMOVE(&h->queue, j, entry);
        h->n_queue--;
        TAILQ_INSERT_TAIL(&h->running, j, entry);
        h->n_running++;
        if (!j->uid && !j->gid)
            run(j, NULL);
        else if (h->engine->users)
            users_find(h->engine->users, j->uid, j->gid, on_user, j);
        else
            hook_child_done(j, "the daemon ends");
    }
    if (h->dropped && h->n_queue == 0) {
        log_warn("hooks: %llu were not run, because %u waited already", (unsigned long long)h->dropped,
                 HOOK_QUEUE_MAX);
        h->dropped = 0;
    }
}

static void ask_one(void *arg, const char *target, bool of_app)
{
    struct hook_ask *a = arg;
    const struct process *p = a->event->p;
    const struct app_spec *s = p->app->spec;
    struct hooks *h = a->hooks;
    struct hook_job *j;

    a->n++;
    if (!a->json)
        return;
    if (h->n_queue >= HOOK_QUEUE_MAX) {
        h->dropped++;
        return;
    }
    j = xcalloc(1, sizeof(*j));
    *j = (struct hook_job){.hooks = h,
                           .process = p->id,
                           .name = xstrdup(s->name),
                           .word = a->word,
                           .target = xstrdup(target),
                           .cwd = xstrdup(of_app ? s->cwd : h->engine->home.path),
                           .home = xstrdup(h->engine->home.path),
                           .json = xstrdup(a->json),
                           .uid = xstrdup(of_app ? s->uid : NULL),
                           .gid = xstrdup(of_app ? s->gid : NULL),
                           .limit_ms =
                               hook_is_url(target) ? HOOK_WEBHOOK_MS : hook_timeout(h->engine->settings)};
    TAILQ_INSERT_TAIL(&h->queue, j, entry);
    h->n_queue++;
}

void hooks_tell(struct hooks *h, const struct event *ev, const char *json, size_t len)
{
    struct hook_ask a = {.hooks = h, .event = ev, .word = event_hook(ev->kind)};
    const struct app_spec *s = ev->p->app->spec;
    uint64_t skipped;

    hook_each_target(s->on, h->engine->settings, a.word, ask_one, &a);
    if (!a.n || !hook_rate_take(&h->rates, s->name, a.word, clock_mono_ms(), &skipped))
        return;
    _cleanup_free_ char *text = hook_event_json(json, len, skipped);
    a.json = text;
    hook_each_target(s->on, h->engine->settings, a.word, ask_one, &a);
    pump(h);
}

void hooks_close(struct hooks *h)
{
    struct hook_job *j;

    if (!h)
        return;
    if (h->n_queue)
        log_warn("hooks: %u that waited are not run: the daemon ends", h->n_queue);
    while ((j = TAILQ_FIRST(&h->queue)) != NULL) {
        TAILQ_REMOVE(&h->queue, j, entry);
        hook_job_end(j);
    }
    while ((j = TAILQ_FIRST(&h->running)) != NULL) {
        TAILQ_REMOVE(&h->running, j, entry);
        if (j->child)
            hook_child_leave(j);
        j->hooks = NULL; /* if it waits for its user, the answer frees it */
    }
    hook_rates_clear(&h->rates);
    free(h);
}
