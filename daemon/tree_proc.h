/* Reading /proc for process trees; shared by tree*.c. */
#ifndef PM_DAEMON_TREE_PROC_H
#define PM_DAEMON_TREE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/tree.h"

struct proc_stat {
    pid_t pid, ppid;
    uint64_t start_ticks;
    char comm[16];
    bool dead; /* a zombie: it runs nothing any more and only waits to be reaped */
};

/* 0, or negative errno (-ESRCH: no such process). */
int tree_proc_stat(pid_t pid, struct proc_stat *out);

/*
 * Does the process carry exactly this run's id in its environment? False as well when that cannot be read.
 * Blocking: one that is just inside an exec has no environment for a moment, and is waited for up to a
 * second.
 */
bool tree_proc_has_run(pid_t pid, const struct tree_ctx *ctx, uint64_t run);

/* Of which run of this home is it, as its environment says? False for none. *proc = its pm_id, UINT32_MAX
 * when it has none. Blocking like tree_proc_has_run. */
bool tree_proc_claims(pid_t pid, const struct tree_ctx *ctx, uint64_t *run, uint32_t *proc);

struct pid_list {
    pid_t *v;
    size_t n, cap;
};
void pid_list_add(struct pid_list *l, pid_t pid);
void pid_list_free(struct pid_list *l);

/* Appends the children of all threads of `pid`. 0, -ESRCH when it is gone, -ENOENT when the kernel has no
 * such lists. */
int tree_proc_children(pid_t pid, struct pid_list *out);

/* The children of the keeper, read until two lists in a row are equal; -EAGAIN when it never gets quiet. */
int tree_keeper_children(pid_t keeper, struct pid_list *out);

/* The same, but only if it is short (a page of text) and equal at once: else -EAGAIN. Quick enough for the
 * loop. */
int tree_keeper_children_short(pid_t keeper, struct pid_list *out);

/* The run that `pid` is the child of, as told by tree_root_add; 0 = not told. */
uint64_t tree_root_of(pid_t pid);

/* As tree_scan, by the kernel's lists of children. Negative when that way is closed and /proc is to be read.
 */
int tree_scan_lists(const struct tree_ctx *ctx, const struct tree_run *run, struct tree_member **out);

/* tree_scan_lists, or tree_scan where that does not work. */
int tree_scan_any(const struct tree_ctx *ctx, const struct tree_run *run, struct tree_member **out);

/* Only the child, when it lives: for treekill off. 0 or 1. */
int tree_scan_child(const struct tree_run *run, struct tree_member **out);

/* tree_kill for any set of members, as `scan` sees it. */
typedef int (*tree_scan_fn)(const struct tree_ctx *ctx, const struct tree_run *run, struct tree_member **out);
int tree_kill_by(tree_scan_fn scan, const struct tree_ctx *ctx, const struct tree_run *run);

#endif
