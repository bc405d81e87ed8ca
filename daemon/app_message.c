#include "daemon/app_message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/plog.h"
#include "daemon/app_talk.h"
#include "daemon/channel.h"
#include "daemon/engine.h"
#include "daemon/events.h"
#include "daemon/trigger.h"

/* Where in a too long line its type stands. */
#define TYPE_HEAD 64

static const enum event_kind event_of[] = {
    [APP_RAW] = EVENT_MESSAGE,         [APP_TOO_LONG] = EVENT_MESSAGE, [APP_MONITOR] = EVENT_MESSAGE,
    [APP_ACTION] = EVENT_MESSAGE,      [APP_OPTION] = EVENT_MESSAGE,   [APP_REPLY] = EVENT_REPLY,
    [APP_EXCEPTION] = EVENT_EXCEPTION, [APP_HUMAN] = EVENT_HUMAN,      [APP_MESSAGE] = EVENT_MESSAGE,
};

static struct app_talk *talk_of(struct process *p)
{
    struct runtime *r = runtime_of(p);

    if (!r->talk)
        r->talk = app_talk_new();
    return r->talk;
}

/* A new journal in place of a full one, or the first. The keeper holds it from then on. */
static int renew_journal(struct engine *e, const struct process *p, struct hold *hold)
{
    struct kw_msg held = {.type = KW_HOLD, .token = p->run};
    struct runtime *r = runtime_of(p);
    int fd = app_journal_new(r->talk, &r->talk_end);

    if (fd < 0)
        return fd;
    hold_set(hold, KW_FD_TALK, fd);
    kw_add_fd(&held, KW_FD_TALK, fd);
    return engine_send(e, &held);
}

/* An app announces its actions once, so the next engine must find them. */
static void remember(struct engine *e, struct process *p, const char *line, size_t len)
{
    struct hold *hold = holds_get(&e->holds, p->run);
    struct runtime *r = runtime_of(p);
    int rc;

    if (!hold)
        return;
    if (hold->fds[KW_FD_TALK] < 0 || r->talk_end + len >= APP_JOURNAL_MAX)
        rc = renew_journal(e, p, hold);
    else
        rc = app_journal_add(hold->fds[KW_FD_TALK], &r->talk_end, line, len);
    if (rc < 0)
        log_warn("%s (%u): what it announced will be forgotten with this engine: %s", p->app->spec->name,
                 p->id, strerror(-rc));
}

static void take(struct engine *e, struct process *p, const struct app_word *w, const char *line, size_t len)
{
    struct app_talk *talk = talk_of(p);
    unsigned refused = talk->refused;

    if (app_talk_take(talk, w))
        remember(e, p, line, len);
    if (refused == 0 && talk->refused > 0)
        log_warn(
            "%s (%u) announces more metrics or actions than are kept (%u of each, %u KiB in all): the rest "
            "is left out",
            p->app->spec->name, p->id, APP_ACTIONS_MAX, APP_TALK_MAX / 1024);
}

static void tell(struct engine *e, struct process *p, const struct app_word *w, const char *line, size_t len)
{
    struct event ev = {.kind = event_of[w->kind], .p = p, .data = w->data};

    if (ev.kind == EVENT_MESSAGE && w->type && strcmp(w->type, "process:msg") != 0)
        ev.type = w->type;
    if (w->kind == APP_RAW) {
        ev.raw = line;
        ev.raw_len = len;
    }
    if (w->kind == APP_TOO_LONG)
        ev.too_long = len;
    event_emit(e, &ev);
}

void app_message(struct engine *e, struct process *p, const char *line, size_t len)
{
    struct app_word w;

    /* Most messages are for nobody. What concerns us is written with these very letters. */
    if (TAILQ_EMPTY(&e->listeners) && !memmem(line, len, "axm:", 4))
        return;
    app_word_parse(&w, line, len);
    switch (w.kind) {
    case APP_MONITOR:
    case APP_ACTION:
    case APP_OPTION: /* what they say is shown elsewhere: no event */
        take(e, p, &w, line, len);
        break;
    case APP_REPLY:
        trigger_reply(e, p, w.data);
        tell(e, p, &w, line, len);
        break;
    case APP_TOO_LONG:
        if (memmem(line, TYPE_HEAD, "\"axm:reply\"", 11))
            trigger_too_long(e, p, len);
        tell(e, p, &w, line, len);
        break;
    case APP_RAW:
    case APP_EXCEPTION:
    case APP_HUMAN:
    case APP_MESSAGE:
        tell(e, p, &w, line, len);
        break;
    }
    app_word_deinit(&w);
}

int app_message_send(struct process *p, const json_t *message)
{
    struct channel *channel = runtime_of(p)->channel;
    char *line;
    int rc;

    if (!channel)
        return -ENOTCONN;
    line = json_dumps(message, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!line)
        return -EINVAL;
    rc = strlen(line) >= APP_SEND_MAX ? -E2BIG : channel_send(channel, line);
    free(line);
    return rc;
}

void app_message_restore(struct engine *e, struct process *p)
{
    struct hold *hold = holds_get(&e->holds, p->run);

    if (hold && hold->fds[KW_FD_TALK] >= 0 && !runtime_of(p)->talk)
        app_journal_read(hold->fds[KW_FD_TALK], &runtime_of(p)->talk_end, talk_of(p));
}

void app_message_ended(struct engine *e, struct process *p)
{
    struct runtime *r = runtime_of(p);

    trigger_run_ended(e, p);
    app_talk_free(r->talk);
    r->talk = NULL;
    r->talk_end = 0;
}
