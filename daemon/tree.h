/*
 * The tree of one run: the child, everything descended from it, and everything that carries the run's id in
 * its environment (what forks twice is re-parented to the keeper, or to init when the keeper is gone).
 * Reading /proc may block, so it is done on libuv's thread pool.
 */
#ifndef PM_DAEMON_TREE_H
#define PM_DAEMON_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct tree_run {
    uint64_t run;
    pid_t pid;            /* the child; also after its end */
    uint64_t start_ticks; /* of the child: a recycled pid is told apart by it */
    bool child_alive;
    struct tree_hunt *hunt; /* not one run, but all that this one is after (tree_hunt.h); else NULL */
    bool foreign; /* its keeper died: orphans are under init or another subreaper, so all of /proc is read */
};

/* Who to look at. `keeper` is the subreaper under which orphans land; `tag` the first 8 hex digits of the
 * home's id. */
struct tree_ctx {
    pid_t keeper;
    pid_t engine; /* never part of a tree */
    char tag[9];
};

/*
 * Tells which children of the keeper are the children of runs, so that looking for orphans does not read the
 * environment of every app. A pid that is not told costs a read, nothing else. Thread-safe.
 */
void tree_root_add(pid_t pid, uint64_t run); /* at KW_CHILD */
void tree_root_remove(pid_t pid);            /* at the exit record */
void tree_roots_clear(void);

/*
 * The child of this run was reaped: is it certain that nothing of its tree lives? Asks the kernel's list of
 * the keeper's children only, of one page at most, and never waits, so it may be called on the loop. False
 * means that it must be looked at properly (tree_submit), not that there is something.
 */
bool tree_left_nothing(const struct tree_ctx *ctx, const struct tree_run *run);

struct tree_member {
    pid_t pid;
    uint64_t start_ticks;
};

/* Blocking. Members with the child first, then the descendants, parents before children; zombies are left
 * out. Returns how many; *out is the caller's to free. -errno when /proc cannot be read. */
int tree_scan(const struct tree_ctx *ctx, const struct tree_run *run, struct tree_member **out);

/* Blocking. By pidfd, after checking the start time, so that a recycled pid is never signalled. 0, or -ESRCH.
 */
int tree_signal_member(const struct tree_member *m, int sig);

/* Blocking, bounded to about 2 s: SIGSTOP root first, rescan until nothing new, SIGKILL all, repeat until
 * empty. Plain SIGKILL in any order loses against children that respawn. Returns how many are left. */
int tree_kill(const struct tree_ctx *ctx, const struct tree_run *run);

enum tree_op {
    TREE_LOOK,   /* count */
    TREE_SIGNAL, /* `sig` to every member (or to the child only), then count */
    TREE_KILL,
};

struct tree_job {
    enum tree_op op;
    int sig;
    bool child_only;
    struct tree_ctx ctx;
    struct tree_run run;
};
typedef void (*tree_done_cb)(void *arg, const struct tree_job *job, unsigned alive);

/* Runs the job on the thread pool; `done` comes on the loop. TREE_LOOK and TREE_SIGNAL use the kernel's lists
 * of children (/proc/K/task/K/children) instead of reading all of /proc where they can. */
void tree_submit(uv_loop_t *loop, const struct tree_job *job, tree_done_cb done, void *arg);

#endif
