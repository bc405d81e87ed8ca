/* SIGKILL for a whole tree, also for one that forks faster than it is killed. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/mem.h"
#include "daemon/tree_proc.h"

#define KILL_LIMIT_MS 2000u
#define KILL_QUIET_MS 500u /* nothing has changed for so long: who lives now sleeps uninterruptibly */
#define STOP_ROUNDS   64

static void pause_ms(unsigned ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&ts, NULL);
}

/* The members that have been sent SIGSTOP. */
struct stopped {
    struct tree_member *v;
    size_t n, cap;
};

static bool stop_once(struct stopped *s, const struct tree_member *m)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].pid == m->pid && s->v[i].start_ticks == m->start_ticks)
            return false;
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 32;
        s->v = xrealloc(s->v, s->cap * sizeof(*s->v));
    }
    s->v[s->n++] = *m;
    tree_signal_member(m, SIGSTOP);
    return true;
}

/* Freezes the tree: parents before children, again and again until a look finds nobody new. A fork that was
 * under way while its parent was being stopped shows up in the next look. */
static int freeze(tree_scan_fn scan, const struct tree_ctx *ctx, const struct tree_run *run,
                  struct stopped *s, struct tree_member **out)
{
    int n = 0;

    *out = NULL;
    for (int round = 0; round < STOP_ROUNDS; round++) {
        bool news = false;

        free(*out);
        n = scan(ctx, run, out);
        for (int i = 0; i < n; i++)
            news |= stop_once(s, &(*out)[i]);
        if (!news)
            break;
    }
    return n;
}

int tree_kill_by(tree_scan_fn scan, const struct tree_ctx *ctx, const struct tree_run *run)
{
    uint64_t begin = clock_mono_ms(), changed = begin;
    struct stopped stopped = {0};
    unsigned wait = 1;
    int last = -1, n;

    for (;;) {
        size_t known = stopped.n;
        struct tree_member *members;
        uint64_t now;

        n = freeze(scan, ctx, run, &stopped, &members);
        for (int i = 0; i < n; i++)
            tree_signal_member(&members[i], SIGKILL);
        free(members);
        now = clock_mono_ms();
        if (n != last || stopped.n != known)
            changed = now;
        last = n;
        if (n <= 0 || now - begin >= KILL_LIMIT_MS || now - changed >= KILL_QUIET_MS)
            break;
        /* The killed take a moment to go. */
        pause_ms(wait);
        wait = wait < 16 ? wait * 2 : 20;
    }
    free(stopped.v);
    return n;
}

int tree_kill(const struct tree_ctx *ctx, const struct tree_run *run)
{
    struct tree_member *rest;
    int n = tree_kill_by(tree_scan_any, ctx, run);

    if (n != 0)
        return n;
    /* The lists of children only know who is below the keeper. Before a tree is called empty, all of /proc
     * is asked once: a member may have been adopted by another subreaper. */
    n = tree_scan(ctx, run, &rest);
    free(rest);
    return n > 0 ? tree_kill_by(tree_scan, ctx, run) : n;
}
