/* The log path as the engine sees it: opening, attaching runs, and the news from the writer thread. */
#include "daemon/logs.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/log_read.h"
#include "daemon/log_spool.h"
#include "logrotate/policy.h"

static unsigned bucket(uint64_t run)
{
    return (unsigned)(run % LOG_RUN_BUCKETS);
}

void log_stream_free(struct log_stream *s)
{
    LIST_REMOVE(s, by_run);
    log_intake_close(s);
    if (s->spool >= 0 && !s->lent)
        close(s->spool);
    free(s->app);
    free(s->date_format);
    free(s->rotate);
    free(s->gate.gaps);
    free(s->paths[0]);
    free(s->paths[1]);
    free(s);
}

static void stream_done(struct logs *l, struct log_stream *s)
{
    /* The loop's last news of the stream may have come after the writer was through with it. */
    pthread_mutex_lock(&l->lock);
    if (s->queued)
        STAILQ_REMOVE(&l->queue, s, log_stream, by_queue);
    s->queued = false;
    pthread_mutex_unlock(&l->lock);
    if (s->spool >= 0)
        atomic_fetch_sub(&l->used, atomic_load(&s->taken) - atomic_load(&s->released));
    s->writer_done = true;
    if (l->hooks.stream_done)
        l->hooks.stream_done(l->hooks.arg, s->run, s->kind);
    if (!s->poll_open)
        log_stream_free(s);
}

static void stopped(struct logs *l)
{
    struct log_msg *m;

    pthread_join(l->thread, NULL);
    l->joined = true;
    /* What was asked while it closed gets an answer too. */
    while ((m = STAILQ_FIRST(&l->msgs))) {
        STAILQ_REMOVE_HEAD(&l->msgs, next);
        if (m->type == LOG_MSG_LIMITS)
            log_limits_msg_free(m->what);
        if (m->type == LOG_MSG_BARRIER || m->type == LOG_MSG_WIPE || m->type == LOG_MSG_ROTATE)
            ((struct log_barrier *)m->what)->passed(m->what);
        else if (m->type == LOG_MSG_POLICY)
            free(m->what);
        free(m);
    }
    log_query_cancel(l);
}

static void dispatch(struct logs *l, struct log_event *e)
{
    struct log_barrier *barrier = e->what;
    struct log_sub *sub = e->what;

    switch (e->type) {
    case LOG_EV_DONE:
        stream_done(l, e->what);
        break;
    case LOG_EV_BARRIER:
        barrier->passed(barrier);
        break;
    case LOG_EV_SUB:
        if (!sub->dead && sub->search)
            log_search_start_live(sub->search);
        else if (!sub->dead)
            log_query_start(l, sub);
        break;
    case LOG_EV_UNSUB:
        sub->gone = true;
        log_live_gone(sub);
        break;
    case LOG_EV_TROUBLE:
        if (l->hooks.trouble)
            l->hooks.trouble(l->hooks.arg, e->what);
        else
            log_warn("logs: %s", (const char *)e->what);
        free(e->what);
        break;
    case LOG_EV_STOPPED:
        stopped(l);
        break;
    }
}

static void on_wake(uv_async_t *wake)
{
    struct logs *l = wake->data;
    STAILQ_HEAD(, log_event) events = STAILQ_HEAD_INITIALIZER(events);
    struct log_event *e;

    pthread_mutex_lock(&l->lock);
    STAILQ_CONCAT(&events, &l->events);
    pthread_mutex_unlock(&l->lock);
    while ((e = STAILQ_FIRST(&events))) {
        STAILQ_REMOVE_HEAD(&events, next);
        dispatch(l, e);
        free(e);
    }
    if (!l->closed)
        log_intake_resume(l);
    log_live_deliver(l);
    log_maybe_closed(l);
}

static void start_thread(struct logs *l)
{
    sigset_t all, old;
    int rc;

    /* Signals are the loop's. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    rc = pthread_create(&l->thread, NULL, log_writer_main, l);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        log_error("logs: cannot start the writer thread: %s", strerror(rc));
        abort(); /* without logs there is no engine; the keeper starts another */
    }
}

