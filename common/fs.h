/* Small file helpers that every part needs. All descriptors are opened close-on-exec. */
#ifndef PM_COMMON_FS_H
#define PM_COMMON_FS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct err;

/* Makes the folder and its missing parents with `mode`. 0, or negative errno with the message set. */
int fs_mkdirs(const char *path, mode_t mode, struct err *e);

/* Reads a whole file, at most `max` bytes (-EFBIG beyond). Appends to `out`. */
int fs_read_file(const char *path, size_t max, struct buf *out, struct err *e);

/* Writes everything, also over short writes and EINTR. 0 or negative errno. For files and blocking sockets.
 */
int fs_write_all(int fd, const void *data, size_t len);

/* "dir/name", or a copy of `name` when that is absolute. The caller frees. */
char *fs_join(const char *dir, const char *name);

/* Removes "." and ".." and double slashes by text alone; relative paths are taken from `cwd`. The caller
 * frees. */
char *fs_absolute(const char *cwd, const char *path);

/*
 * Start time of a process in clock ticks after boot (field 22 of /proc/PID/stat): with the pid it names one
 * process for ever. 0 on success, -ESRCH when there is none (also for a zombie's reaped pid).
 */
int fs_proc_start_ticks(pid_t pid, uint64_t *ticks);

/* The kernel's boot id (36 characters and NUL), or an empty string. */
void fs_boot_id(char out[37]);

#endif
