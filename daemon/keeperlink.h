/* The engine's end of the packet socket to the keeper. */
#ifndef PM_DAEMON_KEEPERLINK_H
#define PM_DAEMON_KEEPERLINK_H

#include <uv.h>

#include "common/home.h"
#include "common/kwire.h"

struct err;
struct keeper_link;

struct keeper_link_hooks {
    void *arg;
    /* One message. Descriptors that are wanted are taken with kw_take_fd; the rest is closed after the call.
     */
    void (*message)(void *arg, struct kw_msg *m);
    /* The keeper is gone. Called once, from the loop; the link only waits to be closed then. */
    void (*lost)(void *arg);
};

/* Takes the socket. At most 64 messages are handled a loop turn, so that a long snapshot does not starve the
 * rest. */
struct keeper_link *keeper_link_new(uv_loop_t *loop, int fd, const struct keeper_link_hooks *hooks);

/*
 * Sends, or queues in order when the socket is full (descriptors are duplicated then; they stay the
 * caller's). -EPIPE once the keeper is gone, -ENOBUFS over 65,536 queued messages. Nothing is lost silently.
 */
int keeper_link_send(struct keeper_link *l, const struct kw_msg *m);
void keeper_link_close(struct keeper_link *l); /* frees it in the close callback; accepts NULL */

/*
 * Starts a new keeper (the program at `image` with --attach-fd, under the name `pmd_path`), detached so that
 * it is not this process's child, and returns our end of the socket pair, or negative errno. Blocks only for
 * fork.
 */
int keeper_start_new(const char *image, const char *pmd_path, const struct home *home, struct err *e);

/* Watches the attach socket: `asked` gets each new connection of the same uid (or root); it owns the
 * descriptor. */
struct keeper_attach;
struct keeper_attach *keeper_attach_new(uv_loop_t *loop, int listen_fd, void (*asked)(void *arg, int fd),
                                        void *arg);
void keeper_attach_close(struct keeper_attach *a); /* the listening descriptor stays the caller's */

#endif
