#include "common/kwire.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct cursor {
    uint8_t *p;
    size_t left;
    bool bad; /* something did not fit; all later reads give 0 */
};

static void put(struct cursor *c, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes && c->left; i++, c->left--)
        *c->p++ = (uint8_t)(value >> (8 * i));
}

static uint64_t get(struct cursor *c, size_t bytes)
{
    uint64_t value = 0;

    if (c->bad || c->left < bytes) {
        c->bad = true;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)*c->p++ << (8 * i);
    c->left -= bytes;
    return value;
}

/* Bit i is set when slot i carries a descriptor; the others are kinds alone, as KW_DROP names them. */
static uint8_t attached(const struct kw_msg *m)
{
    uint8_t mask = 0;

    for (unsigned i = 0; i < m->nfds; i++)
        if (m->fds[i] >= 0)
            mask |= (uint8_t)(1u << i);
    return mask;
}

static size_t encode(const struct kw_msg *m, uint8_t packet[KW_PACKET_MAX])
{
    struct cursor c = {packet, KW_PACKET_MAX, false};

    put(&c, m->type, 4);
    put(&c, m->flags, 4);
    put(&c, m->token, 8);
    put(&c, m->arg, 8);
    put(&c, m->proc, 4);
    put(&c, m->uid, 4);
    put(&c, (uint32_t)m->pid, 4);
    put(&c, (uint32_t)m->step, 4);
    put(&c, (uint32_t)m->error, 4);
    put(&c, (uint32_t)m->wait_status, 4);
    put(&c, m->start_ticks, 8);
    put(&c, m->start_us, 8);
    put(&c, m->end_us, 8);
    put(&c, m->utime_us, 8);
    put(&c, m->stime_us, 8);
    put(&c, m->maxrss_bytes, 8);
    put(&c, m->nfds, 1);
    put(&c, attached(m), 1);
    for (unsigned i = 0; i < KW_FDS_MAX; i++)
        put(&c, i < m->nfds ? m->kinds[i] : 0, 1);
    put(&c, m->note_len, 2);
    for (unsigned i = 0; i < m->note_len; i++)
        put(&c, m->note[i], 1);
    return KW_PACKET_MAX - c.left;
}

/* Fills everything but fds; `mask` tells which slots have one. */
static int decode(uint8_t *packet, size_t len, struct kw_msg *m, uint8_t *mask)
{
    struct cursor c = {packet, len, false};

    m->type = (uint32_t)get(&c, 4);
    m->flags = (uint32_t)get(&c, 4);
    m->token = get(&c, 8);
    m->arg = get(&c, 8);
    m->proc = (uint32_t)get(&c, 4);
    m->uid = (uint32_t)get(&c, 4);
    m->pid = (int32_t)get(&c, 4);
    m->step = (int32_t)get(&c, 4);
    m->error = (int32_t)get(&c, 4);
    m->wait_status = (int32_t)get(&c, 4);
    m->start_ticks = get(&c, 8);
    m->start_us = get(&c, 8);
    m->end_us = get(&c, 8);
    m->utime_us = get(&c, 8);
    m->stime_us = get(&c, 8);
    m->maxrss_bytes = get(&c, 8);
    m->nfds = (uint8_t)get(&c, 1);
    *mask = (uint8_t)get(&c, 1);
    for (unsigned i = 0; i < KW_FDS_MAX; i++)
        m->kinds[i] = (uint8_t)get(&c, 1);
    m->note_len = (uint16_t)get(&c, 2);
    if (c.bad || !m->type || m->nfds > KW_FDS_MAX || m->note_len > KW_NOTE_MAX || c.left < m->note_len ||
        (unsigned)*mask >> m->nfds)
        return -EBADMSG;
    for (unsigned i = 0; i < m->nfds; i++)
        if (!m->kinds[i])
            return -EBADMSG;
    memcpy(m->note, c.p, m->note_len);
    return 0;
}

static int send_errno(int error)
{
    switch (error) {
    case EWOULDBLOCK:
    /* Too many descriptors in flight for an unprivileged user, or no memory just now: both pass when the
     * peer has read something. */
    case ETOOMANYREFS:
    case ENOBUFS:
    case ENOMEM:
        return -EAGAIN;
    default:
        return -error;
    }
}

