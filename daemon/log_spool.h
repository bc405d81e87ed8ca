/*
 * A spool is a memfd between a pipe and the writer thread. Its own file offset is the count of bytes taken
 * from the pipe: splice moves the bytes and the offset in one step, and the offset lives in the open file
 * description that the keeper's duplicate shares, so it outlives the engine. Nothing else may move the
 * offset: reading goes by pread, and what needs a seek opens a description of its own.
 */
#ifndef PM_DAEMON_LOG_SPOOL_H
#define PM_DAEMON_LOG_SPOOL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A new empty spool (close-on-exec), or negative errno. */
int log_spool_new(void);

/* Bytes taken so far, or negative errno for a descriptor that is no spool. */
int64_t log_spool_taken(int fd);

/* Inode number: with the boot id it names one spool. 0 when it cannot be had. */
uint64_t log_spool_inode(int fd);

/*
 * Moves at most `max` bytes from a non-blocking pipe. Bytes moved, 0 at the end of the stream, -EAGAIN when
 * the pipe is empty, or another negative errno.
 */
ssize_t log_spool_take(int fd, int pipe, size_t max);

/* Reads up to n bytes from `at`; fewer only at the end. Bytes read or negative errno. */
ssize_t log_spool_read(int fd, char *out, size_t n, uint64_t at);

/*
 * Gives the memory of everything before `upto` back; what is before `from` was given back earlier. The page
 * that `upto` lies in is zeroed up to there, so that log_spool_first() finds the place again without any
 * record of it.
 */
void log_spool_release(int fd, uint64_t from, uint64_t upto);

/*
 * The first byte that was not released, at most `taken`, found by looking: zero bytes at the place count as
 * released. `page` gets where the memory begins that is still there: a cursor at or behind it is good.
 */
uint64_t log_spool_first(int fd, uint64_t taken, uint64_t *page);

#endif