struct logs *logs_open(uv_loop_t *loop, const char *db_path, const struct logs_hooks *hooks)
{
    struct logs *l = xcalloc(1, sizeof *l);
    pthread_condattr_t attr;

    l->loop = loop;
    l->hooks = *hooks;
    l->db_path = xstrdup(db_path);
    fs_boot_id(l->boot);
    TAILQ_INIT(&l->paused);
    TAILQ_INIT(&l->resting);
    STAILQ_INIT(&l->tasks);
    STAILQ_INIT(&l->waiting);
    LIST_INIT(&l->searches);
    STAILQ_INIT(&l->msgs);
    STAILQ_INIT(&l->queue);
    STAILQ_INIT(&l->events);
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&l->cond, &attr);
    pthread_condattr_destroy(&attr);
    uv_async_init(loop, &l->wake, on_wake);
    l->wake.data = l;
    uv_timer_init(loop, &l->retry);
    l->retry.data = l;
    uv_timer_init(loop, &l->rest);
    l->rest.data = l;
    uv_timer_init(loop, &l->soon);
    l->soon.data = l;
    l->handles = 4;
    start_thread(l);
    return l;
}

static int make_spool(struct logs *l, struct log_stream *s)
{
    int fd = log_spool_new();

    if (fd < 0) {
        log_error("logs: cannot make a spool for run %llu: %s", (unsigned long long)s->run, strerror(-fd));
        return fd;
    }
    s->spool = fd;
    /* The keeper must hold it before the first byte goes in: from then on the pipe no longer has it. */
    if (l->hooks.spool_made)
        l->hooks.spool_made(l->hooks.arg, s->run, s->kind, fd);
    return 0;
}

static void take_spool(struct log_stream *s, int fd)
{
    int64_t taken = log_spool_taken(fd);

    s->spool = fd;
    s->handed = true;
    taken = taken < 0 ? 0 : taken;
    s->first = log_spool_first(fd, (uint64_t)taken, &s->first_page);
    atomic_store(&s->taken, (uint64_t)taken);
    atomic_store(&s->released, s->first);
    atomic_fetch_add(&s->l->used, (uint64_t)taken - s->first);
}

static void attach_stream(struct logs *l, const struct log_run *run, enum log_stream_kind kind, int pipe,
                          int spool)
{
    struct log_stream *s;
    const char *own = kind == LOG_OUT ? run->out_file : run->error_file;

    if (pipe < 0 && spool < 0)
        return;
    s = xcalloc(1, sizeof *s);
    s->l = l;
    s->run = run->run;
    s->kind = (uint8_t)kind;
    s->process = run->process;
    s->instance = run->instance;
    s->app = xstrdup(run->app ? run->app : "");
    s->date_format = xstrdup(run->date_format);
    s->paths[0] = xstrdup(own);
    s->paths[1] = xstrdup(run->log_file);
    s->uid = run->uid;
    s->gid = run->gid;
    s->pipe = pipe;
    s->spool = -1;
    s->attached_at = clock_mono_ms();
    s->disabled = run->disabled;
    s->no_rows = run->no_rows;
    s->json = run->json;
    s->lent = run->lent;
    if (run->rotate) {
        s->rotate = xmalloc(sizeof *s->rotate);
        *s->rotate = *run->rotate;
    }
    s->limits = run->limits;
    LIST_INSERT_HEAD(&l->runs[bucket(s->run)], s, by_run);
    if (spool >= 0 && !s->disabled)
        take_spool(s, spool);
    else if (spool >= 0 && !s->lent)
        close(spool);
    else if (!s->disabled && make_spool(l, s) < 0)
        s->disabled = true; /* no memory for logs: the app must at least not stand still */
    if (!s->disabled) {
        s->spool_inode = log_spool_inode(s->spool);
        log_attached(l, s);
    }
    log_intake_start(s);
}

void logs_attach(struct logs *l, const struct log_run *run, int out_fd, int err_fd, int spool_out,
                 int spool_err)
{
    attach_stream(l, run, LOG_OUT, out_fd, spool_out);
    attach_stream(l, run, LOG_ERR, err_fd, spool_err);
}

