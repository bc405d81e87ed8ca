/*
 * A walk over the folders that an app's `watch` names, on a thread: it puts an inotify watch on each, or,
 * when polling, compares the files with those of the walk before. Ignored folders are not entered.
 */
#ifndef PM_DAEMON_WATCH_SCAN_H
#define PM_DAEMON_WATCH_SCAN_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/later.h"
#include "daemon/watch_rules.h"

#define WATCH_FOLDERS_MAX 100000u
#define WATCH_FILES_MAX   500000u /* when polling: 16 bytes of memory each */

struct watcher;
struct watches;

struct watch_dir {
    char *path;
    const char *only; /* in such a folder just this name (up to a slash) is of interest; in the root's path */
    unsigned root;
    int wd;     /* -1 = none */
    bool files; /* it holds something that counts */
    dev_t dev;
    ino_t ino;

    struct watcher *watcher; /* the loop's: in which bucket it is */
    LIST_ENTRY(watch_dir) entry;
};

/* Hashes of a path and of what the file looks like. */
struct watch_file {
    uint64_t path, look;
};

/* Files of a walk, by the hash of the path (open addressing). */
struct watch_files {
    struct watch_file *v;
    size_t n, size;
};

struct watch_scan {
    struct later_job later;
    struct watches *all;
    struct watcher *owner;     /* the loop's; NULL: nobody wants it any more */
    struct watch_rules *rules; /* a reference */
    atomic_bool stop;
    int inotify;               /* own duplicate; -1 = polling */
    uint64_t since_s;          /* wall clock: files changed since then count as changed; 0 = not looked at */
    struct watch_files before; /* when polling; n == 0 and no memory: the first walk */

    /* what was found */
    struct watch_dir *dirs;
    size_t n_dirs, room;
    struct watch_files files;
    char *changed; /* the first path that is not as before, on the heap */
    int error;     /* 0, -ENOSPC (out of watches), -E2BIG (folders), -EFBIG (files) */
    uint64_t took_ms;
};

bool watch_dir_wants(const struct watch_dir *d, const char *name); /* as `only` says */

void watch_scan_run(struct later_job *j); /* on the thread; `later` is the first member */
void watch_scan_free(struct watch_scan *s);
void watch_dirs_free(struct watch_dir *v, size_t n);

#endif
