/* The loop's side: who is to be looked at, once a second, and what came of it. */
#include "daemon/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/engine.h"
#include "daemon/metrics_ask.h"
#include "daemon/metrics_host.h"
#include "daemon/metrics_pass.h"
#include "daemon/metrics_proc.h"

#define EVERY_MS 1000u

TAILQ_HEAD(observer_list, metrics_observer);

struct metrics {
    struct engine *engine; /* NULL once freed */
    uv_timer_t timer;
    bool timer_closed, ending;
    struct observer_list observers;
    struct metrics_host host;

    /* Of the pass that is under way: the thread's until after_pass. */
    uv_work_t work;
    bool passing;
    unsigned asking; /* questions and writes under way */
    bool full, writing, host_known;
    int rc, told_rc;
    int store_rc, told_store_rc;
    struct err store_err;
    struct tree_ctx ctx;
    bool foreign;
    struct metrics_root *roots;
    size_t n, cap;
    pthread_mutex_t lock; /* of the pass's tables, which questions use as well */
    struct metrics_pass *pass;
    struct metrics_store *store;
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
    metrics_pass_free(m->pass);
    pthread_mutex_destroy(&m->lock);
    if (m->proc >= 0)
        close(m->proc);
    free(m->roots);
    free(m);
}

static void keep(struct metrics *m, uint64_t time)
{
    const struct metrics_host *h = &m->host_now;

    m->full = metrics_store_roll(m->store, time);
    for (size_t i = 0; i < m->n; i++) {
        const struct metrics_root *r = &m->roots[i];

        if (r->in_slot)
            metrics_store_add(m->store, (struct metrics_key){r->app, r->instance}, time,
                              r->sample.cpu_percent, r->sample.rss_bytes);
    }
    if (m->host_known) /* CPU needs two looks */
        metrics_store_add(m->store, (struct metrics_key){0}, time, h->cpu_percent,
                          h->memory_total - h->memory_available);
}

static void work_cb(uv_work_t *work)
{
    struct metrics *m = work->data;
    uint64_t wall = clock_wall_ms(), mono = clock_mono_ms();

    if (m->ending) { /* the last rows; nothing is on the loop any more that needs them */
        metrics_store_free(m->store);
        m->store = NULL;
        return;
    }
    pthread_mutex_lock(&m->lock);
    m->rc = metrics_pass_run(m->pass, &m->ctx, m->foreign, m->roots, m->n, wall, mono);
    if (m->proc < 0)
        m->proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    m->host_known = m->host_last.mono_ms != 0;
    if (m->proc >= 0)
        metrics_host_read(m->proc, &m->host_last, &m->host_now, wall, mono);
    pthread_mutex_unlock(&m->lock);
    if (m->rc == 0)
        keep(m, wall / 1000);
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

static void write_history(struct metrics *m, void *arg)
{
    (void)arg;
    m->store_rc = metrics_store_write(m->store, &m->store_err);
}

static void history_written(void *arg, bool failed)
{
    struct metrics *m = arg;

    m->writing = false;
    if (failed)
        return; /* no thread: the next pass tries again */
    if (m->store_rc < 0 && m->store_rc != m->told_store_rc)
        log_error("%s; the history of metrics has a gap", m->store_err.msg);
    m->told_store_rc = m->store_rc;
}

static void after_pass(uv_work_t *work, int status);

/* The engine has ended: first the last rows are written, then all goes. */
static void end(struct metrics *m)
{
    if (m->passing || m->asking || !m->timer_closed)
        return;
    if (!m->ending) {
        m->ending = true;
        m->passing = uv_queue_work(m->timer.loop, &m->work, work_cb, after_pass) == 0;
        if (m->passing)
            return;
        metrics_store_free(m->store);
    }
    metrics_release(m);
}

static void after_pass(uv_work_t *work, int status)
{
    struct metrics *m = work->data;
    int rc = status < 0 ? status : m->rc;

    m->passing = false;
    if (!m->engine) {
        end(m);
        return;
    }
    if (rc < 0 && rc != m->told_rc)
        log_error("cannot look at what the processes use: %s; tried again every second", strerror(-rc));
    m->told_rc = rc;
    if (rc < 0)
        return;
    m->host = m->host_now;
    take_samples(m);
    if (m->full && !m->writing) {
        m->writing = true;
        metrics_ask(m, write_history, history_written, m);
    }
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
    _cleanup_free_ char *db = home_file(&e->home, HOME_METRICS);
    m->pass = metrics_pass_new("/proc");
    m->store = metrics_store_new(db);
    pthread_mutex_init(&m->lock, NULL);
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
    end(m);
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    m->engine = NULL;
    uv_close((uv_handle_t *)&m->timer, timer_closed);
}

struct question {
    struct metrics *m;
    uv_work_t work;
    void (*run)(struct metrics *m, void *arg);
    void (*done)(void *arg, bool failed);
    void *arg;
};

static void question_cb(uv_work_t *work)
{
    struct question *q = work->data;

    q->run(q->m, q->arg);
}

static void after_question(uv_work_t *work, int status)
{
    struct question *q = work->data;
    struct metrics *m = q->m;

    q->done(q->arg, status < 0);
    free(q);
    m->asking--;
    if (!m->engine)
        end(m);
}

void metrics_ask(struct metrics *m, void (*work)(struct metrics *m, void *arg),
                 void (*done)(void *arg, bool failed), void *arg)
{
    struct question *q = xcalloc(1, sizeof(*q));

    *q = (struct question){.m = m, .run = work, .done = done, .arg = arg};
    q->work.data = q;
    m->asking++;
    if (uv_queue_work(m->timer.loop, &q->work, question_cb, after_question) < 0)
        after_question(&q->work, -EAGAIN);
}

long metrics_history(struct metrics *m, struct metrics_key key, unsigned step, uint64_t from, uint64_t to,
                     struct metrics_point **out, struct err *e)
{
    return metrics_store_read(m->store, key, step, from, to, out, e);
}

uint64_t metrics_pss_now(struct metrics *m, uint64_t run)
{
    pthread_mutex_lock(&m->lock);
    uint64_t pss = metrics_pass_pss(m->pass, run);
    pthread_mutex_unlock(&m->lock);
    return pss;
}
