#include "daemon/events.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/jsonw.h"
#include "daemon/engine.h"
#include "daemon/hooks_run.h"

/* "channel" is the name under which PM2's bus has it. */
static const struct {
    const char *channel, *word;
    bool stored;
    const char *hook; /* under which `on` has it, see hook_words; NULL: there are none for it */
} kinds[EVENT_KIND_COUNT] = {
    [EVENT_START] = {"process:event", "start", true, "start"},
    [EVENT_ONLINE] = {"process:event", "online", true, "online"},
    [EVENT_EXIT] = {"process:event", "exit", true, "exit"},
    [EVENT_RESTART] = {"process:event", "restart", true, "restart"},
    [EVENT_RELOAD] = {"process:event", "reload", true, "reload"},
    [EVENT_STOP] = {"process:event", "stop", true, "stop"},
    [EVENT_DELETE] = {"process:event", "delete", true, "delete"},
    [EVENT_OVERLIMIT] = {"process:event", "restart overlimit", true, "overlimit"},
    [EVENT_ERRORED] = {"pm:event", "errored", true, "errored"},
    [EVENT_READY_TIMEOUT] = {"pm:event", "ready timeout", true, "ready_timeout"},
    [EVENT_LIMIT] = {"pm:event", "limit", true, "limit"},
    [EVENT_UNHEALTHY] = {"pm:event", "unhealthy", true, "unhealthy"},
    [EVENT_HEALTHY] = {"pm:event", "healthy", true, "healthy"},
    [EVENT_SCHEDULE] = {"pm:event", "schedule", true, "schedule"},
    [EVENT_WATCH] = {"pm:event", "watch", true, "watch"},
    [EVENT_HOOK] = {"pm:event", "hook failed", true, NULL},
    [EVENT_ENGINE] = {"pm:event", "engine replaced", true, NULL},
    [EVENT_LOG_TROUBLE] = {"pm:event", "log trouble", true, NULL},
    [EVENT_LIST_TROUBLE] = {"pm:event", "saved list trouble", true, NULL},
    [EVENT_KILL] = {"pm2:kill", "kill", true, NULL},
    [EVENT_MESSAGE] = {"process:msg", "process:msg", false, NULL},
    [EVENT_EXCEPTION] = {"process:exception", "process:exception", false, NULL},
    [EVENT_REPLY] = {"axm:reply", "axm:reply", false, NULL},
    [EVENT_HUMAN] = {"human:event", "human:event", false, NULL},
};

const char *event_word(enum event_kind kind)
{
    return kinds[kind].word;
}

const char *event_hook(enum event_kind kind)
{
    return kinds[kind].hook;
}

bool event_is_stored(enum event_kind kind)
{
    return kinds[kind].stored;
}

static void write_process(struct jsonw *w, const struct event *ev)
{
    const struct process *p = ev->p;
    uint64_t run = ev->run ? ev->run : p->run;

    jsonw_kuint(w, "id", p->id);
    jsonw_kstr(w, "name", p->app->spec->name);
    jsonw_kstr(w, "namespace", p->app->spec->ns);
    jsonw_kuint(w, "instance", p->instance);
    if (run)
        jsonw_kuint(w, "run", run);
    if (p->pid)
        jsonw_kint(w, "pid", p->pid);
}

static void write_message(struct jsonw *w, const struct event *ev)
{
    char *text = ev->data ? json_dumps(ev->data, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    if (ev->type)
        jsonw_kstr(w, "type", ev->type);
    if (text) {
        jsonw_key(w, "data");
        jsonw_raw(w, text, strlen(text));
    }
    if (ev->raw) {
        jsonw_key(w, "raw");
        jsonw_strn(w, ev->raw, ev->raw_len);
    }
    if (ev->too_long)
        jsonw_kuint(w, "too_long", ev->too_long);
    free(text);
}

void event_write(struct buf *out, const struct event *ev, uint64_t now_ms)
{
    struct jsonw w = jsonw_init(out);

    jsonw_obj_begin(&w);
    jsonw_kuint(&w, "time", now_ms);
    jsonw_kstr(&w, "channel", kinds[ev->kind].channel);
    jsonw_kstr(&w, "event", kinds[ev->kind].word);
    if (ev->p)
        write_process(&w, ev);
    if (ev->p && ev->kind <= EVENT_ERRORED)
        jsonw_kbool(&w, "manually", ev->manually);
    if (ev->by && *ev->by)
        jsonw_kstr(&w, "by", ev->by);
    if (ev->has_exit && ev->exit_code >= 0)
        jsonw_kint(&w, "exit_code", ev->exit_code);
    if (ev->has_exit && ev->signal)
        jsonw_kint(&w, "signal", ev->signal);
    if (ev->text && *ev->text)
        jsonw_kstr(&w, "text", ev->text);
    write_message(&w, ev);
    jsonw_obj_end(&w);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

bool event_is_for(const struct event_listener *l, uint32_t process)
{
    return !l->ids || bsearch(&process, l->ids, l->n_ids, sizeof(*l->ids), by_number);
}

void event_emit(struct engine *e, const struct event *ev)
{
    uint32_t process = ev->p ? ev->p->id : STORE_NO_PROCESS;
    bool stored = kinds[ev->kind].stored && e->store;
    uint64_t now = clock_wall_ms();
    struct event_listener *l;
    struct buf json = {0};

    if (!stored && TAILQ_EMPTY(&e->listeners))
        return;
    event_write(&json, ev, now);
    if (stored)
        store_put_event(e->store, &(struct store_event){now, kinds[ev->kind].word, process,
                                                        ev->run || !ev->p ? ev->run : ev->p->run, json.data});
    TAILQ_FOREACH (l, &e->listeners, entry) {
        if (event_is_for(l, process))
            l->event(l->arg, json.data, json.len);
    }
    if (e->hooks && kinds[ev->kind].hook && ev->p)
        hooks_tell(e->hooks, ev, json.data, json.len);
    buf_free(&json);
}
