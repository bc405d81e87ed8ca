/* Who belongs to a run: by all of /proc, or by the kernel's lists of children. */
#include "daemon/tree.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/mem.h"
#include "daemon/tree_hunt.h"
#include "daemon/tree_proc.h"

enum { DEPTH_UNKNOWN = -1, DEPTH_NONE = -2, DEPTH_BUSY = -3 };

/* One process of a full reading; `depth` is 0 for the child, 1 for orphans, its parent's + 1 for the others.
 */
struct entry {
    struct proc_stat st;
    int depth;
};

struct table {
    struct entry *v;
    size_t n, cap;
};

static int by_pid(const void *a, const void *b)
{
    pid_t x = ((const struct entry *)a)->st.pid, y = ((const struct entry *)b)->st.pid;

    return x < y ? -1 : x > y;
}

static int by_depth(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->depth != y->depth)
        return x->depth < y->depth ? -1 : 1;
    return by_pid(a, b);
}

static int read_table(struct table *t)
{
    DIR *dir = opendir("/proc");
    struct dirent *d;

    if (!dir)
        return -errno;
    while ((d = readdir(dir))) {
        struct proc_stat st;

        if (d->d_name[0] < '1' || d->d_name[0] > '9' || tree_proc_stat((pid_t)atoi(d->d_name), &st) < 0)
            continue;
        if (t->n == t->cap) {
            t->cap = t->cap ? t->cap * 2 : 256;
            t->v = xrealloc(t->v, t->cap * sizeof(*t->v));
        }
        t->v[t->n++] = (struct entry){.st = st, .depth = DEPTH_UNKNOWN};
    }
    closedir(dir);
    if (t->n)
        qsort(t->v, t->n, sizeof(*t->v), by_pid);
    return 0;
}

static struct entry *find(struct table *t, pid_t pid)
{
    struct entry key = {.st = {.pid = pid}};

    return t->n ? bsearch(&key, t->v, t->n, sizeof(*t->v), by_pid) : NULL;
}

static bool is_child(const struct proc_stat *st, const struct tree_run *run)
{
    return run->pid > 0 && st->pid == run->pid && st->start_ticks == run->start_ticks;
}

static bool is_own(pid_t pid, const struct tree_ctx *ctx)
{
    return pid == ctx->keeper || pid == ctx->engine || pid <= 1;
}

static int depth_alone(const struct entry *e, const struct tree_ctx *ctx, const struct tree_run *run)
{
    if (is_child(&e->st, run))
        return 0;
    /* Zombies have no environment; what started before the child cannot come from it. */
    if (e->st.dead || e->st.start_ticks < run->start_ticks)
        return DEPTH_NONE;
    if (run->hunt)
        return tree_hunt_wants(run->hunt, &e->st) ? 1 : DEPTH_NONE;
    return tree_proc_has_run(e->st.pid, ctx, run->run) ? 1 : DEPTH_NONE;
}

/* Depth by the parent's, for which the chain of parents is walked up to one whose depth is known; the
 * environment is only read of those that do not descend from a member. */
static int resolve(struct table *t, struct entry *e, const struct tree_ctx *ctx, const struct tree_run *run)
{
    if (e->depth != DEPTH_UNKNOWN)
        return e->depth;
    if (is_own(e->st.pid, ctx))
        return e->depth = DEPTH_NONE;
    if (is_child(&e->st, run))
        return e->depth = 0;
    e->depth = DEPTH_BUSY; /* pids that are reused while we read could make a ring */
    struct entry *parent = find(t, e->st.ppid);
    int up = DEPTH_NONE;

    if (parent && parent != e && parent->st.start_ticks <= e->st.start_ticks)
        up = resolve(t, parent, ctx, run);
    return e->depth = up >= 0 ? up + 1 : depth_alone(e, ctx, run);
}

int tree_scan(const struct tree_ctx *ctx, const struct tree_run *run, struct tree_member **out)
{
    struct table t = {0};
    int rc = read_table(&t), n = 0;

    *out = NULL;
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < t.n; i++)
        resolve(&t, &t.v[i], ctx, run);
    if (t.n)
        qsort(t.v, t.n, sizeof(*t.v), by_depth);
    *out = xcalloc(t.n + 1, sizeof(**out));
    for (size_t i = 0; i < t.n; i++)
        if (t.v[i].depth >= 0 && !t.v[i].st.dead)
            (*out)[n++] = (struct tree_member){t.v[i].st.pid, t.v[i].st.start_ticks};
    free(t.v);
    return n;
}

/* Members in the order in which they were found: each one's children come behind it. */
struct found {
    struct tree_member *v;
    size_t n, cap;
    size_t walked; /* of these the children have been read */
};

static bool found_has(const struct found *f, pid_t pid, uint64_t start_ticks)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->v[i].pid == pid && f->v[i].start_ticks == start_ticks)
            return true;
    return false;
}

