#include "keeper/answer.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#define ANSWER_BYTES_MAX (2u * 1024 * 1024) /* what one message may take out of a channel */

/* Something as short as an answer fits a socket that is writable. */
static bool is_writable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    return poll(&p, 1, 0) == 1 && p.revents & POLLOUT;
}

static void throw_away(int fd, uint64_t bytes)
{
    static char waste[65536];

    while (bytes > 0) {
        ssize_t n = recv(fd, waste, bytes < sizeof(waste) ? bytes : sizeof(waste), MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* the engine saw these bytes there: this is the end of the channel */
        bytes -= (uint64_t)n;
    }
}

static int answer(struct record *r, const struct kw_msg *m)
{
    int fd = r->fds[KW_FD_IPC];

    if (m->flags & KW_ONCE && r->flags & KW_TOLD)
        return EALREADY;
    if (fd < 0)
        return EPIPE;
    if (m->arg > ANSWER_BYTES_MAX)
        return EINVAL;
    if (!is_writable(fd))
        return EAGAIN;
    throw_away(fd, m->arg);
    /* To a worker that is gone nothing can be said, and nothing needs to. */
    while (send(fd, m->note, m->note_len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
    if (m->flags & KW_ONCE)
        r->flags |= KW_TOLD;
    return 0;
}

void answer_worker(struct keeper *k, struct record *r, const struct kw_msg *m)
{
    k->link.refused = (struct kw_msg){
        .type = KW_ANSWERED, .token = r->token, .proc = r->proc, .flags = m->flags, .error = answer(r, m)};
    k->link.has_refused = true;
}
