#include "daemon/trigger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "daemon/app_message.h"
#include "daemon/app_talk.h"
#include "daemon/channel.h"
#include "daemon/methods.h"
#include "daemon/selector.h"

#define TRIGGER_MS 5000

/* One request; it lives until all processes have answered or its time is over. */
struct trigger {
    struct engine *engine;
    struct rpc_request *request;
    json_t *replies;
    unsigned pending;
    uint64_t timeout_ms;
    uv_timer_t timer;
};

/* One process that it waits for. */
struct trigger_wait {
    struct trigger *trigger;
    uint64_t run;
    char *action;
    json_t *entry; /* of `replies`; borrowed */
    TAILQ_ENTRY(trigger_wait) link;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* One process less to wait for; the last one answers the request. */
static void one_less(struct trigger *t)
{
    if (--t->pending > 0)
        return;
    rpc_reply(t->request, json_pack("{s:o}", "replies", t->replies));
    uv_close((uv_handle_t *)&t->timer, on_closed);
}

static void end_wait(struct engine *e, struct trigger_wait *w)
{
    struct trigger *t = w->trigger;

    TAILQ_REMOVE(&e->triggers, w, link);
    free(w->action);
    free(w);
    one_less(t);
}

static void fail_entry(json_t *entry, const char *words)
{
    json_object_set_new(entry, "ok", json_false());
    json_object_set_new(entry, "error", json_string(words));
}

static void fail_wait(struct engine *e, struct trigger_wait *w, const char *words)
{
    fail_entry(w->entry, words);
    end_wait(e, w);
}

static struct trigger_wait *oldest(struct engine *e, const struct process *p, const char *action)
{
    struct trigger_wait *w;