/* Both streams of a run; the next is taken first because ending one may free it. */
#define FOREACH_STREAM(s, next_, l, run_)                                                                    \
    for ((s) = LIST_FIRST(&(l)->runs[bucket(run_)]); (s) && ((next_) = LIST_NEXT(s, by_run), 1);             \
         (s) = (next_))                                                                                      \
        if ((s)->run == (run_) && !(s)->writer_done)

void logs_drain(struct logs *l, uint64_t run)
{
    struct log_stream *s, *next;

    FOREACH_STREAM(s, next, l, run)
    log_intake_take(s);
}

void logs_forget(struct logs *l, uint64_t run)
{
    struct log_stream *s, *next;

    FOREACH_STREAM(s, next, l, run)
    {
        log_intake_take(s);
        log_intake_end(s);
    }
}

void log_limits_msg_free(struct log_limits_msg *m)
{
    free(m->app);
    free(m);
}

void logs_limit_app(struct logs *l, const char *app, const struct log_limits *limits)
{
    struct log_limits_msg *m = xcalloc(1, sizeof *m);

    m->app = xstrdup(app);
    m->limits = *limits;
    log_post(l, LOG_MSG_LIMITS, m);
}

void logs_bound(struct logs *l, const struct log_bounds *bounds)
{
    struct log_limits_msg *m = xcalloc(1, sizeof *m);

    m->bounds = *bounds;
    log_post(l, LOG_MSG_LIMITS, m);
}

void logs_reopen(struct logs *l)
{
    log_post(l, LOG_MSG_REOPEN, NULL);
}

struct flush {
    struct log_barrier barrier;
    void (*done)(void *arg);
    void *arg;
};

static void flushed(struct log_barrier *b)
{
    struct flush *f = (struct flush *)b;

    f->done(f->arg);
    free(f);
}

void logs_flush(struct logs *l, void (*done)(void *arg), void *arg)
{
    struct flush *f = xcalloc(1, sizeof *f);

    f->barrier.passed = flushed;
    f->done = done;
    f->arg = arg;
    log_post(l, LOG_MSG_BARRIER, &f->barrier);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct logs *l = h->data;

    l->handles--;
    log_maybe_closed(l);
}

static void free_logs(struct logs *l)
{
    struct log_stream *s, *next;
    struct log_event *e;

    for (unsigned i = 0; i < LOG_RUN_BUCKETS; i++)
        for (s = LIST_FIRST(&l->runs[i]); s; s = next) {
            next = LIST_NEXT(s, by_run);
            log_stream_free(s);
        }
    log_search_free_all(l);
    log_live_close(l);
    while ((e = STAILQ_FIRST(&l->events))) {
        STAILQ_REMOVE_HEAD(&l->events, next);
        free(e);
    }
    if (l->reader)
        log_reader_close(l->reader);
    free(l->reader);
    pthread_cond_destroy(&l->cond);
    pthread_mutex_destroy(&l->lock);
    free(l->drops);
    for (size_t i = 0; i < l->n_ills; i++) {
        free(l->ills[i].path);
        free(l->ills[i].why);
    }
    free(l->ills);
    free(l->db_path);
    free(l);
}

void log_maybe_closed(struct logs *l)
{
    void (*closed)(void *arg) = l->closed;
    void *arg = l->closed_arg;

    if (!closed || !l->joined || l->running)
        return;
    if (!uv_is_closing((uv_handle_t *)&l->wake)) {
        uv_close((uv_handle_t *)&l->wake, on_handle_closed);
        uv_close((uv_handle_t *)&l->retry, on_handle_closed);
        uv_close((uv_handle_t *)&l->rest, on_handle_closed);
        uv_close((uv_handle_t *)&l->soon, on_handle_closed);
    }
    if (l->handles)
        return;
    free_logs(l);
    closed(arg);
}

void logs_close(struct logs *l, void (*closed)(void *arg), void *arg)
{
    struct log_stream *s, *next;

    l->closed = closed;
    l->closed_arg = arg;
    for (unsigned i = 0; i < LOG_RUN_BUCKETS; i++)
        for (s = LIST_FIRST(&l->runs[i]); s; s = next) {
            next = LIST_NEXT(s, by_run);
            log_intake_take(s);
            log_intake_stop(s);
        }
    log_post(l, LOG_MSG_STOP, NULL);
}
