#include "daemon/channel.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/mem.h"
#include "common/plog.h"

#define CHANNEL_CHUNK    65536u
#define CHANNEL_LINE_MAX (1024u * 1024) /* longer lines are skipped */
/* Between looks at a line whose end has not come: its beginning stays in the socket, which is readable all
 * the time. */
#define PAUSE_FIRST_MS 5u
#define PAUSE_LAST_MS  500u

struct channel {
    uv_poll_t poll;
    uv_timer_t pause;
    int handles;
    int fd;
    size_t seen; /* bytes of the unfinished line at the last look */
    unsigned pause_ms;
    uint64_t run;
    channel_line_cb line;
    void *arg;
    bool closing;
    bool busy;     /* in the callback: freed after it */
    bool skipping; /* in a line that is too long */
    char *rest;    /* a consumed part of a line longer than one chunk */
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

/* Handles the whole lines of a peeked chunk; returns how many bytes may be consumed. */
static size_t handle_chunk(struct channel *c, const char *data, size_t len)
{
    size_t done = 0;

    while (done < len && !c->closing) {
        const char *start = data + done, *end = memchr(start, '\n', len - done);

        if (!end)
            break;
        if (c->skipping) {
            c->skipping = false;
        } else if (c->rest_len) {
            c->rest = xrealloc(c->rest, c->rest_len + (size_t)(end - start));
            memcpy(c->rest + c->rest_len, start, (size_t)(end - start));
            c->line(c->arg, c->run, c->rest, c->rest_len + (size_t)(end - start));
        } else {
            c->line(c->arg, c->run, start, (size_t)(end - start));
        }
        if (c->rest_len) {
            free(c->rest); /* as large as the longest line, and there are many channels */
            c->rest = NULL;
        }
        c->rest_len = 0;
        done = (size_t)(end - data) + 1;
    }
    if (done == 0 &&
        len == CHANNEL_CHUNK) { /* no newline in a full chunk: keep it aside to see what follows */
        if (c->skipping || c->rest_len + len > CHANNEL_LINE_MAX) {
            c->skipping = true;
            c->rest_len = 0;
        } else {
            c->rest = xrealloc(c->rest, c->rest_len + len);
            memcpy(c->rest + c->rest_len, data, len);
            c->rest_len += len;
        }
        done = len;
    }
    return done;
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct channel *c = timer->data;

    uv_poll_start(&c->poll, UV_READABLE | UV_DISCONNECT, on_readable);
}

/* Nothing could be consumed of the `len` bytes that are there. */
static void wait_for_line_end(struct channel *c, size_t len, bool disconnected)
{
    uv_poll_stop(&c->poll);
    if (disconnected)
        return; /* it will not come any more */
    c->pause_ms = len != c->seen || !c->pause_ms ? PAUSE_FIRST_MS : c->pause_ms * 2;
    if (c->pause_ms > PAUSE_LAST_MS)
        c->pause_ms = PAUSE_LAST_MS;
    c->seen = len;
    uv_timer_start(&c->pause, on_pause_over, c->pause_ms, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct channel *c = poll->data;
    static char chunk[CHANNEL_CHUNK];
    ssize_t n;
    size_t done;

    n = status < 0 ? 0 : recv(c->fd, chunk, sizeof(chunk), MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        uv_poll_stop(&c->poll);
        return;
    }
    c->busy = true;
    done = handle_chunk(c, chunk, (size_t)n);
    c->busy = false;
    if (done > 0)
        c->pause_ms = 0;
    else if (!c->closing)
        wait_for_line_end(c, (size_t)n, events & UV_DISCONNECT);
    /* A descriptor that an app sends along is closed by the kernel when its bytes are read without a control
     * buffer. */
    while (done > 0) {
        n = recv(c->fd, chunk, done, MSG_DONTWAIT);
        if (n <= 0)
            break;
        done -= (size_t)n;
    }
    if (c->closing)
        close_handles(c);
}

struct channel *channel_new(uv_loop_t *loop, int fd, uint64_t run, channel_line_cb line, void *arg)
{
    struct channel *c = xcalloc(1, sizeof(*c));

    c->fd = fd;
    c->run = run;
    c->line = line;
    c->arg = arg;
    if (uv_poll_init(loop, &c->poll, fd) < 0) {
        free(c);
        return NULL;
    }
    uv_timer_init(loop, &c->pause);
    c->poll.data = c->pause.data = c;
    c->handles = 2;
    uv_poll_start(&c->poll, UV_READABLE | UV_DISCONNECT, on_readable);
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

int channel_send(struct channel *c, const char *json)
{
    struct iovec iov[2] = {{(void *)(uintptr_t)json, strlen(json)}, {(void *)(uintptr_t) "\n", 1}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t n = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0)
        return -errno;
    return n == (ssize_t)(iov[0].iov_len + 1) ? 0 : -EMSGSIZE;
}
