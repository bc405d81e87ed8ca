#include "keeper/news.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/plog.h"

/* How long a socket may claim to be writable and refuse a packet before it is asked again. */
#define RETRY_MS 10

static void enqueue(struct keeper *k, struct record *r, enum record_queue q)
{
    TAILQ_INSERT_TAIL(q == QUEUE_SNAPSHOT ? &k->link.snapshot : &k->link.news, r, out);
    r->queue = (uint8_t)q;
}

void news_forget(struct keeper *k, struct record *r)
{
    if (r->queue != QUEUE_NONE)
        TAILQ_REMOVE(r->queue == QUEUE_SNAPSHOT ? &k->link.snapshot : &k->link.news, r, out);
    r->queue = QUEUE_NONE;
    r->say = 0;
}

void news_say(struct keeper *k, struct record *r, unsigned what)
{
    if (!k->link.synced)
        return;
    if (what & SAY_CHILD) {
        r->next_kind = 1;
        r->with_spec = false;
    }
    r->say |= (uint8_t)what;
    if (r->queue == QUEUE_NONE)
        enqueue(k, r, QUEUE_NEWS);
}

static void put_in_snapshot(struct keeper *k, struct record *r)
{
    news_forget(k, r);
    r->say = SAY_CHILD;
    r->next_kind = 1;
    r->with_spec = true;
    enqueue(k, r, QUEUE_SNAPSHOT);
}

void news_snapshot(struct keeper *k)
{
    struct record *r;

    k->link.synced = true;
    k->link.snapshot_open = true;
    put_in_snapshot(k, &k->table.self);
    TAILQ_FOREACH (r, &k->table.sockets, all) {
        put_in_snapshot(k, r);
    }
    TAILQ_FOREACH (r, &k->table.all, all) {
        put_in_snapshot(k, r);
    }
}

void news_reset(struct keeper *k)
{
    struct record *r;

    news_forget(k, &k->table.self);
    TAILQ_FOREACH (r, &k->table.sockets, all) {
        news_forget(k, r);
    }
    TAILQ_FOREACH (r, &k->table.all, all) {
        news_forget(k, r);
    }
}

static void describe(const struct record *r, struct kw_msg *m, uint32_t type)
{
    *m = (struct kw_msg){.type = type,
                         .token = r->token,
                         .proc = r->proc,
                         .pid = r->pid,
                         .flags = r->flags,
                         .start_ticks = r->start_ticks,
                         .start_us = r->start_us};
}

static void add_exit(const struct record *r, struct kw_msg *m)
{
    m->wait_status = r->wait_status;
    m->end_us = r->end_us;
    m->utime_us = r->utime_us;
    m->stime_us = r->stime_us;
    m->maxrss_bytes = r->maxrss_bytes;
}

/* One KW_CHILD (or KW_KEPT) packet from kind `*kind` on; *kind becomes KW_FD_COUNT when it holds the last
 * descriptor. */
static void describe_child(const struct record *r, struct kw_msg *m, uint8_t *kind)
{
    describe(r, m, is_socket_token(r->token) ? KW_KEPT : KW_CHILD);
    /* What follows as a message of its own is not said here. */
    if (r->say & SAY_EXEC)
        m->flags &= ~KW_EXEC_KNOWN;
    if (r->say & SAY_EXIT)
        m->flags &= ~KW_HAS_EXITED;
    if (m->flags & KW_EXEC_KNOWN) {
        m->step = r->step;
        m->error = r->error;
    }
    if (m->flags & KW_HAS_EXITED)
        add_exit(r, m);
    m->note_len = r->note_len;
    memcpy(m->note, r->note, r->note_len);
    for (; *kind < KW_FD_COUNT && m->nfds < KW_FDS_MAX; ++*kind)
        if (r->fds[*kind] >= 0 && (*kind != KW_FD_SPEC || r->with_spec))
            kw_add_fd(m, (enum kw_fd) * kind, r->fds[*kind]);
    while (*kind < KW_FD_COUNT && r->fds[*kind] < 0)
        ++*kind;
}

