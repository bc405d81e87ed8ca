#include "daemon/keeperlink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/plog.h"

#define QUEUE_MAX       65536u
#define MESSAGES_A_TURN 64
#define RETRY_MS        10 /* the socket claims to be writable and refuses a packet */

struct queued {
    struct kw_msg m; /* owns its descriptors */
    TAILQ_ENTRY(queued) entry;
};

struct keeper_link {
    uv_poll_t poll;
    uv_timer_t retry;
    int fd;
    struct keeper_link_hooks hooks;
    TAILQ_HEAD(, queued) queue;
    unsigned queued;
    int watched; /* events asked of uv_poll */
    bool dead;   /* sending failed for good: the keeper is gone */
    bool lost;   /* told so */
    bool closing;
    int open_handles;
};

static void on_poll(uv_poll_t *h, int status, int events);

static void watch(struct keeper_link *l, int events)
{
    if (l->closing || l->lost || events == l->watched)
        return;
    l->watched = events;
    uv_poll_start(&l->poll, events, on_poll);
}

static void drop_first(struct keeper_link *l)
{
    struct queued *q = TAILQ_FIRST(&l->queue);

    TAILQ_REMOVE(&l->queue, q, entry);
    l->queued--;
    kw_close_fds(&q->m);
    free(q);
}

static void drop_queue(struct keeper_link *l)
{
    while (!TAILQ_EMPTY(&l->queue))
        drop_first(l);
}

/* Sends what waits. Returns how many went, and leaves the poll asking for room if some are left. */
static unsigned flush(struct keeper_link *l)
{
    unsigned sent = 0;
    int rc = 0;

    while (!TAILQ_EMPTY(&l->queue) && (rc = kw_send(l->fd, &TAILQ_FIRST(&l->queue)->m)) == 0) {
        drop_first(l);
        sent++;
    }
    if (rc < 0 && rc != -EAGAIN) {
        l->dead = true;
        drop_queue(l);
    }
    watch(l, UV_READABLE | (TAILQ_EMPTY(&l->queue) ? 0 : UV_WRITABLE));
    return sent;
}

static void on_retry(uv_timer_t *t)
{
    struct keeper_link *l = t->data;

    if (!l->closing && !l->lost)
        flush(l);
}

static void tell_lost(struct keeper_link *l)
{
    if (l->lost || l->closing)
        return;
    l->lost = true;
    l->dead = true;
    drop_queue(l);
    uv_poll_stop(&l->poll);
    uv_timer_stop(&l->retry);
    l->hooks.lost(l->hooks.arg);
}

/* One message. False when there is none now, or the link ended or was closed. */
static bool read_one(struct keeper_link *l)
{
    struct kw_msg m;
    int rc = kw_recv(l->fd, &m);

    if (rc == -EAGAIN)
        return false;
    if (rc == -EBADMSG) {
        log_warn("a message from the keeper cannot be read, ignored");
        return true;
    }
    if (rc == -EMFILE)
        log_error("no free descriptors: those of message %u for run %llu are not here", (unsigned)m.type,
                  (unsigned long long)m.token);
    if (rc == 0 || (rc < 0 && rc != -EMFILE)) {
        tell_lost(l);
        return false;
    }
    l->hooks.message(l->hooks.arg, &m);
    kw_close_fds(&m);
    return !l->closing;
}

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct keeper_link *l = h->data;

    if (status < 0) {
        /* libuv stops at an error condition, which is how a keeper that died with unread packets shows. What
         * it had sent is still there, bounded by the socket's buffer. */
        while (read_one(l))
            ;
        tell_lost(l);
        return;
    }
    if ((events & UV_WRITABLE) && !flush(l) && !TAILQ_EMPTY(&l->queue)) {
        watch(l, UV_READABLE);
        uv_timer_start(&l->retry, on_retry, RETRY_MS, 0);
    }
    for (int i = 0; i < MESSAGES_A_TURN && (events & UV_READABLE) && read_one(l); i++)
        ;
}

struct keeper_link *keeper_link_new(uv_loop_t *loop, int fd, const struct keeper_link_hooks *hooks)
{
    struct keeper_link *l = xcalloc(1, sizeof(*l));

    l->fd = fd;
    l->hooks = *hooks;
    TAILQ_INIT(&l->queue);
    if (uv_poll_init(loop, &l->poll, fd) < 0) {
        close(fd);
        free(l);
        return NULL;
    }
    uv_timer_init(loop, &l->retry);
    l->poll.data = l->retry.data = l;
    l->open_handles = 2;
    watch(l, UV_READABLE);
    return l;
}

static int enqueue(struct keeper_link *l, const struct kw_msg *m)
{
    struct queued *q;

    if (l->queued >= QUEUE_MAX)
        return -ENOBUFS;
    q = xmalloc(sizeof(*q));
    q->m = *m;
    for (unsigned i = 0; i < m->nfds; i++) {
        q->m.fds[i] = m->fds[i] < 0 ? -1 : fcntl(m->fds[i], F_DUPFD_CLOEXEC, 3);
        if (m->fds[i] >= 0 && q->m.fds[i] < 0) {
            int rc = -errno;

            q->m.nfds = (uint8_t)i;
            kw_close_fds(&q->m);
            free(q);
            return rc;
        }
    }
    TAILQ_INSERT_TAIL(&l->queue, q, entry);
    l->queued++;
    if (!uv_is_active((uv_handle_t *)&l->retry))
        watch(l, UV_READABLE | UV_WRITABLE);
    return 0;
}

int keeper_link_send(struct keeper_link *l, const struct kw_msg *m)
{
    int rc;

    if (l->dead || l->closing)
        return -EPIPE;
    if (!TAILQ_EMPTY(&l->queue))
        return enqueue(l, m);
    rc = kw_send(l->fd, m);
    if (rc == -EAGAIN)
        return enqueue(l, m);
    if (rc == -EPIPE || rc == -ECONNRESET) {
        l->dead = true; /* the hook is called from the loop, after the keeper's last messages were read */
        return -EPIPE;
    }
    return rc;
}

static void on_closed(uv_handle_t *h)
{
    struct keeper_link *l = h->data;

    if (--l->open_handles == 0)
        free(l);
}

void keeper_link_close(struct keeper_link *l)
{
    if (!l || l->closing)
        return;
    l->closing = true;
    drop_queue(l);
    uv_close((uv_handle_t *)&l->poll, on_closed);
    uv_close((uv_handle_t *)&l->retry, on_closed);
    close(l->fd);
}
