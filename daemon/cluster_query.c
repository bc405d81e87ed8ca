/* queryServer: the worker asks for a socket, is answered, and gets it. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/plog.h"
#include "daemon/cluster_int.h"

#define AGAIN_MAX 16 /* sockets of one identity in a worker */

/* FNV-1a */
static uint64_t hash(const char *data, size_t len, uint64_t h)
{
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)data[i]) * 0x100000001b3ull;
    return h;
}

uint64_t query_name(json_t *msg, int real_port)
{
    static const char *const keys[] = {"fd", "address", "addressType"};
    const json_t *fd = json_object_get(msg, "fd");
    uint64_t h = 0xcbf29ce484222325ull;
    char port[16];

    if (json_integer_value(json_object_get(msg, "addressType")) == -1 ||
        (json_is_integer(fd) && json_integer_value(fd) >= 0))
        real_port = -1; /* not every version tells it */

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char *text = json_dumps(json_object_get(msg, keys[i]), JSON_ENCODE_ANY | JSON_COMPACT);

        if (text)
            h = hash(text, strlen(text) + 1, h);
        free(text);
    }
    snprintf(port, sizeof(port), "%d", real_port);
    return hash(port, strlen(port), h);
}

/*
 * `data` of the first worker goes to all: TLS tickets are then good for each of them. The socket keeps it;
 * one that was there before the first TLS server came (of `listen`) cannot, and the workers' states do. Never
 * logged.
 */
static void choose_data(struct worker *w, struct state_entry *e, const struct sock *s, const json_t *msg)
{
    const json_t *data = json_object_get(msg, "data");
    struct worker *other;
    char *text;

    if (sock_extra(s) || !json_is_object(data))
        return;
    TAILQ_FOREACH (other, &w->set->workers, entry) {
        struct state_entry *o = other->state ? state_find(other->state, sock_token(s)) : NULL;

        if (o && o->data[0]) {
            memcpy(e->data, o->data, sizeof(e->data));
            return;
        }
    }
    text = json_dumps(data, JSON_COMPACT);
    if (text && strlen(text) < sizeof(e->data))
        memcpy(e->data, text, strlen(text) + 1);
    free(text);
}

