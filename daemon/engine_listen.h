/* The sockets of an app's `listen`: what its processes get from the daemon as descriptors 3, 4... */
#ifndef PM_DAEMON_ENGINE_LISTEN_H
#define PM_DAEMON_ENGINE_LISTEN_H

#include "daemon/engine.h"
#include "daemon/sockets.h"

bool engine_listens(const struct process *p); /* has its app `listen`? */

/* Opens all that the process is to get, and gives up what its app does not listen on any more (but not for
 * a candidate, which may fail). NULL when it
 * gets none. */
struct sock_all *engine_listen(struct engine *e, const struct process *p, sock_all_cb cb, void *arg);

/* A candidate has the slot: only now is given up what the app listened on before. */
void engine_listen_replaced(struct engine *e, const struct process *p);

/* A candidate of that slot is gone without having had it: what it alone listened on would collect connections
 * for nobody. */
void engine_listen_failed(struct engine *e, const struct process *slot);

/* Has one of them `adopt`: is the program to be given them by the preloaded library? */
bool engine_listen_adopts(const struct process *p);

/* What that library is told of the sockets, which are in the order of the app's `listen`. The caller frees.
 */
char *engine_listen_adopt_text(struct engine *e, const struct process *p, const uint64_t *tokens, size_t n);

/* The words of a failure, with what to do when it is known. The caller frees. */
char *engine_listen_words(const struct process *p, int error, const char *words);

/* A process is at rest or deleted: a socket that is its own (`slots`) must not collect connections for
 * nobody. */
void engine_listen_rests(struct engine *e, const struct process *p);

/* After a restart of the engine: which sockets does a living run use, as its spawn request says? */
void engine_listen_resume(struct engine *e, uint64_t run, int spec_fd);

/* A child outlived both daemons: its sockets are taken from it. */
void engine_listen_take_back(struct engine *e, const struct process *p, int pidfd);

#endif
