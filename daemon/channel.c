#include "daemon/channel.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/mem.h"
#include "daemon/testkill.h"

#define CHANNEL_CHUNK    65536u
#define CHANNEL_LINE_MAX (1024u * 1024) /* longer lines are skipped */
/*
 * So much of an unfinished line may stay in the socket, where the next engine would find it; more is kept
 * aside here. A sender waits until three quarters of its buffer are free again, so a long line that is left
 * there would never end.
 */
#define CHANNEL_LEFT_MAX 8192u
/* Between looks at a line whose end has not come: its beginning stays in the socket, which is readable all
 * the time. */
#define PAUSE_FIRST_MS 5u
#define PAUSE_LAST_MS  500u
#define READ_OUT_MAX   64 /* looks at what a program left: more than its socket can hold */

struct channel {
    uv_poll_t poll;
    uv_timer_t pause;
    int handles;
    int fd;
    int watched; /* events that libuv looks for: to say the same again costs two system calls */
    size_t seen; /* bytes of the unfinished line at the last look */
    unsigned pause_ms;
    struct channel_hooks hooks;
    bool closing;
    bool busy;       /* in a callback: freed after it */
    bool skipping;   /* in a line whose rest nobody wants */
    bool first_look; /* `skipping` is what the engine before has noted */
    bool waiting;    /* a line waits for channel_resume */
    bool pausing;    /* an unfinished line waits for its end */
    bool ended;
    bool want_write;
    bool any;   /* something was there at the last look */
    char *rest; /* a consumed part of a line longer than one chunk */
    size_t rest_len;
};

static void on_closed(uv_handle_t *handle)
{
    struct channel *c = handle->data;

    if (--c->handles > 0)
        return;
    free(c->rest);
    free(c);
}

static void close_handles(struct channel *c)
{
    uv_close((uv_handle_t *)&c->poll, on_closed);
    uv_close((uv_handle_t *)&c->pause, on_closed);
}

static void on_event(uv_poll_t *poll, int status, int events);

/* What is awaited now. */
static void watch(struct channel *c)
{
    int events = c->want_write ? UV_WRITABLE : 0;

    if (c->closing)
        return;
    if (!c->waiting && !c->pausing && !c->ended)
        events |= UV_READABLE | UV_DISCONNECT;
    if (events == c->watched)
        return;
    c->watched = events;
    if (events)
        uv_poll_start(&c->poll, events, on_event);
    else
        uv_poll_stop(&c->poll);
}

/* A line's rest is wanted no more, or it is over; the next engine is to know it too. */
static void set_skipping(struct channel *c, bool on)
{
    if (c->skipping == on)
        return;
    c->skipping = on;
    c->hooks.midline(c->hooks.arg, on);
}

static bool is_internal(const char *data, size_t len)
{
    static const char word[] = "{\"cmd\":\"NODE_";

    if (len && *data == CHANNEL_BUN_MARK) {
        data++;
        len--;
    }
    return len >= sizeof(word) - 1 && memcmp(data, word, sizeof(word) - 1) == 0;
}

static enum channel_verdict handle_line(struct channel *c, const char *start, size_t len, bool at_head)
{
    enum channel_verdict v;

    if (!c->rest_len)
        return c->hooks.line(c->hooks.arg, start, len, at_head ? len + 1 : 0);
    c->rest = xrealloc(c->rest, c->rest_len + len + 1);
    memcpy(c->rest + c->rest_len, start, len);
    v = c->hooks.line(c->hooks.arg, c->rest, c->rest_len + len, at_head ? len + 1 : 0);
    if (v == CHANNEL_DONE) {
        free(c->rest); /* as large as the longest line, and there are many channels */
        c->rest = NULL;
        c->rest_len = 0;
    }
    return v;
}

