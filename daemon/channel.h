/*
 * Our end of a child's Node IPC channel: lines of JSON in both directions. The engine may die between any two
 * instructions, so input is peeked, handled, and only then consumed; handling a line twice does no harm.
 */
#ifndef PM_DAEMON_CHANNEL_H
#define PM_DAEMON_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* A line of at most this many bytes, with its newline, goes in one sendmsg: whole, or not at all. */
#define CHANNEL_SEND_MAX 32768u
#define CHANNEL_BUN_MARK 0x02 /* Bun puts it in front of internal messages */

struct channel;

enum channel_verdict {
    CHANNEL_DONE,    /* handled: it is consumed */
    CHANNEL_WAIT,    /* it stays, and comes once more after channel_resume; nothing behind it is read */
    CHANNEL_AT_HEAD, /* it comes once more when all before it is consumed */
};

/* A channel may be freed in each of them. */
struct channel_hooks {
    void *arg;
    /* One line, without the newline, not NUL-terminated. `in_socket`: that many bytes of it, with the
     * newline, are at the head of the socket; 0: others are in front of it. */
    enum channel_verdict (*line)(void *arg, const char *line, size_t len, size_t in_socket);
    /* The beginning of a line that is too long to wait in the socket for its end. CHANNEL_WAIT: as above. */
    enum channel_verdict (*part)(void *arg, const char *data, size_t len);
    /* From now on what is in the socket is (is not) the rest of a line. To be noted for a successor. */
    void (*midline)(void *arg, bool on);
    void (*writable)(void *arg); /* once after channel_want_write */
    void (*ended)(void *arg);    /* end of file, after all lines */
};

/* `fd` stays the caller's and must outlive the channel. `midline`: as an earlier engine noted. */
struct channel *channel_new(uv_loop_t *loop, int fd, bool midline, const struct channel_hooks *hooks);
void channel_free(struct channel *c); /* accepts NULL */

/* Sends one line of JSON (without newline) if it fits whole now: 0, else negative errno. -EAGAIN: it may when
 * there is room; -ENOBUFS: it may after a while (too many descriptors in flight, no memory), and `writable`
 * would not tell. With a descriptor (-1 = none), which stays the caller's. */
int channel_send(struct channel *c, const char *json);
int channel_send_fd(struct channel *c, const char *json, int fd);

void channel_resume(struct channel *c);
/* The program has ended: handles what is left in the channel, without waiting for anything. */
void channel_read_out(struct channel *c);
void channel_want_write(struct channel *c);
/* The rest of the line at the head of the socket is not wanted; or it is again. */
void channel_skip(struct channel *c, bool on);

#endif