static void add_data(struct buf *out, const struct sock *s, const struct state_entry *e, const json_t *asked)
{
    const json_t *data = s && sock_extra(s) ? sock_extra(s) : asked;
    char *text = data ? json_dumps(data, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;

    buf_printf(out, ",\"data\":%s", text ? text : e && e->data[0] ? e->data : "null");
    free(text);
}

static void add_sockname(struct buf *out, int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = {0};
    socklen_t len = sizeof(a);
    char text[INET6_ADDRSTRLEN] = "";

    if (getsockname(fd, &a.any, &len) < 0)
        return;
    if (a.any.sa_family == AF_INET6 && inet_ntop(AF_INET6, &a.v6.sin6_addr, text, sizeof(text)))
        buf_printf(out, ",\"sockname\":{\"address\":\"%s\",\"family\":\"IPv6\",\"port\":%u}", text,
                   ntohs(a.v6.sin6_port));
    else if (a.any.sa_family == AF_INET && inet_ntop(AF_INET, &a.v4.sin_addr, text, sizeof(text)))
        buf_printf(out, ",\"sockname\":{\"address\":\"%s\",\"family\":\"IPv4\",\"port\":%u}", text,
                   ntohs(a.v4.sin_port));
}

static void begin_reply(struct buf *out, int error, uint64_t key, uint32_t seq)
{
    buf_printf(out, "\"errno\":%d,\"key\":\"%llu\",\"ack\":%u", error, (unsigned long long)key, seq);
}

/* Answered, and not to be answered again when the line is seen once more. */
static enum channel_verdict answered(struct worker *w, uint32_t seq)
{
    w->state->last_query = seq + 1;
    w->query = (struct query){0};
    return CHANNEL_DONE;
}

static enum channel_verdict reply_error(struct worker *w, json_t *msg, uint32_t seq, int error)
{
    struct buf out = {0};
    int rc;

    begin_reply(&out, error, 0, seq);
    add_data(&out, NULL, NULL, json_object_get(msg, "data"));
    rc = worker_send(w, out.data, -1, false);
    buf_free(&out);
    return rc == -EAGAIN ? CHANNEL_WAIT : answered(w, seq);
}

static enum channel_verdict reply_round_robin(struct worker *w, json_t *msg, struct state_entry *e,
                                              struct sock *s)
{
    struct buf out = {0};
    int rc;

    if (!rr_prepare(w, s)) {
        sock_unuse(s, w->run);
        return reply_error(w, msg, e->query, -EMFILE);
    }
    begin_reply(&out, 0, e->token, e->query);
    add_data(&out, s, e, NULL);
    if (sock_kind(s) == SOCK_TCP)
        add_sockname(&out, sock_fd(s));
    rc = worker_send(w, out.data, -1, false);
    buf_free(&out);
    if (rc == -EAGAIN)
        return CHANNEL_WAIT;
    state_set_phase(e, ENTRY_HELD);
    rr_join(w, e);
    return answered(w, e->query);
}

static enum channel_verdict give(struct worker *w, json_t *msg, struct sock *s)
{
    struct state_entry *e = state_add(w->state);
    uint32_t seq = w->query.seq;

    if (!e)
        return reply_error(w, msg, seq, -ENFILE);
    e->token = sock_token(s);
    e->query = seq;
    e->udp = sock_kind(s) == SOCK_UDP;
    e->round_robin = w->schedule == CLUSTER_ROUND_ROBIN && !e->udp;
    e->name = query_name(msg, sock_kind(s) == SOCK_UNIX ? -1 : sock_port(s));
    choose_data(w, e, s, msg);
    sock_use(s, w->run);
    if (e->round_robin)
        return reply_round_robin(w, msg, e, s);
    state_set_phase(e, ENTRY_ASKED);
    answered(w, seq);
    worker_pump(w);
    return CHANNEL_DONE;
}

static void on_socket(void *arg, struct sock *s, int error, const char *words)
{
    struct worker *w = arg;

    w->query.wait = NULL;
    w->query.found = true;
    w->query.token = s ? sock_token(s) : 0;
    w->query.error = error;
    if (error)
        log_info("a cluster worker (run %llu) gets no socket: %s", (unsigned long long)w->run, words);
    channel_resume(w->channel);
}

/* What it holds already it does not get twice: as in Node, that is another bind of the same address, which
 * usually is told that the address is in use. */
static void distinct_key(struct worker *w, struct wanted *d)
{
    size_t len = d->key.len;

    for (int i = 2; i < AGAIN_MAX; i++) {
        struct sock *s = sockets_find(w->set->sockets, w->app, d->key.data);

        if (!s || !state_find(w->state, sock_token(s)))
            break;
        d->key.data[d->key.len = len] = '\0';
        buf_printf(&d->key, " #%d", i);
        d->r.reuse_port = false;
    }
    d->r.key = d->key.data;
}

static enum channel_verdict begin(struct worker *w, json_t *msg, uint32_t seq)
{
    struct wanted d;
    int rc = wanted_init(&d, w, msg);

    w->query = (struct query){.active = true, .seq = seq};
    if (rc == 0 && d.token && !state_find(w->state, d.token)) {
        w->query.found = true;
        w->query.token = d.token;
    } else if (rc == 0 && d.key.len) {
        distinct_key(w, &d);
        w->query.wait = sockets_open(w->set->sockets, &d.r, on_socket, w);
    } else {
        w->query.found = true;
        w->query.error = rc ? rc : -EADDRINUSE; /* the same descriptor once more */
    }
    wanted_deinit(&d);
    return CHANNEL_WAIT;
}

/* Was the socket closed while the answer waited for room in the channel? */
static bool is_lost(const struct worker *w)
{
    return w->query.found && !w->query.error && !sockets_by_token(w->set->sockets, w->query.token);
}

enum channel_verdict query_line(struct worker *w, json_t *msg)
{
    const json_t *seq_value = json_object_get(msg, "seq");
    uint32_t seq = (uint32_t)json_integer_value(seq_value);
    struct state *st = worker_state(w);
    struct sock *s;

    /* Nothing comes after the request to disconnect, as with Node's own primary. */
    if (!json_is_integer(seq_value) || w->told || w->left)
        return CHANNEL_DONE;
    if (st->last_query == seq + 1 || state_of_query(st, seq)) {
        st->last_query = seq + 1;
        worker_pump(w);
        return CHANNEL_DONE; /* a line that an engine before had handled and not consumed */
    }
    if (!w->query.active || w->query.seq != seq || is_lost(w)) {
        query_cancel(w);
        begin(w, msg, seq);
    }
    if (!w->query.found)
        return CHANNEL_WAIT;
    if (w->query.error)
        return reply_error(w, msg, seq, w->query.error);
    s = sockets_by_token(w->set->sockets, w->query.token);
    if (!s)
        return reply_error(w, msg, seq, -EADDRNOTAVAIL);
    return give(w, msg, s);
}

void query_cancel(struct worker *w)
{
    if (w->query.wait)
        sockets_cancel(w->query.wait);
    w->query = (struct query){0};
}

/* The worker accepts by itself and would hang in accept, where another was faster. */
static int ready_fd(struct sock *s)
{
    int fd = sock_fd(s), flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && !(flags & O_NONBLOCK))
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    return fd;
}