/* Handles the whole lines of a peeked chunk; returns how many bytes may be consumed. */
static size_t handle_lines(struct channel *c, const char *data, size_t len, enum channel_verdict *v)
{
    size_t done = 0;

    while (done < len && !c->closing && *v == CHANNEL_DONE) {
        const char *start = data + done, *end = memchr(start, '\n', len - done);

        if (!end)
            break;
        testkill_point();
        if (c->skipping)
            set_skipping(c, false); /* before it is consumed: else the next line would count as its rest */
        else
            *v = handle_line(c, start, (size_t)(end - start), done == 0);
        if (*v == CHANNEL_DONE)
            done = (size_t)(end - data) + 1;
        testkill_point();
    }
    return done;
}

/* A chunk full of one line: it is put aside, or skipped. Returns how many bytes may be consumed. */
static size_t handle_part(struct channel *c, const char *data, size_t len, enum channel_verdict *v)
{
    if (!c->rest_len && !c->skipping) {
        *v = c->hooks.part(c->hooks.arg, data, len);
        if (*v != CHANNEL_DONE || c->closing)
            return 0;
        c->hooks.midline(c->hooks.arg, true);
    }
    if (c->skipping || c->rest_len + len > CHANNEL_LINE_MAX) {
        c->skipping = true;
        free(c->rest);
        c->rest = NULL;
        c->rest_len = 0;
        return len;
    }
    c->rest = xrealloc(c->rest, c->rest_len + len);
    memcpy(c->rest + c->rest_len, data, len);
    c->rest_len += len;
    return len;
}

static size_t handle_chunk(struct channel *c, const char *data, size_t len, enum channel_verdict *v)
{
    bool had_rest = c->rest_len > 0;
    size_t done;

    /* The engine before noted that it is in a line, and died before it had consumed the first part of it. */
    if (c->first_look && c->skipping && is_internal(data, len))
        set_skipping(c, false);
    c->first_look = false;
    done = handle_lines(c, data, len, v);
    if (had_rest && !c->rest_len && !c->closing)
        c->hooks.midline(c->hooks.arg, false);
    if (done == 0 && *v == CHANNEL_DONE && len >= CHANNEL_LEFT_MAX && !c->closing)
        done = handle_part(c, data, len, v);
    return done;
}

static void on_pause_over(uv_timer_t *timer)
{
    struct channel *c = timer->data;

    c->pausing = false;
    watch(c);
}

/* Nothing could be consumed of the `len` bytes that are there. */
static void wait_for_line_end(struct channel *c, size_t len)
{
    c->pausing = true;
    c->pause_ms = len != c->seen || !c->pause_ms ? PAUSE_FIRST_MS : c->pause_ms * 2;
    if (c->pause_ms > PAUSE_LAST_MS)
        c->pause_ms = PAUSE_LAST_MS;
    c->seen = len;
    uv_timer_start(&c->pause, on_pause_over, c->pause_ms, 0);
}

/* A descriptor that an app sends along is closed by the kernel when its bytes are read without a control
 * buffer. */
