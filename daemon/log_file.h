/*
 * Flat log files. One open file per path, shared by all streams that write there.
 *
 * What was written is made exact over a crash by a record (device, inode, size) that is committed together
 * with the cursors of all streams that write to the file: what is behind the recorded size will be written
 * again, so it is cut off, once, before the first write of a new engine.
 */
#ifndef PM_DAEMON_LOG_FILE_H
#define PM_DAEMON_LOG_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct err;

struct log_file_record {
    uint64_t dev, ino, size;
    uint64_t tail; /* key of the stream whose unfinished line ends the file; 0 = it ends with a newline */
};

struct log_file {
    struct log_file *next;
    char *path;
    unsigned refs;    /* sinks */
    int64_t uid, gid; /* owner when it is created; -1 = as the daemon */
    int fd;           /* -1 while closed */
    bool regular;     /* only regular files have a size, are cut, and count for recovery */
    struct log_files *set;
    struct log_file *twin; /* set by log_file_open when it returns LOG_FILE_TWIN */
    bool used;             /* was opened by this engine: no cutting back any more */
    struct log_file_record now;

    uint64_t id; /* key in logs.db; 0 = none yet */
    bool dirty;  /* `now` is newer than `rec` */
    bool in_txn; /* `now` is in the open transaction */
    bool has_rec;
    struct log_file_record rec; /* as committed */
    bool cut_ok;                /* the bytes behind the record will be replayed from a spool */
    bool cut_never;             /* ... but a part of them is gone from the spool */

    bool failing; /* the last attempt failed; the next one at `retry_at` (monotonic ms) */
    uint64_t retry_at;
    uint64_t quiet_until; /* a failure before this is the same trouble */

    /* log_rotate.c */
    bool rotate_known; /* the policy was looked up since it was opened or changed */
    bool rotate_wanted;
    uint64_t rotate_at;          /* wanted from this size on; 0 = not by size */
    int64_t rotate_due;          /* wanted at this time (seconds since the epoch); 0 = not by time */
    uint64_t rotate_quiet_until; /* a failure before this is the same trouble */
    bool tidy_by_age;            /* its rotated files may become too old */
};

struct log_files {
    struct log_file *first;
};

/* True for paths that mean "no file". */
bool log_file_none(const char *path);

/* Finds or makes the entry and counts a reference. Opens nothing. */
struct log_file *log_files_get(struct log_files *set, const char *path, int64_t uid, int64_t gid);
void log_files_put(struct log_files *set, struct log_file *f); /* closes and frees at the last reference */

/* Another entry of the set has this very file open, under another name: `twin` is to be used instead. */
#define LOG_FILE_TWIN 1

/* Opens for appending if it is closed; makes missing folders. 0, LOG_FILE_TWIN (it stays closed), or negative
 * errno with the message set. */
int log_file_open(struct log_file *f, struct err *e);
void log_file_close(struct log_file *f);

/*
 * To be called before a write: opens the file, also anew when its name was removed, and learns its size.
 * 0, LOG_FILE_TWIN, or negative errno with the message set.
 */
int log_file_prepare(struct log_file *f, struct err *e);

/* The database knows this very file: a crash from now on can be repaired. */
bool log_file_recorded(const struct log_file *f);

/* Appends all or nothing (what a full disk took of it is cut off again). 0 or negative errno. */
int log_file_append(struct log_file *f, const struct iovec *iov, int n);

#endif
