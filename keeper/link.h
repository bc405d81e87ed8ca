/* The packet socket to the engine: what comes from it. What goes to it is in news.h. */
#ifndef PM_KEEPER_LINK_H
#define PM_KEEPER_LINK_H

#include "keeper/state.h"

void link_init(struct link *l);
int link_open(struct keeper *k, int fd); /* takes the socket; 0, or -errno (it is closed then) */

/* Handles a bounded share of the messages that wait. */
void link_read(struct keeper *k);

/* The engine is gone: handles all that it had sent, then closes. An acknowledgement must not be lost. */
void link_finish(struct keeper *k);

/* Tells epoll what is awaited now, after everything of this turn was done. */
void link_watch(struct keeper *k);

#endif
