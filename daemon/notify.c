#include "daemon/notify.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/mem.h"

#define NOTIFY_DATAGRAM_MAX 4096

struct notify {
    uv_poll_t poll;
    int fd;
    uint64_t run;
    uint32_t uid;
    void (*said)(void *arg, uint64_t run, enum notify_word word);
    void *arg;
    bool busy, closing;
};

int notify_bind(const char *home_id, uint64_t run, char *name, size_t size)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int on = 1, fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), len;

    if (fd < 0)
        return -errno;
    len = snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "pm/%s/%llu", home_id,
                   (unsigned long long)run);
    snprintf(name, size, "%s", addr.sun_path + 1);
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&addr,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) < 0) {
        int saved = errno;

        close(fd);
        return -saved;
    }
    return fd;
}

static const char *const words[] = {
    [NOTIFY_READY] = "READY=1", [NOTIFY_WATCHDOG] = "WATCHDOG=1", [NOTIFY_TRIGGER] = "WATCHDOG=trigger"};

static bool says(const char *text, const char *word)
{
    size_t len = strlen(word);

    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, word, len) == 0 && (line[len] == '\n' || line[len] == '\0'))
            return true;
    return false;
}

/* Receives one datagram and closes what descriptors it brought (FDSTORE is not offered). */
static ssize_t receive(struct notify *n, char *text, size_t size, int flags, uint32_t *uid)
{
    char control[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * 16)];
    struct iovec iov = {text, size - 1};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t len = recvmsg(n->fd, &msg, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    *uid = (uint32_t)-1;
    if (len < 0)
        return -errno;
    text[len] = '\0';
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        struct ucred cred;

        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_CREDENTIALS) {
            memcpy(&cred, CMSG_DATA(c), sizeof(cred));
            *uid = cred.uid;
        } else if (c->cmsg_type == SCM_RIGHTS) {
            size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

            for (size_t i = 0; i < count; i++) {
                int fd;

                memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
                close(fd);
            }
        }
    }
    return len;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct notify *n = poll->data;
    char text[NOTIFY_DATAGRAM_MAX];
    uint32_t uid;

    (void)events;
    if (status < 0)
        return;
    /* Peeked first and taken only when it was acted on: an engine that dies in between leaves it for the
     * next. */
    if (receive(n, text, sizeof(text), MSG_PEEK, &uid) < 0)
        return;
    n->busy = true;
    for (size_t i = 0; i < ARRAY_LEN(words) && (uid == n->uid || uid == 0 || uid == geteuid()); i++)
        if (!n->closing && says(text, words[i]))
            n->said(n->arg, n->run, (enum notify_word)i);
    n->busy = false;
    receive(n, text, sizeof(text), 0, &uid);
    if (n->closing)
        uv_close((uv_handle_t *)&n->poll, on_closed);
}

struct notify *notify_new(uv_loop_t *loop, int fd, uint64_t run, uint32_t uid,
                          void (*said)(void *arg, uint64_t run, enum notify_word word), void *arg)
{
    struct notify *n = xcalloc(1, sizeof(*n));

    n->fd = fd;
    n->run = run;
    n->uid = uid;
    n->said = said;
    n->arg = arg;
    if (uv_poll_init(loop, &n->poll, fd) < 0) {
        free(n);
        return NULL;
    }
    n->poll.data = n;
    uv_poll_start(&n->poll, UV_READABLE, on_readable);
    return n;
}

void notify_free(struct notify *n)
{
    if (!n || n->closing)
        return;
    n->closing = true;
    uv_poll_stop(&n->poll);
    if (!n->busy)
        uv_close((uv_handle_t *)&n->poll, on_closed);
}
