/*
 * The listening sockets of apps. The keeper only holds them, so that they are there whatever becomes of
 * engines and workers, and puts them into children; it never listens or accepts.
 */
#ifndef PM_KEEPER_KEPT_H
#define PM_KEEPER_KEPT_H

#include "common/spawn_spec.h"
#include "keeper/state.h"

/* KW_SOCKET: keeps its descriptors; what the token had before is closed. */
void kept_take(struct keeper *k, struct kw_msg *m);

/* The descriptors of the sockets that the request names, still the keeper's. 0, or -ENOENT when one is not
 * here. */
int kept_find(struct keeper *k, const struct spawn_spec *s, int fds[SPAWN_SOCKETS_MAX]);

#endif