    TAILQ_FOREACH (w, &e->triggers, link) {
        if (w->run == p->run && (!action || strcmp(w->action, action) == 0))
            return w;
    }
    return NULL;
}

void trigger_reply(struct engine *e, const struct process *p, const json_t *data)
{
    const char *action = json_string_value(json_object_get(data, "action_name"));
    struct trigger_wait *w = action ? oldest(e, p, action) : NULL;
    json_t *value = json_object_get(data, "return");

    if (!w)
        return;
    json_object_set_new(w->entry, "ok", json_true());
    json_object_set_new(w->entry, "return", value ? json_incref(value) : json_null());
    end_wait(e, w);
}

void trigger_too_long(struct engine *e, const struct process *p, size_t len)
{
    struct trigger_wait *w = oldest(e, p, NULL);
    char words[128];

    snprintf(words, sizeof(words), "the reply of %zu bytes is longer than %u", len, APP_LINE_MAX);
    if (w)
        fail_wait(e, w, words);
}

void trigger_run_ended(struct engine *e, const struct process *p)
{
    struct trigger_wait *w;

    while ((w = oldest(e, p, NULL)))
        fail_wait(e, w, "it ended before it replied");
}

void trigger_abort(struct engine *e)
{
    struct trigger_wait *w;

    while ((w = TAILQ_FIRST(&e->triggers)))
        fail_wait(e, w, "the daemon's engine ends");
}

static void on_time_over(uv_timer_t *timer)
{
    struct trigger *t = timer->data;
    struct engine *e = t->engine;
    struct trigger_wait *w, *next;
    char words[64];

    snprintf(words, sizeof(words), "no reply within %g s", (double)t->timeout_ms / 1000);
    t->pending++; /* the last wait must not answer within the loop */
    for (w = TAILQ_FIRST(&e->triggers); w; w = next) {
        next = TAILQ_NEXT(w, link);
        if (w->trigger == t)
            fail_wait(e, w, words);
    }
    one_less(t);
}

/* Why no action can be asked of it; NULL: it can. The caller frees. */
static char *cannot_ask(const struct process *p, const char *action)
{
    _cleanup_free_ char *known = NULL;

    if (!p->run || p->exited || (p->state != LC_ONLINE && p->state != LC_LAUNCHING))
        return xasprintf("it is %s", lc_state_word(p->state));
    if (!runtime_of(p)->channel)
        return xstrdup("it has no Node channel: only apps that node or bun runs have actions");
    if (app_talk_has_action(runtime_of(p)->talk, action))
        return NULL;
    known = app_talk_actions(runtime_of(p)->talk);
    return xasprintf("it has no action \"%.100s\"; its actions: %s", action, known);
}

/* Without an argument the name alone, as PM2 does: what clients of both forms understand. */
static int send_action(struct process *p, const char *action, const json_t *arg)
{
    json_t *message = arg ? json_pack("{s:s,s:O}", "msg", action, "opts", arg) : json_string(action);
    int rc = message ? app_message_send(p, message) : -EINVAL;

    json_decref(message);
    return rc;
}

static void ask(struct trigger *t, struct process *p, const char *action, const json_t *arg)
{
    struct trigger_wait *w;
    json_t *entry = json_pack("{s:I,s:s,s:s,s:i}", "id", (json_int_t)p->id, "name", p->app->spec->name,
                              "namespace", p->app->spec->ns, "instance", (int)p->instance);
    char *why = cannot_ask(p, action);
    int rc = why ? 0 : send_action(p, action, arg);

    json_array_append_new(t->replies, entry);
    if (why) {
        fail_entry(entry, why);
        json_object_set_new(entry, "asked", json_false());
        free(why);
        return;
    }
    if (rc < 0) {
        fail_entry(entry, rc == -EAGAIN ? "it does not read its channel" : strerror(-rc));
        return;
    }
    w = xcalloc(1, sizeof(*w));
    *w = (struct trigger_wait){.trigger = t, .run = p->run, .action = xstrdup(action), .entry = entry};
    TAILQ_INSERT_TAIL(&t->engine->triggers, w, link);
    t->pending++;
}

/* Nobody can be asked: the first reason is the error of the request. False: somebody can. */
static bool refuse(struct rpc_request *r, const struct selection *sel, const char *action)
{
    char *first = NULL;

    for (size_t i = 0; i < sel->n; i++) {
        char *why = cannot_ask(sel->v[i], action);

        if (!why) {
            free(first);
            return false;
        }
        if (!first)
            first = xasprintf("%s (id %u): %s", sel->v[i]->app->spec->name, sel->v[i]->id, why);
        free(why);
    }
    if (sel->n > 1)
        rpc_fail(r, RPC_FAILED, "none of the %zu selected processes can be asked; %s", sel->n, first);
    else
        rpc_fail(r, RPC_FAILED, "%s", first);
    free(first);
    return true;
}

void method_process_trigger(void *engine, struct rpc_request *r)
{
    const char *action = json_string_value(json_object_get(r->params, "action"));
    const json_t *arg = json_object_get(r->params, "arg"), *timeout = json_object_get(r->params, "timeout");
    struct engine *e = engine;
    struct selection sel;
    struct trigger *t;

    if (strlen(action) > APP_NAME_MAX || json_string_length(arg) > APP_SEND_MAX / 2) {
        rpc_fail(r, RPC_BAD_PARAMS, "process.trigger: an action's name has at most %u bytes, its argument %u",
                 APP_NAME_MAX, APP_SEND_MAX / 2);
        return;
    }
    if (!method_select(e, r, &sel))
        return;
    if (refuse(r, &sel, action)) {
        selection_free(&sel);
        return;
    }
    t = xcalloc(1, sizeof(*t));
    *t = (struct trigger){.engine = e,
                          .request = r,
                          .replies = json_array(),
                          .pending = 1,
                          .timeout_ms = timeout ? (uint64_t)json_integer_value(timeout) : TRIGGER_MS};
    uv_timer_init(&e->loop, &t->timer);
    t->timer.data = t;
    uv_update_time(&e->loop);
    uv_timer_start(&t->timer, on_time_over, t->timeout_ms, 0);
    for (size_t i = 0; i < sel.n; i++)
        ask(t, sel.v[i], action, arg);
    selection_free(&sel);
    one_less(t);
}
