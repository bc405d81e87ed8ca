/* Files that hold the pid of a process's child, for people and scripts; nothing here decides by them. */
#ifndef PM_DAEMON_PID_FILE_H
#define PM_DAEMON_PID_FILE_H

#include <sys/types.h>
#include <uv.h>

/*
 * Writes the pid into the file (folders are made) within about 50 ms, or removes the file for pid 0. On the
 * thread pool, one after another in the order of the calls, so that the end of an old run never removes what
 * a new one wrote. A failure is said in the log.
 */
void pid_file_put(uv_loop_t *loop, const char *path, pid_t pid);

#endif
