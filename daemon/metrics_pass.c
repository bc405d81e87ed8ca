#include "daemon/metrics_pass.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "daemon/metrics_proc.h"
#include "daemon/tree_proc.h"

/* With more processes than this in all trees, descriptors, I/O and switches of a run are only read in one
 * pass of SLOW_EVERY: they cost three times as much as the rest. */
#define FEW        16
#define SLOW_EVERY 10
#define PSS_MAX    256 /* processes of a tree that are asked for their PSS */

/* 48 bytes, for each process of the system. */
struct seen {
    pid_t pid, ppid;
    uint64_t start_ticks;
    uint64_t run;         /* 0 = of none */
    uint32_t own, waited; /* ticks */
    uint32_t rss_pages, threads;
    bool resolved, known; /* `run` is right; it was there in the last pass */
    uint32_t reaped;      /* ticks of its children that are gone since the last pass, as known then */
};

struct table {
    struct seen *v;
    size_t n, cap;
};

struct metrics_pass {
    int proc;
    char *root;
    struct table now, last;
    struct seen **members; /* of all trees, by run */
    size_t n_members, members_cap;
    uint64_t last_ms; /* monotonic; 0 = no pass yet */
    unsigned count;   /* of passes */
    long hz, page;
};

struct metrics_pass *metrics_pass_new(const char *proc_root)
{
    struct metrics_pass *m = xcalloc(1, sizeof(*m));

    m->root = xstrdup(proc_root);
    m->proc = open(proc_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    m->hz = sysconf(_SC_CLK_TCK);
    m->page = sysconf(_SC_PAGESIZE);
    return m;
}

void metrics_pass_free(struct metrics_pass *m)
{
    if (!m)
        return;
    if (m->proc >= 0)
        close(m->proc);
    free(m->now.v);
    free(m->last.v);
    free(m->members);
    free(m->root);
    free(m);
}

static int by_pid(const void *a, const void *b)
{
    pid_t x = ((const struct seen *)a)->pid, y = ((const struct seen *)b)->pid;

    return x < y ? -1 : x > y;
}

static int root_by_pid(const void *a, const void *b)
{
    pid_t x = ((const struct metrics_root *)a)->pid, y = ((const struct metrics_root *)b)->pid;

    return x < y ? -1 : x > y;
}

static struct seen *find(const struct table *t, pid_t pid)
{
    struct seen key = {.pid = pid};

    return t->n ? bsearch(&key, t->v, t->n, sizeof(*t->v), by_pid) : NULL;
}

static struct seen *find_same(const struct table *t, const struct seen *s)
{
    struct seen *other = find(t, s->pid);

    return other && other->start_ticks == s->start_ticks ? other : NULL;
}

static uint32_t cut(uint64_t v)
{
    return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static void add(struct table *t, const struct metrics_stat *st)
{
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap + t->cap / 2 : 256;
        t->v = xrealloc(t->v, t->cap * sizeof(*t->v));
    }
    t->v[t->n++] = (struct seen){.pid = st->pid,
                                 .ppid = st->ppid,
                                 .start_ticks = st->start_ticks,
                                 .own = cut(st->own),
                                 .waited = cut(st->waited),
                                 .rss_pages = cut(st->rss_pages),
                                 .threads = st->threads};
}

static int read_all(struct metrics_pass *m)
{
    bool sorted = true;
    struct dirent *d;
    DIR *dir = opendir(m->root);

    if (!dir)
        return -errno;
    m->now.n = 0;
    while ((d = readdir(dir))) {
        struct metrics_stat st;
        int rc;

        if (d->d_name[0] < '1' || d->d_name[0] > '9')
            continue;
        rc = metrics_read_stat(m->proc, (pid_t)atoi(d->d_name), &st);
        if (rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM) {
            /* Not gone: else all that it ever used would be new in the next pass. */
            closedir(dir);
            return rc;
        }
        if (rc < 0 || st.dead)
            continue;
        if (m->now.n && m->now.v[m->now.n - 1].pid > st.pid)
            sorted = false;
        add(&m->now, &st);
    }
    closedir(dir);
    if (!sorted)
        qsort(m->now.v, m->now.n, sizeof(*m->now.v), by_pid);
    return 0;
}

struct look {
    struct metrics_pass *m;
    const struct tree_ctx *ctx;
    bool foreign;
    struct metrics_root *roots;
    size_t n;
};

static struct metrics_root *root_of(const struct look *l, const struct seen *s)
{
    struct metrics_root key = {.pid = s->pid}, *r;

