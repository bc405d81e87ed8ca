/*
 * The sd_notify socket of one run (sd_notify(3)): a datagram socket of its own, so that a message names its
 * run also when the sender is a helper that has ended by then. Only apps that ask for readiness
 * (`wait_ready`) get one.
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

/* Calls back when READY=1 arrives from a process of `uid`, of root, or of the daemon's user. `fd` stays the
 * caller's. */
struct notify *notify_new(uv_loop_t *loop, int fd, uint64_t run, uint32_t uid,
                          void (*ready)(void *arg, uint64_t run), void *arg);
void notify_free(struct notify *n); /* accepts NULL */

#endif
