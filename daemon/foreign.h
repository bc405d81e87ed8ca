/*
 * Watches a child whose keeper died: nobody here can wait for it. Its pidfd tells of the end; how it ended
 * comes from ioctl(PIDFD_GET_INFO) once its new parent has reaped it (Linux 6.15 and newer), else it stays
 * unknown.
 */
#ifndef PM_DAEMON_FOREIGN_H
#define PM_DAEMON_FOREIGN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct foreign;

/* Called once; the watch is over then and frees itself. wait_status as waitpid gives it, when `known`. */
typedef void (*foreign_cb)(void *arg, uint64_t run, bool known, int wait_status);

/* `pidfd` stays the caller's and must outlive the watch. NULL when it cannot be watched. */
struct foreign *foreign_watch(uv_loop_t *loop, int pidfd, pid_t pid, uint64_t run, foreign_cb ended,
                              void *arg);
void foreign_unwatch(struct foreign *f); /* accepts NULL */

#endif