static void consume(struct channel *c, char *chunk, size_t done)
{
    while (done > 0) {
        ssize_t n = recv(c->fd, chunk, done, MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done -= (size_t)n;
    }
    testkill_point();
}

/* The peer's close with unread lines of ours gives one ECONNRESET in front of what it had sent. */
static ssize_t peek(struct channel *c, char *chunk, size_t size)
{
    ssize_t n;
    int resets = 0;

    do
        n = recv(c->fd, chunk, size, MSG_PEEK | MSG_DONTWAIT);
    while (n < 0 && (errno == EINTR || (errno == ECONNRESET && resets++ == 0)));
    return n;
}

static void end(struct channel *c)
{
    c->ended = true;
    watch(c);
    c->hooks.ended(c->hooks.arg);
}

/* One look. True: there may be more to do at once. */
static bool look(struct channel *c, bool disconnected)
{
    static char chunk[CHANNEL_CHUNK];
    enum channel_verdict v = CHANNEL_DONE;
    ssize_t n = peek(c, chunk, sizeof(chunk));
    size_t done;

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return false;
    if (n <= 0) {
        end(c);
        return false;
    }
    c->any = true;
    done = handle_chunk(c, chunk, (size_t)n, &v);
    if (done > 0) {
        c->pause_ms = 0;
        consume(c, chunk, done);
    }
    if (c->closing)
        return false;
    if (v == CHANNEL_AT_HEAD)
        return done > 0;
    if (v == CHANNEL_WAIT)
        c->waiting = true;
    else if (done == 0 && disconnected)
        end(c); /* the line's end will not come any more */
    else if (done == 0)
        wait_for_line_end(c, (size_t)n);
    watch(c);
    return false;
}

static void read_now(struct channel *c, bool disconnected)
{
    bool outer = c->busy;

    c->busy = true;
    while (!c->closing && look(c, disconnected))
        ;
    c->busy = outer;
    if (c->closing && !outer)
        close_handles(c);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    struct channel *c = poll->data;

    if (status < 0) {
        /* The peer closed with lines of ours unread: what waits for room is not to wait for ever. */
        events = UV_READABLE | UV_WRITABLE | UV_DISCONNECT;
        c->watched = 0; /* libuv has stopped it */
    }
    if (events & UV_WRITABLE && c->want_write) {
        c->want_write = false;
        watch(c);
        c->busy = true;
        c->hooks.writable(c->hooks.arg);
        c->busy = false;
        if (c->closing) {
            close_handles(c);
            return;
        }
    }
    if (events & (UV_READABLE | UV_DISCONNECT) && !c->waiting && !c->pausing && !c->ended)
        read_now(c, events & UV_DISCONNECT);
    watch(c);
}

static void on_resume(uv_timer_t *timer)
{
    on_pause_over(timer);
}

void channel_resume(struct channel *c)
{
    if (c->closing || !c->waiting)
        return;
    c->waiting = false;
    c->pausing = true; /* in a turn of its own: this may be called from within the line's handling */
    uv_timer_start(&c->pause, on_resume, 0, 0);
    watch(c);
}

void channel_read_out(struct channel *c)
{
    if (c->closing || c->ended || c->busy)
        return;
    c->waiting = false; /* of the line that waits it is asked once more */
    c->pausing = false;
    uv_timer_stop(&c->pause);
    for (int i = 0; i < READ_OUT_MAX && !c->closing && !c->waiting && !c->pausing && !c->ended; i++) {
        c->any = false;
        read_now(c, true);
        if (!c->any)
            break;
    }
}

void channel_skip(struct channel *c, bool on)
{
    c->first_look = true; /* should its beginning still be there, it was not consumed after all */
    set_skipping(c, on);
}

void channel_want_write(struct channel *c)
{
    c->want_write = true;
    watch(c);
}

struct channel *channel_new(uv_loop_t *loop, int fd, bool midline, const struct channel_hooks *hooks)
{
    struct channel *c = xcalloc(1, sizeof(*c));

    c->fd = fd;
    c->hooks = *hooks;
    c->skipping = midline;
    c->first_look = true;
    if (uv_poll_init(loop, &c->poll, fd) < 0) {
        free(c);
        return NULL;
    }
    uv_timer_init(loop, &c->pause);
    c->poll.data = c->pause.data = c;
    c->handles = 2;
    watch(c);
    return c;
}

void channel_free(struct channel *c)
{
    if (!c || c->closing)
        return;
    c->closing = true;
    uv_poll_stop(&c->poll);
    if (!c->busy)
        close_handles(c);
}

int channel_send_fd(struct channel *c, const char *json, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov[2] = {{(void *)(uintptr_t)json, strlen(json)}, {(void *)(uintptr_t) "\n", 1}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t n;

    if (iov[0].iov_len >= CHANNEL_SEND_MAX)
        return -EMSGSIZE;
    if (fd >= 0) {
        struct cmsghdr *h = &control.align;

        msg.msg_control = control.bytes;
        msg.msg_controllen = sizeof(control.bytes);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(h), &fd, sizeof(fd));
    }
    testkill_point();
    do
        n = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    testkill_point();
    if (n >= 0)
        return n == (ssize_t)(iov[0].iov_len + 1) ? 0 : -EMSGSIZE;
    if (errno == ETOOMANYREFS || errno == ENOMEM)
        return -ENOBUFS;
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

int channel_send(struct channel *c, const char *json)
{
    return channel_send_fd(c, json, -1);
}
