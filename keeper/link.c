#include "keeper/link.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/plog.h"
#include "keeper/answer.h"
#include "keeper/engine.h"
#include "keeper/files.h"
#include "keeper/kept.h"
#include "keeper/news.h"
#include "keeper/shutdown.h"
#include "keeper/spawn.h"
#include "keeper/upgrade.h"

#define MESSAGES_A_TURN 64

void link_init(struct link *l)
{
    *l = (struct link){.fd = -1};
    TAILQ_INIT(&l->snapshot);
    TAILQ_INIT(&l->news);
}

int link_open(struct keeper *k, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = WATCH_LINK};

    link_init(&k->link);
    if (epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
        int rc = -errno;

        close(fd);
        return rc;
    }
    k->link.fd = fd;
    k->link.watched = ev.events;
    return 0;
}

static bool known_kind(unsigned kind)
{
    return kind > 0 && kind < KW_FD_COUNT;
}

/* Keeps the descriptors of a message; kinds of a newer build are left for the caller to close. */
static void hold_all(struct record *r, struct kw_msg *m)
{
    for (unsigned i = 0; i < m->nfds; i++) {
        if (m->fds[i] < 0 || !known_kind(m->kinds[i]))
            continue;
        record_hold(r, (enum kw_fd)m->kinds[i], m->fds[i]);
        m->fds[i] = -1;
    }
}

static void remove_if_done(struct keeper *k, struct record *r)
{
    if (!r->token || !r->acked || record_holds_any(r))
        return;
    news_forget(k, r);
    table_remove(&k->table, r);
}

static void on_spawn(struct keeper *k, struct kw_msg *m)
{
    bool ending = k->shutdown.bye || k->shutdown.gave_up;
    int step = KW_STEP_FORK, rc = ending ? -ESHUTDOWN : spawn_child(k, m, &step);

    if (rc == 0)
        return;
    log_warn("run %llu of process %u: cannot %s: %s", (unsigned long long)m->token, (unsigned)m->proc,
             kw_step_word(step), strerror(-rc));
    k->link.refused =
        (struct kw_msg){.type = KW_REFUSED, .token = m->token, .proc = m->proc, .step = step, .error = -rc};
    k->link.has_refused = true;
}

static void on_ack(struct keeper *k, struct record *r)
{
    bool over = (r->flags & (KW_FOREIGN | KW_HAS_EXITED)) || r->error;

    if (!r->token || !over) {
        log_warn("the engine acknowledged the end of run %llu, which has not ended",
                 (unsigned long long)r->token);
        return;
    }
    r->acked = true;
    record_drop(r, KW_FD_PIDFD);
    record_drop(r, KW_FD_STDIN);
    record_drop(r, KW_FD_IPC);
    record_drop(r, KW_FD_STATE);
    remove_if_done(k, r);
}

static void on_drop(struct keeper *k, struct record *r, const struct kw_msg *m)
{
    for (unsigned i = 0; i < m->nfds; i++)
        if (known_kind(m->kinds[i]))
            record_drop(r, (enum kw_fd)m->kinds[i]);
    remove_if_done(k, r);
}

static void set_note(struct record *r, const struct kw_msg *m)
{
    r->note_len = m->note_len;
    memcpy(r->note, m->note, m->note_len);
}

/*
 * A child of a keeper that died. It comes in several packets when it has many descriptors, so a record that
 * is there is added to. Nobody can learn any more how its exec went; as it is handed over, it is taken as
 * done.
 */
static void on_adopt(struct keeper *k, struct kw_msg *m)
{
    struct record *r = table_find(&k->table, m->token);

    if (!m->token || m->token > TOKEN_LAST || is_socket_token(m->token))
        return;
    if (!r) {
        r = table_add(&k->table, m->token);
        if (!r) {
            log_error("cannot take over run %llu: %s", (unsigned long long)m->token, strerror(errno));
            return;
        }
        r->proc = m->proc;
        r->pid = m->pid;
        r->start_ticks = m->start_ticks;
        r->start_us = m->start_us;
        r->flags = KW_FOREIGN | KW_EXEC_KNOWN | (m->flags & (KW_HAS_EXITED | KW_TOLD));
        r->step = m->step;
        r->error = m->error;
        r->wait_status = m->wait_status;
        r->end_us = m->end_us;
        r->utime_us = m->utime_us;
        r->stime_us = m->stime_us;
        r->maxrss_bytes = m->maxrss_bytes;
        set_note(r, m);
    }
    hold_all(r, m);
}

static void on_hello(struct keeper *k, const struct kw_msg *m)
{
    k->link.hello = true;
    k->link.welcome_owed = true;
    if (m->arg != KW_VERSION)
        log_info("the engine speaks version %llu of the keeper's protocol, this keeper %d",
                 (unsigned long long)m->arg, KW_VERSION);
    engine_hello(k, m->pid);
}

