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

struct channel {
    uv_poll_t poll;
    int fd;
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

    free(c->rest);
    free(c);
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

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct channel *c = poll->data;
    static char chunk[CHANNEL_CHUNK];
    ssize_t n;
    size_t done;

    (void)events;
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
    /* A descriptor that an app sends along is closed by the kernel when its bytes are read without a control
     * buffer. */
    while (done > 0) {
        n = recv(c->fd, chunk, done, MSG_DONTWAIT);
        if (n <= 0)
            break;
        done -= (size_t)n;
    }
    if (c->closing)
        uv_close((uv_handle_t *)&c->poll, on_closed);
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
    c->poll.data = c;
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
        uv_close((uv_handle_t *)&c->poll, on_closed);
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
