/*
 * What goes to the engine. Each fact about a record is told exactly once: within KW_CHILD when it is known by
 * then, else by a message of its own. What does not fit the socket stays marked in the record and goes out
 * when the socket drains, so nothing is lost and nothing is queued twice.
 */
#ifndef PM_KEEPER_NEWS_H
#define PM_KEEPER_NEWS_H

#include "keeper/state.h"

/* Marks what there is to say. Before the engine asked for its snapshot this does nothing: the snapshot shows
 * it. */
void news_say(struct keeper *k, struct record *r, unsigned what);
void news_snapshot(struct keeper *k);
void news_forget(struct keeper *k, struct record *r); /* before the record is removed */
void news_reset(struct keeper *k);                    /* the engine is gone */

/* Sends what can be sent. `writable`: epoll said that there is room. */
void news_flush(struct keeper *k, bool writable, uint64_t now_ms);

#endif
