/*
 * The sd_notify socket of one run (sd_notify(3)): a datagram socket of its own, so that a message names its
 * run also when the sender is a helper that has ended by then. Only apps that ask for readiness
 * (`wait_ready`) or for a watchdog get one.
 */
#ifndef PM_DAEMON_NOTIFY_H
#define PM_DAEMON_NOTIFY_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct notify;

/* Binds an abstract address; its name without the leading NUL goes to `name`. The descriptor or negative
 * errno. */
int notify_bind(const char *home_id, uint64_t run, char *name, size_t size);

enum notify_word {
    NOTIFY_READY,
    NOTIFY_WATCHDOG,
    NOTIFY_TRIGGER
}; /* READY=1, WATCHDOG=1, WATCHDOG=trigger */

/* Calls back when one of the words arrives from a process of `uid`, of root, or of the daemon's user. `fd`
 * stays the caller's. */
struct notify *notify_new(uv_loop_t *loop, int fd, uint64_t run, uint32_t uid,
                          void (*said)(void *arg, uint64_t run, enum notify_word word), void *arg);
void notify_free(struct notify *n); /* accepts NULL */

#endif