static void on_record_message(struct keeper *k, struct kw_msg *m)
{
    struct record *r = table_find(&k->table, m->token);

    if (!r) {
        log_debug("message %u for run %llu, which is not known (any more)", (unsigned)m->type,
                  (unsigned long long)m->token);
        return;
    }
    switch (m->type) {
    case KW_ACK:
        on_ack(k, r);
        break;
    case KW_HOLD:
        hold_all(r, m);
        break;
    case KW_DROP:
        on_drop(k, r, m);
        break;
    case KW_NOTE:
        set_note(r, m);
        break;
    case KW_ANSWER:
        answer_worker(k, r, m);
        break;
    }
}

static void on_message(struct keeper *k, struct kw_msg *m)
{
    switch (m->type) {
    case KW_HELLO:
        on_hello(k, m);
        break;
    case KW_BEAT: /* comes every second, which is often enough for this */
        if (files_rotate_log(k))
            k->link.reopen_owed = true;
        break;
    case KW_SPAWN:
        on_spawn(k, m);
        break;
    case KW_ACK:
    case KW_HOLD:
    case KW_DROP:
    case KW_NOTE:
    case KW_ANSWER:
        on_record_message(k, m);
        break;
    case KW_SNAPSHOT:
        news_snapshot(k);
        break;
    case KW_ADOPT:
        on_adopt(k, m);
        break;
    case KW_BYE:
        shutdown_bye(k, (int)m->arg);
        break;
    case KW_STOPPING:
        shutdown_by_engine(k);
        break;
    case KW_UPGRADE:
        upgrade_begin(k);
        break;
    case KW_READY:
        engine_serves(k);
        break;
    case KW_SOCKET:
        kept_take(k, m);
        break;
    default:
        log_warn("unknown message %u from the engine, ignored", (unsigned)m->type);
    }
}

/* A message whose descriptors found no room. A spawn gets its answer; anything else can only be said. */
static void on_no_room(struct keeper *k, const struct kw_msg *m)
{
    log_error("no free descriptors: message %u for run %llu is lost", (unsigned)m->type,
              (unsigned long long)m->token);
    if (m->type != KW_SPAWN)
        return;
    k->link.refused = (struct kw_msg){
        .type = KW_REFUSED, .token = m->token, .proc = m->proc, .step = KW_STEP_PIPE, .error = EMFILE};
    k->link.has_refused = true;
}

/* One message. False when there is none now. */
static bool read_one(struct keeper *k)
{
    struct link *l = &k->link;
    struct kw_msg m;
    int rc = kw_recv(l->fd, &m);

    if (rc == -EAGAIN)
        return false;
    if (rc == 0 || (rc < 0 && rc != -EBADMSG && rc != -EMFILE)) {
        if (rc < 0)
            log_error("cannot read from the engine: %s", strerror(-rc));
        l->ended = true;
        l->ended_ms = clock_mono_ms();
        return false;
    }
    k->engine.heard_ms = clock_mono_ms();
    if (rc == -EBADMSG)
        log_warn("a message from the engine cannot be read, ignored");
    else if (rc == -EMFILE)
        on_no_room(k, &m);
    else
        on_message(k, &m);
    kw_close_fds(&m);
    return true;
}

void link_read(struct keeper *k)
{
    struct link *l = &k->link;
    int left = MESSAGES_A_TURN;

    while (l->fd >= 0 && !l->ended && !l->has_refused && left && read_one(k))
        left--;
    l->unread = left == 0;
}

void link_finish(struct keeper *k)
{
    struct link *l = &k->link;

    if (l->fd < 0)
        return;
    /* Bounded by what a socket buffer holds: nobody writes to it any more. */
    while (!l->ended && read_one(k))
        l->has_refused = false;
    news_reset(k);
    epoll_ctl(k->epoll_fd, EPOLL_CTL_DEL, l->fd, NULL);
    close(l->fd);
    link_init(l);
}

void link_watch(struct keeper *k)
{
    struct link *l = &k->link;
    struct epoll_event ev = {.data.u64 = WATCH_LINK};

    if (l->fd < 0)
        return;
    if (!l->ended && !l->has_refused)
        ev.events |= EPOLLIN;
    if (l->blocked && !l->retry_ms)
        ev.events |= EPOLLOUT;
    if (l->ended) {
        /* epoll reports a hang-up whether asked or not, and would never rest. */
        if (l->watched)
            epoll_ctl(k->epoll_fd, EPOLL_CTL_DEL, l->fd, NULL);
        l->watched = 0;
        return;
    }
    if (ev.events != l->watched && epoll_ctl(k->epoll_fd, EPOLL_CTL_MOD, l->fd, &ev) == 0)
        l->watched = ev.events;
}
