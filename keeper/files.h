/* The keeper's files in PM_HOME: the lock, the sockets, the pid file, the log. */
#ifndef PM_KEEPER_FILES_H
#define PM_KEEPER_FILES_H

#include "keeper/state.h"

struct err;

/* Takes the lock: a descriptor, -EWOULDBLOCK when another daemon has it, or another negative errno. */
int files_lock(struct keeper *k, struct err *e);

/* Binds both sockets anew and holds them and the lock for the engines. Only under the lock. */
int files_bind(struct keeper *k, int lock_fd, struct err *e);

void files_write_pid(struct keeper *k);
int files_read_pid(struct keeper *k); /* of the daemon that runs, for a message; 0 when unknown */
void files_remove(struct keeper *k);  /* sockets and pid file; the lock file stays, it is the lock */

/* Makes stdout and stderr the log, opened anew. */
int files_open_log(struct keeper *k, struct err *e);

/* When the log has grown beyond 10 MB: pmd.log becomes pmd.log.1, up to pmd.log.3, and is opened anew. True
 * when it was, and the engine is to follow. */
bool files_rotate_log(struct keeper *k);

#endif
