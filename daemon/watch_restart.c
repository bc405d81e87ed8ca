/* The restart of an app whose files have changed. */
#include <stdlib.h>

#include "common/mem.h"
#include "common/plog.h"
#include "daemon/act.h"
#include "daemon/engine.h"
#include "daemon/watch_int.h"

/* A restart or stop is under way: what changes now is for the run after it. */
static bool is_busy(const struct process *p)
{
    return p->acting || (p->state == LC_STOPPING && p->desired == DESIRED_UP);
}

/* Down because it failed, or because it was done with what its files said then. A user's stop stays. */
static bool wants_another_try(const struct process *p)
{
    if (p->delete_when_down)
        return false;
    return p->state == LC_ERRORED || p->state == LC_WAITING ||
           (p->state == LC_STOPPED && p->order_up && p->reason == LC_R_EXIT);
}

static void start_again(struct engine *e, struct process *p, const char *words)
{
    log_info("%s (%u): watch: %s", p->app->spec->name, p->id, words);
    event_emit(e, &(struct event){.kind = EVENT_WATCH, .p = p, .by = "pm: watch", .text = words});
    supervisor_restart(e->sup, p, "pm: watch", NULL, NULL);
}

bool watcher_restart(struct watcher *w)
{
    struct engine *e = w->all->engine;
    struct app *a = w->app;
    struct process *p;
    uint32_t *ids;
    char words[256];
    size_t n = 0;

    if (e->updating)
        return false;
    TAILQ_FOREACH (p, &a->processes, app_entry) {
        if (is_busy(p))
            return false;
        n++;
    }
    ids = xcalloc(n + 1, sizeof(*ids));
    n = 0;
    TAILQ_FOREACH (p, &a->processes, app_entry) {
        ids[n++] = p->id;
    }
    watch_calm_words(&w->calm, w->rules->cwd, words, sizeof(words));
    watch_calm_clear(&w->calm);
    for (size_t i = 0; i < n && !e->shutdown; i++) {
        p = supervisor_by_id(e->sup, ids[i]);
        if (!p)
            continue;
        if (wants_another_try(p))
            start_again(e, p, words);
        else
            engine_act(e, p, ACT_RESTART, EVENT_WATCH, "watch", words, true);
    }
    free(ids);
    return true;
}
