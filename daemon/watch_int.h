/* What the watch_*.c files share. */
#ifndef PM_DAEMON_WATCH_INT_H
#define PM_DAEMON_WATCH_INT_H

#include <sys/queue.h>
#include <uv.h>

#include "daemon/watch_calm.h"
#include "daemon/watch_scan.h"

#define WATCH_BUCKETS     1024
#define WATCH_STASH_MAX   256 /* events of folders that a walk under way has just found */
#define WATCH_BATCH       4   /* reads a turn of the loop */
#define WATCH_RESCAN_MS   100 /* new folders are looked for so long after the first sign of one */
#define WATCH_BUSY_MS     100 /* a restart is under way: look again */
#define WATCH_LONG_SCAN_X 5   /* between two walks so many times as long as one takes */

LIST_HEAD(watch_bucket, watch_dir);

struct watch_event {
    int wd;
    uint32_t mask;
    char *name;
};

/* One for all apps. Lives until the last walk has come back. */
struct watches {
    struct engine *engine; /* NULL: closed */
    uv_poll_t poll;
    int fd; /* inotify; -1 = none */
    bool poll_open, warned;
    unsigned scans; /* under way */
    struct later queue;
    struct watch_bucket *buckets; /* folders by watch descriptor */
    LIST_HEAD(watcher_list, watcher) watchers;
    struct watch_event stash[WATCH_STASH_MAX];
    unsigned n_stash;
    int *unused; /* watches to be removed once no walk is under way, which may have just got them */
    size_t n_unused;
    char *buffer; /* for reads */
};

/* One for each app with `watch`. */
struct watcher {
    struct watches *all;
    struct app *app;
    struct watch_rules *rules;
    uint64_t delay_ms;
    struct watch_dir *dirs;
    size_t n_dirs;
    struct watch_scan *scan;  /* under way; NULL = none */
    struct watch_files files; /* when polling */
    size_t n_polled;          /* folders */
    bool walked;              /* at least once, so that what is new is a change */
    bool fallback;            /* polls because there are no watches */
    const char *refused;      /* why nothing is watched; NULL */
    uint64_t scan_at;         /* mono ms; 0 = no walk is wanted */
    uint64_t since_s;         /* for that walk: struct watch_scan */
    uint64_t last_took_ms;
    struct watch_calm calm;
    uint64_t busy_until; /* mono ms: before that the restart isn't tried again */
    uv_timer_t timer;
    LIST_ENTRY(watcher) entry;
};

/* watch.c */
void watcher_arm(struct watcher *w);
void watcher_changed(struct watcher *w, const char *path);
void watcher_rescan(struct watcher *w, uint64_t in_ms);
bool watcher_polls(const struct watcher *w);
void watches_end_if_idle(struct watches *a); /* frees it when it is closed and nothing is under way */

/* watch_walk.c */
void watcher_walk(struct watcher *w); /* begins one */
void watcher_fall_back(struct watcher *w, int error);

/* watch_inotify.c */
bool watches_open(struct watches *a); /* the inotify descriptor; false and errno */
void watches_put(struct watcher *w);  /* w->dirs into the buckets */
void watches_drop(struct watches *a, struct watch_dir *v, size_t n,
                  bool listed); /* and out again; frees them */
bool watches_knows(const struct watcher *w, int wd);
void watches_replay(struct watches *a);        /* a walk is over */
void watches_remove_unused(struct watches *a); /* when no walk is under way */

/* watch_restart.c: false when it has to wait */
bool watcher_restart(struct watcher *w);

#endif