/* Sends the first thing that the record has to say. 1 when sent, else negative errno. */
static int send_record(struct keeper *k, struct record *r)
{
    struct kw_msg m;
    uint8_t kind = r->next_kind;
    unsigned said;
    int rc;

    if (r->say & SAY_CHILD) {
        describe_child(r, &m, &kind);
        said = kind == KW_FD_COUNT ? SAY_CHILD : 0;
    } else if (r->say & SAY_EXEC) {
        describe(r, &m, KW_EXEC);
        m.step = r->step;
        m.error = r->error;
        said = SAY_EXEC;
    } else {
        describe(r, &m, KW_EXITED);
        add_exit(r, &m);
        said = SAY_EXIT;
    }
    rc = kw_send(k->link.fd, &m);
    if (rc < 0)
        return rc;
    r->next_kind = kind;
    r->say &= (uint8_t)~said;
    /* In a snapshot only the KW_CHILD has its place; news that came meanwhile follow after the end mark. */
    if (!r->say || (r->queue == QUEUE_SNAPSHOT && !(r->say & SAY_CHILD))) {
        uint8_t rest = r->say;

        news_forget(k, r);
        if (rest)
            news_say(k, r, rest);
    }
    return 1;
}

static void add_trouble(const struct keeper *k, struct kw_msg *m)
{
    m->note_len = (uint16_t)strlen(k->upgrade.trouble);
    memcpy(m->note, k->upgrade.trouble, m->note_len);
}

static int send_plain(struct keeper *k, const struct kw_msg *m, bool *owed, bool now)
{
    int rc = kw_send(k->link.fd, m);

    if (rc < 0)
        return rc;
    *owed = now;
    return 1;
}

/* The order matters: the wish to stop comes after the snapshot, or an engine that knows of no child yet would
 * find that everything is stopped. 1 when something was sent, 0 when there is nothing, else negative errno.
 */
static int send_next(struct keeper *k)
{
    struct link *l = &k->link;
    struct record *r;

    if (l->welcome_owed) {
        struct kw_msg welcome = {.type = KW_WELCOME, .pid = getpid(), .arg = KW_VERSION};

        add_trouble(k, &welcome);
        return send_plain(k, &welcome, &l->welcome_owed, false);
    }
    if (l->upgraded_owed) {
        struct kw_msg m = {.type = KW_UPGRADED, .arg = KW_VERSION, .error = k->upgrade.error};

        add_trouble(k, &m);
        return send_plain(k, &m, &l->upgraded_owed, false);
    }
    if (l->has_refused)
        return send_plain(k, &l->refused, &l->has_refused, false);
    if ((r = TAILQ_FIRST(&l->snapshot)))
        return send_record(k, r);
    if (l->snapshot_open) {
        struct kw_msg end = {.type = KW_SNAPSHOT_END, .token = k->table.highest, .arg = k->engine.starts};

        return send_plain(k, &end, &l->snapshot_open, false);
    }
    if (l->synced && k->shutdown.signalled && !l->stop_told) {
        struct kw_msg stop = {.type = KW_SIGNAL, .arg = SIGTERM};

        return send_plain(k, &stop, &l->stop_told, true);
    }
    if (l->synced && l->reopen_owed) {
        struct kw_msg reopen = {.type = KW_SIGNAL, .arg = SIGUSR2};

        return send_plain(k, &reopen, &l->reopen_owed, false);
    }
    if ((r = TAILQ_FIRST(&l->news)))
        return send_record(k, r);
    return 0;
}

void news_flush(struct keeper *k, bool writable, uint64_t now_ms)
{
    struct link *l = &k->link;
    unsigned sent = 0;
    int rc;

    if (l->fd < 0 || l->deaf)
        return;
    while ((rc = send_next(k)) > 0)
        sent++;
    l->blocked = rc == -EAGAIN;
    l->retry_ms = l->blocked && writable && !sent ? now_ms + RETRY_MS : 0;
    if (rc == 0 || rc == -EAGAIN)
        return;
    if (rc != -EPIPE && rc != -ECONNRESET)
        log_error("cannot send to the engine: %s", strerror(-rc));
    l->deaf = true;
    l->blocked = false;
    l->has_refused = false; /* reading must go on: the engine's last words are still there */
}