    r = l->n ? bsearch(&key, l->roots, l->n, sizeof(key), root_by_pid) : NULL;
    return r && r->start_ticks == s->start_ticks ? r : NULL;
}

/* Who has a parent that is of no run: was it of one in the last pass, or does its environment say so? That is
 * read once in its life. */
static uint64_t run_of_orphan(const struct look *l, const struct seen *s, const struct seen *was)
{
    uint64_t run;
    uint32_t proc;

    if (was)
        return was->run;
    if (s->ppid == l->ctx->keeper || s->ppid == 1 || l->foreign)
        return tree_proc_claims(s->pid, l->ctx, &run, &proc) ? run : 0;
    return 0;
}

/* By the chain of parents. Pids that are used again while we read could make a ring: each is entered once. */
static uint64_t resolve(const struct look *l, struct seen *s)
{
    const struct seen *was;
    struct metrics_root *root;
    struct seen *parent;

    if (s->resolved)
        return s->run;
    s->resolved = true;
    s->run = 0;
    if (s->pid == l->ctx->keeper || s->pid == l->ctx->engine || s->pid <= 1)
        return 0;
    root = root_of(l, s);
    if (root)
        return s->run = root->run;
    parent = find(&l->m->now, s->ppid);
    if (parent && parent->start_ticks <= s->start_ticks)
        s->run = resolve(l, parent);
    if (!s->run) {
        was = find_same(&l->m->last, s);
        s->run = run_of_orphan(l, s, was);
    }
    return s->run;
}

/*
 * The CPU time of a child that has ended goes to who waited for it. What of it was counted already, when the
 * child was alive, must not be counted again.
 */
static void credit_gone(struct metrics_pass *m)
{
    for (size_t i = 0; i < m->last.n; i++) {
        const struct seen *gone = &m->last.v[i], *up = gone;
        struct seen *heir = NULL;

        if (!gone->run || find_same(&m->now, gone))
            continue;
        for (int depth = 0; depth < 64 && up && !heir; depth++) {
            up = find(&m->last, up->ppid);
            heir = up && up->run == gone->run ? find_same(&m->now, up) : NULL;
        }
        if (heir)
            heir->reaped = cut((uint64_t)heir->reaped + gone->own + gone->waited);
    }
}

/* Ticks since the last pass, or of its whole life for one that is new. */
static uint64_t spent(const struct metrics_pass *m, struct seen *s)
{
    const struct seen *was = find_same(&m->last, s);
    uint64_t own, waited;

    s->known = was != NULL;
    if (!was)
        return (uint64_t)s->own + s->waited;
    own = s->own > was->own ? s->own - was->own : 0;
    waited = s->waited > was->waited ? s->waited - was->waited : 0;
    return own + (waited > s->reaped ? waited - s->reaped : 0);
}

/* What is added up for one run. */
struct sum {
    uint64_t ticks, rss_pages, pss;
    uint64_t read_bytes, written, switches, involuntary;
    uint32_t processes, threads, fds;
    bool slow;
};

static void add_slow(const struct metrics_pass *m, pid_t pid, struct sum *sum)
{
    uint64_t a, b;

    sum->fds += metrics_count_fds(m->proc, pid);
    if (metrics_read_io(m->proc, pid, &a, &b)) {
        sum->read_bytes += a;
        sum->written += b;
    }
    if (metrics_read_switches(m->proc, pid, &a, &b)) {
        sum->switches += a;
        sum->involuntary += b;
    }
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void finish(const struct metrics_pass *m, struct metrics_root *r, const struct sum *sum,
                   uint64_t wall_ms, uint64_t mono_ms)
{
    struct metrics_sample *s = &r->sample;
    /* At the first look at a run: since its start. */
    uint64_t span = s->time_ms && m->last_ms ? mono_ms - m->last_ms : wall_ms - r->started_ms;

    if (!s->time_ms && wall_ms < r->started_ms)
        span = 0;
    if (span)
        s->cpu_percent = (double)sum->ticks * 1000.0 * 100.0 / (double)m->hz / (double)span;
    s->time_ms = wall_ms;
    s->rss_bytes = sum->rss_pages * (uint64_t)m->page;
    s->processes = sum->processes;
    s->threads = sum->threads;
    if (sum->pss)
        s->pss_bytes = sum->pss;
    if (!sum->slow)
        return;
    s->fds = sum->fds;
    /* Less than before is what went with a process that nobody waited for. */
    s->read_bytes = larger(s->read_bytes, sum->read_bytes);
    s->write_bytes = larger(s->write_bytes, sum->written);
    s->switches = larger(s->switches, sum->switches);
    s->switches_involuntary = larger(s->switches_involuntary, sum->involuntary);
}

static int seen_by_run(const void *a, const void *b)
{
    const struct seen *x = *(struct seen *const *)a, *y = *(struct seen *const *)b;

    return x->run < y->run ? -1 : x->run > y->run ? 1 : by_pid(x, y);
}

static void sort_members(struct metrics_pass *m)
{
    if (m->members_cap < m->now.n) {
        m->members_cap = m->now.cap;
        m->members = xrealloc(m->members, m->members_cap * sizeof(struct seen *));
    }
    m->n_members = 0;
    for (size_t i = 0; i < m->now.n; i++)
        if (m->now.v[i].run)
            m->members[m->n_members++] = &m->now.v[i];
    if (m->n_members)
        qsort(m->members, m->n_members, sizeof(struct seen *), seen_by_run);
}

static void count_run(struct metrics_pass *m, struct metrics_root *r, bool slow, uint64_t wall_ms,
                      uint64_t mono_ms)
{
    struct seen **members = m->members;
    size_t n = m->n_members;
    struct sum sum = {.slow = slow || !r->sample.time_ms};
    size_t low = 0, high = n;

    while (low < high) { /* the first of the run */
        size_t mid = (low + high) / 2;

        if (members[mid]->run < r->run)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < n && members[low]->run == r->run; low++) {
        struct seen *s = members[low];

        sum.processes++;
        sum.threads += s->threads;
        sum.rss_pages += s->rss_pages;
        sum.ticks += spent(m, s);
        if (sum.slow)
            add_slow(m, s->pid, &sum);
        if (r->want_pss && sum.processes <= PSS_MAX)
            sum.pss += metrics_read_pss(m->proc, s->pid);
    }
    finish(m, r, &sum, wall_ms, mono_ms);
}

int metrics_pass_run(struct metrics_pass *m, const struct tree_ctx *ctx, bool foreign,
                     struct metrics_root *roots, size_t n, uint64_t wall_ms, uint64_t mono_ms)
{
    const struct look look = {.m = m, .ctx = ctx, .foreign = foreign, .roots = roots, .n = n};
    struct table last = m->last;
    int rc;

    if (m->proc < 0)
        m->proc = open(m->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rc = m->proc < 0 ? -errno : read_all(m);
    if (rc < 0)
        return rc;
    if (n)
        qsort(roots, n, sizeof(*roots), root_by_pid);
    for (size_t i = 0; i < m->now.n; i++)
        resolve(&look, &m->now.v[i]);
    credit_gone(m);
    sort_members(m);
    for (size_t i = 0; i < n; i++)
        count_run(m, &roots[i], m->n_members <= FEW || (roots[i].run + m->count) % SLOW_EVERY == 0, wall_ms,
                  mono_ms);
    m->last = m->now;
    m->now = last;
    m->last_ms = mono_ms;
    m->count++;
    return 0;
}

uint64_t metrics_pass_pss(const struct metrics_pass *m, uint64_t run)
{
    uint64_t pss = 0;
    unsigned n = 0;

    for (size_t i = 0; run && i < m->last.n && n < PSS_MAX; i++) {
        if (m->last.v[i].run != run)
            continue;
        pss += metrics_read_pss(m->proc, m->last.v[i].pid);
        n++;
    }
    return pss;
}
