#include "daemon/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/plog.h"
#include "daemon/cluster_int.h"

#define NACK_PAUSE_MS 50u
#define ROOM_PAUSE_MS 50u  /* when the kernel takes no more descriptors */
#define DRAINED_MS    100u /* after the end of the channel the program has so long to end by itself */

static void on_timer(uv_timer_t *timer);

/* --- what goes to the worker --- */

struct state *worker_state(struct worker *w)
{
    int fd;

    if (w->state)
        return w->state;
    w->state = state_open(-1, &fd);
    if (fd >= 0)
        w->set->hooks.keep_state(w->set->hooks.arg, w->run, fd);
    return w->state;
}

uint32_t worker_next_seq(struct worker *w)
{
    return worker_state(w)->next_seq++;
}

static bool is_bun(const struct worker *w)
{
    return w->state && w->state->bun;
}

void worker_line(const struct worker *w, struct buf *out, const char *fields, uint32_t seq, bool with_fd,
                 bool udp)
{
    if (is_bun(w))
        buf_printf(out, "\x02{\"cmd\":\"NODE_CLUSTER\",%s,\"seq\":%u%s}", fields, seq,
                   with_fd ? ",\"$hasHandle\":true" : "");
    else if (with_fd)
        buf_printf(
            out, "{\"cmd\":\"NODE_HANDLE\",\"type\":\"%s\",\"msg\":{\"cmd\":\"NODE_CLUSTER\",%s,\"seq\":%u}}",
            udp ? "dgram.Native" : "net.Native", fields, seq);
    else
        buf_printf(out, "{\"cmd\":\"NODE_CLUSTER\",%s,\"seq\":%u}", fields, seq);
}

/* Not to be able to send is noted: then the rest is sent when there is room. */
int worker_send_line(struct worker *w, const char *line, int fd)
{
    int rc = w->ended ? -EPIPE : channel_send_fd(w->channel, line, fd);

    if (rc == -ENOBUFS) {
        w->blocked = w->starved = true;
        uv_timer_start(&w->timer, on_timer, ROOM_PAUSE_MS, 0);
        return -EAGAIN;
    }
    if (rc == -EAGAIN) {
        w->blocked = true;
        channel_want_write(w->channel);
    }
    return rc;
}

int worker_send(struct worker *w, const char *fields, int fd, bool udp)
{
    struct buf line = {0};
    int rc;

    worker_line(w, &line, fields, worker_next_seq(w), fd >= 0, udp);
    rc = worker_send_line(w, line.data, fd);
    buf_free(&line);
    return rc;
}

bool worker_may_send_fd(const struct worker *w)
{
    return !w->blocked && !w->waiting && !w->ended && w->flight == FLIGHT_NONE;
}

/* --- what the keeper does --- */

/* While the keeper takes bytes out of the channel nobody else does. */
void worker_resume(struct worker *w)
{
    if (w->asked != ASKED_ACK)
        channel_resume(w->channel);
}

static int ask(struct worker *w, enum asked what, size_t consume, const char *line, bool once)
{
    int rc = w->set->hooks.answer(w->set->hooks.arg, w->run, consume, line, once);

    if (rc == 0)
        w->asked = what;
    return rc;
}

/* An acknowledgement that nobody waits for ends a Node program, one that does not come stops it: exactly one
 * for each handle. */
static enum channel_verdict acknowledge(struct worker *w, size_t consume)
{
    const char *line = is_bun(w) ? "\x02{\"cmd\":\"NODE_HANDLE_ACK\"}\n" : "{\"cmd\":\"NODE_HANDLE_ACK\"}\n";
    char bare[40];

    if (w->asked != ASKED_NOTHING || w->blocked)
        return CHANNEL_WAIT; /* the line comes once more */
    if (ask(w, ASKED_ACK, consume, line, false) == 0)
        return CHANNEL_WAIT;
    /* A keeper of before this version: as good as it can be without it. */
    snprintf(bare, sizeof(bare), "%.*s", (int)strlen(line) - 1, line);
    return worker_send_line(w, bare, -1) == -EAGAIN ? CHANNEL_WAIT : CHANNEL_DONE;
}

static void tell_directly(struct worker *w, const char *line)
{
    if (!w->blocked && worker_send_line(w, line, -1) != -EAGAIN) {
        worker_state(w)->told = 1;
        w->told = true;
        w->want_told = false;
    }
}

void worker_ask_disconnect(struct worker *w)
{
    struct buf line = {0};

    if (w->asked != ASKED_NOTHING || w->told || w->ended || !w->want_told || w->blocked)
        return;
    worker_line(w, &line, "\"act\":\"disconnect\"", worker_next_seq(w), false, false);
    buf_putc(&line, '\n');
    if (ask(w, ASKED_DISCONNECT, 0, line.data, true) < 0) {
        line.data[--line.len] = '\0';
        tell_directly(w, line.data);
    }
    buf_free(&line);
}

