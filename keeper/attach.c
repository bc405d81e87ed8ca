#include "keeper/attach.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/plog.h"
#include "keeper/link.h"

#define FIRST_WORD_MS 5000

/* 1 when there is something to read, 0 when not in this time. */
static int await_readable(int fd, int wait_ms)
{
    struct pollfd p = {fd, POLLIN, 0};
    int rc;

    do
        rc = poll(&p, 1, wait_ms);
    while (rc < 0 && errno == EINTR);
    return rc > 0;
}

enum attach_answer attach_ask(struct keeper *k, int wait_ms, int *fd)
{
    struct sockaddr_un addr;
    socklen_t len = home_sockaddr(&k->home, HOME_ATTACH, &addr);
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    char byte;
    ssize_t n;

    *fd = -1;
    if (sock < 0)
        return ATTACH_SILENT;
    /* Credentials travel with a packet only if they were asked for before it was sent. SO_PEERCRED will not
     * do here: it names who called listen(), which is the keeper that died. */
    if (setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
        connect(sock, (struct sockaddr *)&addr, len) < 0) {
        close(sock);
        return ATTACH_SILENT;
    }
    /* The engine's first packet is an acceptance; the end of the connection is a refusal. An engine that is
     * just being restarted by its keeper answers nothing yet: then there is a daemon as well. A reset means
     * that the listener was closed before anybody took the connection: that daemon is dying (a thread in the
     * middle of a write to the disk may hold its descriptors, and the lock, a moment longer). */
    n = await_readable(sock, wait_ms) ? recv(sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT) : 0;
    if (n <= 0) {
        bool reset = n < 0 && errno == ECONNRESET;

        close(sock);
        return reset ? ATTACH_SILENT : ATTACH_RUNS;
    }
    *fd = sock;
    return ATTACH_TAKEN;
}

/* The pid of the sender of the packet that waits, or of the maker of the socket pair. */
static struct ucred peer(int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    char byte;
    struct iovec iov = {&byte, 1};
    struct msghdr h = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof(control.bytes)};
    struct ucred cred = {0};
    socklen_t len = sizeof(cred);

    if (recvmsg(fd, &h, MSG_PEEK | MSG_DONTWAIT) > 0)
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c))
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
                memcpy(&cred, CMSG_DATA(c), sizeof(cred));
                return cred;
            }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        cred = (struct ucred){0};
    return cred;
}

int attach_engine(struct keeper *k, int fd)
{
    struct engine *e = &k->engine;
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = WATCH_ENGINE};
    struct ucred cred = {0};

    if (await_readable(fd, FIRST_WORD_MS))
        cred = peer(fd);
    if (cred.pid <= 0 || (cred.uid != geteuid() && cred.uid != 0)) {
        close(fd);
        return -EPERM;
    }
    e->pidfd = pidfd_open(cred.pid, 0);
    if (e->pidfd < 0 || epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, e->pidfd, &ev) < 0) {
        close(fd);
        return -errno;
    }
    e->pid = cred.pid;
    e->ours = false;
    e->starts = 1;
    e->started_ms = e->heard_ms = clock_mono_ms();
    log_info("attaching to the engine, pid %d", (int)e->pid);
    return link_open(k, fd);
}