static void found_add(struct found *f, const struct proc_stat *st)
{
    if (st->dead || found_has(f, st->pid, st->start_ticks))
        return;
    if (f->n == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 16;
        f->v = xrealloc(f->v, f->cap * sizeof(*f->v));
    }
    f->v[f->n++] = (struct tree_member){st->pid, st->start_ticks};
}

static int walk_down(struct found *f, const struct tree_ctx *ctx)
{
    for (; f->walked < f->n; f->walked++) {
        struct tree_member parent = f->v[f->walked];
        struct pid_list kids = {0};
        int rc = tree_proc_children(parent.pid, &kids);

        for (size_t i = 0; rc == 0 && i < kids.n; i++) {
            struct proc_stat st;

            /* The start time: should the parent's pid have been reused since, its children are not ours. */
            if (!is_own(kids.v[i], ctx) && tree_proc_stat(kids.v[i], &st) == 0 &&
                st.start_ticks >= parent.start_ticks)
                found_add(f, &st);
        }
        pid_list_free(&kids);
        if (rc < 0 && rc != -ESRCH && rc != -ENOENT)
            return rc;
    }
    return 0;
}

static int add_orphans(struct found *f, const struct tree_ctx *ctx, const struct tree_run *run)
{
    struct pid_list kids = {0};
    int rc = tree_keeper_children(ctx->keeper, &kids);

    for (size_t i = 0; rc == 0 && i < kids.n; i++) {
        uint64_t root = tree_root_of(kids.v[i]);
        struct proc_stat st;

        if (root && root != run->run)
            continue; /* another run's child */
        if (is_own(kids.v[i], ctx) || !tree_proc_has_run(kids.v[i], ctx, run->run))
            continue;
        if (tree_proc_stat(kids.v[i], &st) == 0)
            found_add(f, &st);
    }
    pid_list_free(&kids);
    return rc;
}

int tree_scan_lists(const struct tree_ctx *ctx, const struct tree_run *run, struct tree_member **out)
{
    struct found f = {0};
    struct proc_stat st;
    int rc = 0;

    *out = NULL;
    if (run->foreign || ctx->keeper <= 0)
        return -EXDEV;
    if (run->pid > 0 && tree_proc_stat(run->pid, &st) == 0 && is_child(&st, run)) {
        if (st.ppid != ctx->keeper)
            return -EXDEV; /* its orphans would not land where we look */
        found_add(&f, &st);
    }
    /* Downwards first: what loses its parent while we read moves to the keeper's list, which comes later. */
    rc = walk_down(&f, ctx);
    if (rc == 0)
        rc = add_orphans(&f, ctx, run);
    if (rc == 0)
        rc = walk_down(&f, ctx);
    if (rc < 0) {
        free(f.v);
        return rc;
    }
    *out = f.v;
    return (int)f.n;
}

bool tree_left_nothing(const struct tree_ctx *ctx, const struct tree_run *run)
{
    struct pid_list kids = {0};
    bool nothing = !run->foreign && ctx->keeper > 0 && tree_keeper_children_short(ctx->keeper, &kids) == 0;

    for (size_t i = 0; nothing && i < kids.n; i++) {
        uint64_t root = tree_root_of(kids.v[i]);

        nothing = is_own(kids.v[i], ctx) || (root && root != run->run);
    }
    pid_list_free(&kids);
    return nothing;
}

int tree_scan_any(const struct tree_ctx *ctx, const struct tree_run *run, struct tree_member **out)
{
    int n = tree_scan_lists(ctx, run, out);

    return n >= 0 ? n : tree_scan(ctx, run, out);
}

int tree_scan_child(const struct tree_run *run, struct tree_member **out)
{
    struct proc_stat st;

    *out = NULL;
    if (run->pid <= 0 || tree_proc_stat(run->pid, &st) < 0 || !is_child(&st, run) || st.dead)
        return 0;
    *out = xcalloc(1, sizeof(**out));
    (*out)[0] = (struct tree_member){st.pid, st.start_ticks};
    return 1;
}

int tree_signal_member(const struct tree_member *m, int sig)
{
    uint64_t ticks;
    int rc;

    /* The descriptor first: whatever it refers to is the process whose start time is read next, or that one
     * came later and has another start time. */
    _cleanup_close_ int fd = pidfd_open(m->pid, 0);
    if (fd < 0)
        return errno == ESRCH || errno == EINVAL ? -ESRCH : -errno;
    rc = fs_proc_start_ticks(m->pid, &ticks);
    if (rc < 0)
        return rc;
    if (ticks != m->start_ticks)
        return -ESRCH;
    return pidfd_send_signal(fd, sig, NULL, 0) < 0 ? -errno : 0;
}