static int send_socket(struct worker *w, struct state_entry *e)
{
    struct sock *s = sockets_by_token(w->set->sockets, e->token);
    struct buf out = {0};
    int rc;

    begin_reply(&out, s ? 0 : -EADDRNOTAVAIL, e->token, e->query);
    add_data(&out, s, e, NULL);
    rc = worker_send(w, out.data, s ? ready_fd(s) : -1, e->udp);
    buf_free(&out);
    if (rc == 0 && !s)
        state_set_phase(e, ENTRY_FREE);
    else if (rc == 0)
        state_set_phase(e, ENTRY_SENT);
    return s ? rc : -ENOENT;
}

void query_pump(struct worker *w)
{
    if (!w->state)
        return;
    STATE_FOREACH(e, w->state)
    {
        if (w->flight != FLIGHT_NONE || w->blocked)
            return;
        if (e->phase == ENTRY_ASKED && send_socket(w, e) == 0) {
            w->flight = FLIGHT_ENTRY;
            w->flight_entry = e;
            w->flight_query = e->query;
        }
    }
}

static void give_up(struct worker *w, struct state_entry *e)
{
    struct sock *s = sockets_by_token(w->set->sockets, e->token);
    struct buf out = {0};

    log_warn("run %llu has no free descriptor for its socket", (unsigned long long)w->run);
    begin_reply(&out, -EMFILE, 0, e->query);
    add_data(&out, s, e, NULL);
    worker_send(w, out.data, -1, false);
    buf_free(&out);
    if (s)
        sock_unuse(s, w->run);
    state_set_phase(e, ENTRY_FREE);
}

#define NACKS_MAX 5

void query_acked(struct worker *w, bool received)
{
    struct state_entry *e = w->flight_entry;
    bool same = e->phase == ENTRY_SENT && e->query == w->flight_query; /* else it was closed meanwhile */

    w->flight = FLIGHT_NONE;
    if (received)
        w->nacks = 0;
    if (!same)
        return;
    if (received)
        state_set_phase(e, ENTRY_HELD);
    else if (++w->nacks < NACKS_MAX)
        state_set_phase(e, ENTRY_ASKED); /* the caller waits a moment */
    else
        give_up(w, e);
}

void query_restore(struct worker *w)
{
    STATE_FOREACH(e, w->state)
    {
        struct sock *s = sockets_by_token(w->set->sockets, e->token);

        if (!e->token)
            continue;
        if (!s) {
            state_set_phase(e, ENTRY_FREE);
            continue;
        }
        sock_use(s, w->run);
        if (e->phase == ENTRY_SENT) {
            w->flight = FLIGHT_ENTRY;
            w->flight_entry = e;
            w->flight_query = e->query;
        }
        if (e->round_robin && e->phase == ENTRY_HELD && !w->told)
            rr_join(w, e);
    }
}
