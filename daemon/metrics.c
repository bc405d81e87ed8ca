/* The loop's side: who is to be looked at, once a second, and what came of it. */
#include "daemon/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/engine.h"
#include "daemon/metrics_host.h"
#include "daemon/metrics_pass.h"
#include "daemon/metrics_proc.h"

#define EVERY_MS 1000u

TAILQ_HEAD(observer_list, metrics_observer);

struct metrics {
    struct engine *engine; /* NULL once freed */
    uv_timer_t timer;
    bool timer_closed;
    struct observer_list observers;
    struct metrics_host host;

    /* Of the pass that is under way: the thread's until after_pass. */
    uv_work_t work;
    bool passing;
    int rc, told_rc;
    struct tree_ctx ctx;
    bool foreign;
    struct metrics_root *roots;
    size_t n, cap;
    struct metrics_pass *pass;
    int proc;
    struct metrics_host host_now;
    struct metrics_host_last host_last;
};

const struct metrics_sample *metrics_of(const struct process *p)
{
    static const struct metrics_sample none;
    const struct runtime *r = runtime_of(p);

    return r && p->run && r->sampled_run == p->run && !p->exited ? &r->sample : &none;
}

const struct metrics_host *metrics_host(const struct metrics *m)
{
    return &m->host;
}

void metrics_observe(struct metrics *m, struct metrics_observer *o)
{
    TAILQ_INSERT_TAIL(&m->observers, o, entry);
}

void metrics_unobserve(struct metrics *m, struct metrics_observer *o)
{
    TAILQ_REMOVE(&m->observers, o, entry);
}

void metrics_want_pss(struct metrics *m, struct process *p)
{
    (void)m;
    runtime_of(p)->want_pss = true;
}

void metrics_shown(const struct process *p, double *cpu_percent, uint64_t *bytes)
{
    const struct metrics_sample *s = metrics_of(p);
    uint64_t now = clock_wall_ms();
    struct metrics_stat st;

    *cpu_percent = s->cpu_percent;
    *bytes = s->rss_bytes;
    if (s->time_ms || p->pid <= 0 || p->exited)
        return;
    _cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0 || metrics_read_stat(proc, p->pid, &st) < 0 || st.start_ticks != p->start_ticks)
        return;
    *bytes = st.rss_pages * (uint64_t)sysconf(_SC_PAGESIZE);
    if (now > p->started_ms)
        *cpu_percent =
            (double)st.own * 1000.0 * 100.0 / (double)sysconf(_SC_CLK_TCK) / (double)(now - p->started_ms);
}

static void metrics_release(struct metrics *m)
{
    if (m->passing || !m->timer_closed)
        return;
    metrics_pass_free(m->pass);
    if (m->proc >= 0)
        close(m->proc);
    free(m->roots);
    free(m);
}

static void work_cb(uv_work_t *work)
{
    struct metrics *m = work->data;
    uint64_t wall = clock_wall_ms(), mono = clock_mono_ms();

    m->rc = metrics_pass_run(m->pass, &m->ctx, m->foreign, m->roots, m->n, wall, mono);
    if (m->proc >= 0)
        metrics_host_read(m->proc, &m->host_last, &m->host_now, wall, mono);
}

static void take_samples(struct metrics *m)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct metrics_root *root = &m->roots[i];
        struct process *p = supervisor_by_run(m->engine->sup, root->run);
        struct runtime *r = p ? runtime_of(p) : NULL;

        if (!r || p->run != root->run)
            continue;
        r->sample = root->sample;
        r->sampled_run = root->run;
        if (root->want_pss)
            r->want_pss = false;
    }
}

static void tell(struct metrics *m)
{
    struct metrics_observer *o, *next;

    for (o = TAILQ_FIRST(&m->observers); o; o = next) {
        next = TAILQ_NEXT(o, entry);
        o->sampled(o->arg);
    }
}

static void after_pass(uv_work_t *work, int status)
{
    struct metrics *m = work->data;
    int rc = status < 0 ? status : m->rc;

    m->passing = false;
    if (!m->engine) {
        metrics_release(m);
        return;
    }
    if (rc < 0 && rc != m->told_rc)
        log_error("cannot look at what the processes use: %s; tried again every second", strerror(-rc));
    m->told_rc = rc;
    if (rc < 0)
        return;
    m->host = m->host_now;
    take_samples(m);
    tell(m);
}

static void add_root(struct metrics *m, const struct process *p)
{
    const struct runtime *r = runtime_of(p);
    const struct hold *hold;

    if (!p->run || p->pid <= 0 || !p->start_ticks || p->exited || !r)
        return;
    if (m->n == m->cap) {
        m->cap = m->cap ? m->cap + m->cap / 2 : 64;
        m->roots = xrealloc(m->roots, m->cap * sizeof(*m->roots));
    }
    m->roots[m->n++] = (struct metrics_root){.run = p->run,
                                             .pid = p->pid,
                                             .start_ticks = p->start_ticks,
                                             .started_ms = p->started_ms,
                                             .want_pss = r->want_pss,
                                             .app = p->app->id,
                                             .instance = p->instance,
                                             .in_slot = p->role == ROLE_SLOT,
                                             .sample = *metrics_of(p)};
    hold = holds_get(&m->engine->holds, p->run);
    m->foreign |= hold ? hold->foreign : p->run < m->engine->foreign_below;
}

static void on_timer(uv_timer_t *timer)
{
    struct metrics *m = timer->data;
    struct engine *e = m->engine;
    struct process *p;

    if (m->passing || e->restore)
        return; /* a pass that takes longer than a second is never overtaken by the next */
    m->n = 0;
    m->foreign = false;
    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        add_root(m, p);
    }
    TAILQ_FOREACH (p, supervisor_shadows(e->sup), entry) {
        add_root(m, p);
    }
    if (!m->n)
        return;
    m->ctx = engine_tree_ctx(e);
    m->passing = uv_queue_work(&e->loop, &m->work, work_cb, after_pass) == 0;
}

struct metrics *metrics_new(struct engine *e)
{
    struct metrics *m = xcalloc(1, sizeof(*m));

    m->engine = e;
    TAILQ_INIT(&m->observers);
    m->work.data = m;
    m->pass = metrics_pass_new("/proc");
    m->proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uv_timer_init(&e->loop, &m->timer);
    m->timer.data = m;
    uv_timer_start(&m->timer, on_timer, EVERY_MS, EVERY_MS);
    return m;
}

static void timer_closed(uv_handle_t *handle)
{
    struct metrics *m = handle->data;

    m->timer_closed = true;
    metrics_release(m);
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    m->engine = NULL;
    uv_close((uv_handle_t *)&m->timer, timer_closed);
}