void cluster_answered(struct worker *w, bool once, int error)
{
    enum asked was = w->asked;

    if (was != (once ? ASKED_DISCONNECT : ASKED_ACK))
        return;
    w->asked = ASKED_NOTHING;
    if (error == EAGAIN) {
        w->blocked = true;
        if (was == ASKED_ACK)
            channel_skip(w->channel, false); /* the beginning of a long line is still there */
        channel_want_write(w->channel);
        return;
    }
    if (was == ASKED_DISCONNECT) {
        w->told = true;
        w->want_told = false;
    } else {
        w->message_told = false;
    }
    channel_resume(w->channel);
    worker_ask_disconnect(w);
}

void cluster_keeper_changed(struct worker *w)
{
    enum asked was = w->asked;

    w->asked = ASKED_NOTHING;
    if (was == ASKED_DISCONNECT) {
        /* Whether it was said before the keeper died nobody knows. Twice would do harm; not at all only means
         * that the polite signal comes after kill_timeout. */
        worker_state(w)->told = 1;
        worker_state(w)->told = 1;
        w->told = true;
        w->want_told = false;
    }
    if (was == ASKED_ACK)
        channel_resume(w->channel); /* what is there now tells whether the line was consumed */
    worker_ask_disconnect(w);
}

/* --- what comes from it --- */

static enum channel_verdict on_listening(struct worker *w, json_t *msg)
{
    struct state *st = worker_state(w);
    uint64_t name = query_name(msg, (int)json_integer_value(json_object_get(msg, "port")));
    struct state_entry *e;

    STATE_FOREACH(have, st)
    {
        if (have->name == name) {
            have->listening = 1;
            w->set->hooks.listening(w->set->hooks.arg, w->run);
            return CHANNEL_DONE;
        }
    }
    /* One that it has bound itself: a server of Bun. */
    e = state_add(st);
    if (e) {
        e->name = name;
        e->listening = 1;
        state_set_phase(e, ENTRY_HELD);
        w->set->hooks.listening(w->set->hooks.arg, w->run);
    }
    return CHANNEL_DONE;
}

static enum channel_verdict on_close(struct worker *w, const json_t *msg)
{
    const char *key = json_string_value(json_object_get(msg, "key"));
    uint64_t token = key ? strtoull(key, NULL, 10) : 0;
    struct state_entry *e = state_find(worker_state(w), token);
    struct sock *s = sockets_by_token(w->set->sockets, token);

    if (!e)
        return CHANNEL_DONE;
    rr_leave(w, token);
    if (s)
        sock_unuse(s, w->run);
    state_set_phase(e, ENTRY_FREE);
    return CHANNEL_DONE;
}

static enum channel_verdict on_exited_after_disconnect(struct worker *w, json_t *msg)
{
    char fields[40];

    cluster_leave(w);
    snprintf(fields, sizeof(fields), "\"ack\":%u", (unsigned)json_integer_value(json_object_get(msg, "seq")));
    return worker_send(w, fields, -1, false) == -EAGAIN ? CHANNEL_WAIT : CHANNEL_DONE;
}

static enum channel_verdict on_cluster(struct worker *w, json_t *msg, bool at_head)
{
    const char *act = json_string_value(json_object_get(msg, "act"));
    const json_t *ack = json_object_get(msg, "ack");

    if (!w->is_worker)
        return CHANNEL_DONE;
    if (json_is_integer(ack))
        rr_answer(w, (uint32_t)json_integer_value(ack), json_is_true(json_object_get(msg, "accepted")));
    else if (!act)
        return CHANNEL_DONE;
    else if (strcmp(act, "queryServer") ==
             0) /* a close in front of it, seen once more, would mean this one */
        return at_head ? query_line(w, msg) : CHANNEL_AT_HEAD;
    else if (strcmp(act, "listening") == 0)
        return on_listening(w, msg);
    else if (strcmp(act, "close") == 0)
        return on_close(w, msg);
    else if (strcmp(act, "exitedAfterDisconnect") == 0)
        return on_exited_after_disconnect(w, msg);
    return CHANNEL_DONE; /* online, and what later versions have to say */
}

/* Sockets of its own servers that the app has sent us: we keep none of them. */
static enum channel_verdict on_socket_word(struct worker *w, const json_t *msg, bool closed)
{
    char *key = json_dumps(json_object_get(msg, "key"), JSON_ENCODE_ANY | JSON_COMPACT);
    char *line;
    int rc;