int kw_send(int sock, const struct kw_msg *m)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * KW_FDS_MAX)];
    } control = {0};
    uint8_t packet[KW_PACKET_MAX];
    struct iovec iov = {.iov_base = packet};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
    int fds[KW_FDS_MAX];
    size_t n = 0;
    ssize_t rc;

    if (m->nfds > KW_FDS_MAX || m->note_len > KW_NOTE_MAX || !m->type)
        return -EINVAL;
    iov.iov_len = encode(m, packet);
    for (unsigned i = 0; i < m->nfds; i++)
        if (m->fds[i] >= 0)
            fds[n++] = m->fds[i];
    if (n) {
        h.msg_control = control.bytes;
        h.msg_controllen = CMSG_SPACE(sizeof(int) * n);
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
    }
    do
        rc = sendmsg(sock, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? send_errno(errno) : 0;
}

/* Collects the descriptors of a packet; what does not fit the array is closed. Returns how many came. */
static size_t collect_fds(struct msghdr *h, int fds[KW_FDS_MAX])
{
    size_t n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < count; i++, n++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (n < KW_FDS_MAX)
                fds[n] = fd;
            else
                close(fd);
        }
    }
    return n;
}

static int parse(uint8_t *packet, size_t len, const struct msghdr *h, struct kw_msg *m, const int *fds,
                 size_t n)
{
    uint8_t mask = 0;
    size_t want, used = 0;
    int rc = decode(packet, len, m, &mask);

    want = (size_t)__builtin_popcount(mask);
    if (rc == 0 && n != want)
        rc = n < want && (h->msg_flags & MSG_CTRUNC) ? -EMFILE : -EBADMSG;
    if (rc < 0) {
        for (size_t i = 0; i < n && i < KW_FDS_MAX; i++)
            close(fds[i]);
        m->nfds = 0;
        return rc;
    }
    for (unsigned i = 0; i < m->nfds; i++)
        m->fds[i] = mask & (1u << i) ? fds[used++] : -1;
    return 1;
}

int kw_recv(int sock, struct kw_msg *m)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * KW_FDS_MAX) + CMSG_SPACE(sizeof(struct ucred))];
    } control;
    uint8_t packet[KW_PACKET_MAX];
    int fds[KW_FDS_MAX] = {0}, resets = 0;
    struct iovec iov = {packet, sizeof(packet)};
    struct msghdr h;
    ssize_t len;

    *m = (struct kw_msg){0};
    for (;;) {
        h = (struct msghdr){.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
        len = recvmsg(sock, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (len >= 0)
            break;
        /* A peer that closed with unread packets leaves one ECONNRESET in front of what it had sent; the
         * packets behind it are whole and must not be lost. */
        if (errno == EINTR || (errno == ECONNRESET && resets++ == 0))
            continue;
        return errno == EWOULDBLOCK ? -EAGAIN : errno == ECONNRESET ? 0 : -errno;
    }
    size_t n = collect_fds(&h, fds);
    if (len == 0 && n == 0)
        return 0;
    return parse(packet, (size_t)len, &h, m, fds, n);
}

void kw_close_fds(struct kw_msg *m)
{
    for (unsigned i = 0; i < m->nfds; i++)
        if (m->fds[i] >= 0)
            close(m->fds[i]);
    m->nfds = 0;
}

int kw_take_fd(struct kw_msg *m, enum kw_fd kind)
{
    for (unsigned i = 0; i < m->nfds; i++) {
        int fd = m->fds[i];

        if (m->kinds[i] != kind || fd < 0)
            continue;
        m->fds[i] = -1;
        return fd;
    }
    return -1;
}

void kw_add_fd(struct kw_msg *m, enum kw_fd kind, int fd)
{
    if (m->nfds >= KW_FDS_MAX)
        return;
    m->kinds[m->nfds] = (uint8_t)kind;
    m->fds[m->nfds++] = fd;
}

const char *kw_step_word(int step)
{
    static const char *const words[KW_STEP_COUNT] = {
        [KW_STEP_NONE] = "start",
        [KW_STEP_SPEC] = "read the start request",
        [KW_STEP_TABLE] = "keep one more child",
        [KW_STEP_PIPE] = "create the pipes",
        [KW_STEP_FORK] = "fork",
        [KW_STEP_STDIO] = "set up stdin, stdout and stderr",
        [KW_STEP_LIMITS] = "set the resource limits",
        [KW_STEP_NICE] = "set the priority",
        [KW_STEP_CWD] = "change to the working folder",
        [KW_STEP_GROUPS] = "set the supplementary groups",
        [KW_STEP_GID] = "change the group",
        [KW_STEP_UID] = "change the user",
        [KW_STEP_EXEC] = "execute the program",
        [KW_STEP_SEARCH] = "find the program on the PATH",
        [KW_STEP_SOCKET] = "find the listening socket",
    };

    return step >= 0 && step < KW_STEP_COUNT ? words[step] : "start";
}