    if (!key)
        return CHANNEL_DONE;
    line = xasprintf("%s{\"cmd\":\"NODE_SOCKET_%s\",\"key\":%s%s}", is_bun(w) ? "\x02" : "",
                     closed ? "ALL_CLOSED" : "COUNT", key, closed ? "" : ",\"count\":0");
    rc = worker_send_line(w, line, -1);
    free(line);
    free(key);
    return rc == -EAGAIN ? CHANNEL_WAIT : CHANNEL_DONE;
}

static enum channel_verdict on_acked(struct worker *w, bool received)
{
    if (w->flight == FLIGHT_ENTRY)
        query_acked(w, received);
    else if (w->flight == FLIGHT_CONN)
        rr_acked(w, received);
    if (!received && w->nacks) {
        w->waiting = true;
        uv_timer_start(&w->timer, on_timer, NACK_PAUSE_MS, 0);
    }
    worker_pump(w);
    return CHANNEL_DONE;
}

static enum channel_verdict on_internal(struct worker *w, json_t *msg, bool at_head)
{
    const char *cmd = json_string_value(json_object_get(msg, "cmd"));

    if (!cmd)
        return CHANNEL_DONE;
    if (strcmp(cmd, "NODE_CLUSTER") == 0)
        return on_cluster(w, msg, at_head);
    if (strcmp(cmd, "NODE_HANDLE_ACK") == 0)
        return on_acked(w, true);
    if (strcmp(cmd, "NODE_HANDLE_NACK") == 0)
        return on_acked(w, false);
    if (strcmp(cmd, "NODE_SOCKET_NOTIFY_CLOSE") == 0)
        return on_socket_word(w, msg, true);
    if (strcmp(cmd, "NODE_SOCKET_GET_COUNT") == 0)
        return on_socket_word(w, msg, false);
    return CHANNEL_DONE;
}

static json_t *parse(const char *line, size_t len)
{
    return json_loadb(line, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

/* The message of the application that came with a handle, once. */
static void tell_message(struct worker *w, const char *line, size_t len)
{
    json_t *outer = w->message_told ? NULL : parse(line, len);
    json_t *inner = json_object_get(outer, "msg");
    const char *cmd = json_string_value(json_object_get(inner, "cmd"));
    char *text = NULL;

    if (inner && !(cmd && strncmp(cmd, "NODE_", 5) == 0 && cmd[5]))
        text = json_dumps(inner, JSON_ENCODE_ANY | JSON_COMPACT);
    if (text)
        w->set->hooks.message(w->set->hooks.arg, w->run, text, strlen(text));
    free(text);
    json_decref(outer);
    w->message_told = true;
}

static bool begins(const char *line, size_t len, const char *word)
{
    size_t n = strlen(word);

    return len >= n && memcmp(line, word, n) == 0;
}

static bool carries_handle(const struct worker *w, const char *line, size_t len)
{
    static const char bun[] = "\"$hasHandle\":true";

    return begins(line, len, "{\"cmd\":\"NODE_HANDLE\"") ||
           (is_bun(w) && memmem(line, len, bun, sizeof(bun) - 1) != NULL);
}

/* `seq` of a message that our parser refuses (a lone surrogate in a path) and Node's does not: without an
 * answer its listen() would wait for ever. */
static enum channel_verdict on_unreadable(struct worker *w, const char *line, size_t len)
{
    static const char word[] = "\"seq\":";
    const char *at = NULL, *next = line;
    json_t *msg;
    enum channel_verdict v;

    if (!w->is_worker || !memmem(line, len, "\"queryServer\"", 13))
        return CHANNEL_DONE;
    while ((next = memmem(next, len - (size_t)(next - line), word, sizeof(word) - 1)))
        at = next += sizeof(word) - 1;
    if (!at)
        return CHANNEL_DONE;
    msg = json_pack("{s:I}", "seq", (json_int_t)strtoull(at, NULL, 10)); /* '}' ends it */
    v = query_line(w, msg);
    json_decref(msg);
    return v;
}

static enum channel_verdict on_line(void *arg, const char *line, size_t len, size_t in_socket)
{
    struct worker *w = arg;
    enum channel_verdict v;
    json_t *msg;

    if (len && *line == CHANNEL_BUN_MARK) {
        line++;
        len--;
        if (w->is_worker)
            worker_state(w)->bun = 1;
    }
    if (carries_handle(w, line, len)) {
        if (!in_socket)
            return CHANNEL_AT_HEAD;
        if (w->asked == ASKED_NOTHING && !w->blocked)
            tell_message(w, line, len);
        v = acknowledge(w, in_socket);
        if (v == CHANNEL_DONE)
            w->message_told = false;
        return v;
    }
    if (!begins(line, len, "{\"cmd\":\"NODE_")) {
        w->set->hooks.message(w->set->hooks.arg, w->run, line, len);
        return CHANNEL_DONE;
    }
    if (w->blocked)
        return CHANNEL_WAIT; /* its answer would not fit */
    msg = parse(line, len);
    v = json_is_object(msg) ? on_internal(w, msg, in_socket > 0) : on_unreadable(w, line, len);
    json_decref(msg);
    return v;
}

/* A handle with a message so long that its end is not in the socket yet. It is acknowledged at once: the
 * rest may take long, and must not be taken for a line by the next engine. */
static enum channel_verdict on_part(void *arg, const char *data, size_t len)
{
    struct worker *w = arg;
    const char *line = data;
    enum channel_verdict v;

    if (*line == CHANNEL_BUN_MARK)
        line++;
    if (!carries_handle(w, line, len - (size_t)(line - data)))
        return CHANNEL_DONE;
    if (w->asked != ASKED_NOTHING || w->blocked)
        return CHANNEL_WAIT;
    channel_skip(w->channel, true);
    v = acknowledge(w, len);
    if (v == CHANNEL_WAIT && w->asked == ASKED_NOTHING)
        channel_skip(w->channel, false);
    return v;
}

static void on_midline(void *arg, bool on)
{
    struct worker *w = arg;

    if (on || w->state)
        worker_state(w)->midline = on;
}

static void on_writable(void *arg)
{
    struct worker *w = arg;

    w->blocked = false;
    worker_ask_disconnect(w);
    worker_pump(w);
    worker_resume(w);
}

static void on_ended(void *arg)
{
    struct worker *w = arg;

    w->ended = true;
    w->left = true;
    query_cancel(w);
    rr_gone(w);
    uv_timer_start(&w->timer, on_timer, DRAINED_MS, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct worker *w = timer->data;

    w->waiting = false;
    if (w->ended) {
        w->set->hooks.drained(w->set->hooks.arg, w->run); /* it may be detached in there */
    } else if (w->starved) {
        w->starved = false;
        on_writable(w);
    } else {
        worker_pump(w);
    }
}

void worker_pump(struct worker *w)
{
    if (w->ended || w->blocked || w->waiting)
        return;
    query_pump(w);
    rr_pump(w);
}

/* --- its beginning and end --- */

struct cluster *cluster_new(uv_loop_t *loop, struct sockets *sockets, const struct cluster_hooks *hooks)
{
    struct cluster *c = xcalloc(1, sizeof(*c));

    c->loop = loop;
    c->sockets = sockets;
    c->hooks = *hooks;
    TAILQ_INIT(&c->workers);
    TAILQ_INIT(&c->rrs);
    return c;
}

void cluster_free(struct cluster *c)
{
    if (!c)
        return;
    rr_free_all(c);
    free(c);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct worker *w = handle->data;

    free(w->uid);
    free(w->gid);
    state_close(w->state);
    free(w);
}

struct worker *cluster_attach(struct cluster *c, const struct cluster_run *run)
{
    const struct channel_hooks hooks = {
        .line = on_line, .part = on_part, .midline = on_midline, .writable = on_writable, .ended = on_ended};
    struct worker *w = xcalloc(1, sizeof(*w));
    struct channel_hooks own = hooks;
    int fd = -1;

    own.arg = w;
    w->set = c;
    w->run = run->run;
    w->app = run->app;
    w->instance = run->instance;
    w->is_worker = run->is_worker;
    w->schedule = run->schedule;
    w->uid = xstrdup(run->uid);
    w->gid = xstrdup(run->gid);
    if (run->state_fd >= 0 || run->is_worker)
        w->state = state_open(run->state_fd, &fd);
    if (fd >= 0)
        c->hooks.keep_state(c->hooks.arg, w->run, fd);
    w->told = run->told || (w->state && w->state->told);
    w->left = w->told;
    uv_timer_init(c->loop, &w->timer);
    w->timer.data = w;
    TAILQ_INSERT_TAIL(&c->workers, w, entry);
    w->channel = channel_new(c->loop, run->fd, w->state && w->state->midline, &own);
    if (!w->channel) {
        TAILQ_REMOVE(&c->workers, w, entry);
        uv_close((uv_handle_t *)&w->timer, on_timer_closed);
        return NULL;
    }
    if (w->is_worker) {
        query_restore(w);
        worker_pump(w);
    }
    return w;
}

void cluster_detach(struct worker *w)
{
    if (!w)
        return;
    w->ended = true;
    query_cancel(w);
    rr_gone(w);
    channel_free(w->channel);
    TAILQ_REMOVE(&w->set->workers, w, entry);
    uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}

void cluster_read_out(struct worker *w)
{
    if (!w)
        return;
    w->left = true;
    w->blocked = false;
    query_cancel(w); /* what is behind a request in the channel is not to be lost */
    channel_read_out(w->channel);
}

struct channel *cluster_channel(const struct worker *w)
{
    return w ? w->channel : NULL;
}
