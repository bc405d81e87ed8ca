/* The loop's side of the store: queues copies for the thread, and calls back with what it answers. */
#include "daemon/store.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/mem.h"
#include "common/plog.h"
#include "daemon/store_int.h"
#include "daemon/store_table.h"

struct store_tuning store_tuning = {
    .queue_max = 20000,
    .retry_ms = 1000,
    .retry_soonest_ms = 100,
    .backup_idle_ms = 10000,
    .backup_first_ms = 1000,
    .backup_every_ms = 300000,
    .look_ms = 5000,
    .close_ms = 5000,
};

static void push(struct store *s, struct store_op *op)
{
    bool waited_for = !store_op_is_write(op);
    bool wake;

    pthread_mutex_lock(&s->lock);
    /* A thread that gathers company for the first row is not to be woken for each that follows. */
    wake = TAILQ_EMPTY(&s->incoming.ops) || (waited_for && !s->urgent);
    s->urgent = s->urgent || waited_for;
    store_queue_push(&s->incoming, op);
    s->lost += store_queue_shrink(&s->incoming, store_tuning.queue_max);
    if (wake)
        pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

/* ---- ids ---- */

/* The next block is asked for when half of the one in use is gone, with a whole one still in reserve. */
static uint64_t next_id(struct store *s, struct id_block *b, uint64_t block, enum store_meta_key key)
{
    uint64_t id = b->next++;

    if (b->reserved < b->next + block + block / 2) {
        b->reserved = b->next + 2 * block;
        push(s, store_op_meta(key, b->reserved));
    }
    return id;
}

uint64_t store_next_run(struct store *s)
{
    return next_id(s, &s->runs, RUN_BLOCK, META_NEXT_RUN);
}

uint64_t store_next_app(struct store *s)
{
    return next_id(s, &s->apps, APP_BLOCK, META_NEXT_APP);
}

void store_run_seen(struct store *s, uint64_t run)
{
    if (!s->ids_known) {
        s->run_floor = run >= s->run_floor ? run + 1 : s->run_floor;
        return;
    }
    if (run < s->runs.next)
        return;
    s->runs.next = run;
    store_next_run(s); /* steps over it, and reserves when needed */
}

/* ---- rows ---- */

void store_put_app(struct store *s, const struct store_app *app)
{
    push(s, store_op_app(app));
}

void store_del_app(struct store *s, uint64_t id)
{
    struct store_op *op = store_op_plain(OP_DEL_APP);

    op->app.id = id;
    push(s, op);
}

void store_put_process(struct store *s, const struct store_process *p)
{
    push(s, store_op_process(p));
}

void store_del_process(struct store *s, uint32_t id)
{
    struct store_op *op = store_op_plain(OP_DEL_PROCESS);

    op->process.id = id;
    push(s, op);
}

void store_put_run(struct store *s, const struct store_run *run)
{
    push(s, store_op_run(run));
}

void store_put_event(struct store *s, const struct store_event *ev)
{
    push(s, store_op_event(ev));
}

void store_set_ended(struct store *s, enum store_end how)
{
    push(s, store_op_meta(META_STOPPED, how));
}

void store_put_saved(struct store *s, const char *key, const char *value)
{
    const struct store_text t = {key, value};

    push(s, store_op_text(OP_PUT_SAVED, &t));
}

void store_put_setting(struct store *s, const char *key, const char *value)
{
    const struct store_text t = {key, value};

    push(s, store_op_text(OP_PUT_SETTING, &t));
}

void store_commit(struct store *s, store_done_cb done, void *arg)
{
    struct store_op *op = store_op_plain(OP_COMMIT);

    op->commit.done = done;
    op->commit.arg = arg;
    push(s, op);
}

void store_get_runs(struct store *s, uint32_t process, unsigned limit, store_runs_cb cb, void *arg)
{
    struct store_op *op = store_op_plain(OP_GET_RUNS);

    op->get_runs.process = process;
    op->get_runs.limit = limit;
    op->get_runs.cb = cb;
    op->get_runs.arg = arg;
    push(s, op);
}

void store_get_events(struct store *s, uint64_t since_ms, unsigned limit, store_events_cb cb, void *arg)
{
    struct store_op *op = store_op_plain(OP_GET_EVENTS);

    op->get_events.since_ms = since_ms;
    op->get_events.limit = limit;
    op->get_events.cb = cb;
    op->get_events.arg = arg;
    push(s, op);
}

/* ---- answers ---- */

static void result_free(struct store_result *r)
{
    if (!r)
        return;
    store_image_free(&r->image);
    table_free_rows(&store_table_run, r->runs, r->n_runs);
    table_free_rows(&store_table_event, r->events, r->n_events);
    free(r->op);
    free(r);
}

static void call_opened(struct store *s, struct store_result *r)
{
    if (r->rc < 0) {
        s->opened(s->arg, r->rc, NULL, r->msg);
        return;
    }
    s->runs = (struct id_block){r->image.next_run, r->image.next_run + 2 * RUN_BLOCK};
    s->apps = (struct id_block){r->image.next_app, r->image.next_app + 2 * APP_BLOCK};
    s->ids_known = true;
    if (s->run_floor)
        store_run_seen(s, s->run_floor - 1);
    r->image.next_run = s->runs.next;
    r->image.trouble = r->msg[0] ? r->msg : NULL;
    s->opened(s->arg, 0, &r->image, r->msg);
}

static void free_store(struct store *s)
{
    struct store_result *r;

    while ((r = STAILQ_FIRST(&s->results))) {
        STAILQ_REMOVE_HEAD(&s->results, entry);
        result_free(r);
    }
    store_queue_clear(&s->incoming);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s->path);
    free(s->backup_path);
    free(s);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct store *s = h->data;
    void (*closed)(void *arg) = s->closed;
    void *arg = s->closed_arg;

    if (--s->open_handles)
        return;
    /* An abandoned thread still uses the store: it is left to the end of the program. */
    if (!s->abandoned)
        free_store(s);
    closed(arg);
}

static void close_handles(struct store *s)
{
    uv_close((uv_handle_t *)&s->async, on_handle_closed);
    uv_close((uv_handle_t *)&s->close_timer, on_handle_closed);
}

static void deliver(struct store *s, struct store_result *r)
{
    switch (r->kind) {
    case RESULT_OPENED:
        call_opened(s, r);
        break;
    case RESULT_COMMIT:
        r->op->commit.done(r->op->commit.arg, r->rc, r->msg[0] ? r->msg : NULL);
        break;
    case RESULT_RUNS:
        r->op->get_runs.cb(r->op->get_runs.arg, r->rc, r->runs, r->n_runs);
        break;
    case RESULT_EVENTS:
        r->op->get_events.cb(r->op->get_events.arg, r->rc, r->events, r->n_events);
        break;
    case RESULT_RESYNC:
        if (!s->closed)
            s->resync(s->arg, r->msg);
        break;
    case RESULT_FINISHED:
        pthread_join(s->thread, NULL);
        close_handles(s);
        break;
    }
}

static void on_async(uv_async_t *async)
{
    struct store *s = async->data;
    struct store_result_list list = STAILQ_HEAD_INITIALIZER(list);
    struct store_result *r;

    pthread_mutex_lock(&s->lock);
    STAILQ_CONCAT(&list, &s->results);
    pthread_mutex_unlock(&s->lock);
    /* RESULT_FINISHED is the last of all, so that nothing follows the closing of the handles. */
    while ((r = STAILQ_FIRST(&list))) {
        STAILQ_REMOVE_HEAD(&list, entry);
        deliver(s, r);
        result_free(r);
    }
}

/* ---- open and close ---- */

static void start_thread(struct store *s)
{
    sigset_t all, old;
    int rc;

    /* Signals are the loop's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&s->thread, NULL, store_thread_main, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc == 0)
        return;
    log_error("cannot start the thread of state.db: %s", strerror(rc));
    abort(); /* as when memory has run out: the keeper starts a new engine */
}

struct store *store_open(uv_loop_t *loop, const char *path, store_opened_cb opened, store_resync_cb resync,
                         void *arg)
{
    struct store *s = xcalloc(1, sizeof(*s));
    pthread_condattr_t attr;

    s->loop = loop;
    s->opened = opened;
    s->resync = resync;
    s->arg = arg;
    s->path = xstrdup(path);
    s->backup_path = xasprintf("%s.bak", path);
    s->runs.next = s->apps.next = 1;
    store_queue_init(&s->incoming);
    store_queue_init(&s->pending);
    STAILQ_INIT(&s->results);
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* deadlines are clock_mono_ms */
    pthread_cond_init(&s->wake, &attr);
    pthread_condattr_destroy(&attr);
    uv_async_init(loop, &s->async, on_async);
    uv_timer_init(loop, &s->close_timer);
    s->async.data = s->close_timer.data = s;
    s->open_handles = 2;
    start_thread(s);
    return s;
}

/* The thread hangs in the disk. It must not touch the loop any more, and nobody joins it. */
static void on_close_timer(uv_timer_t *timer)
{
    struct store *s = timer->data;
    struct store_result *r;

    pthread_mutex_lock(&s->lock);
    STAILQ_FOREACH(r, &s->results, entry)
    if (r->kind == RESULT_FINISHED)
        break;
    s->abandoned = r == NULL;
    pthread_mutex_unlock(&s->lock);
    if (!s->abandoned)
        return; /* it has just ended: the loop is about to hear of it */
    log_error("state.db does not answer; the last changes may not be stored");
    pthread_detach(s->thread);
    close_handles(s);
}

void store_close(struct store *s, void (*closed)(void *arg), void *arg)
{
    s->closed = closed;
    s->closed_arg = arg;
    uv_timer_start(&s->close_timer, on_close_timer, store_tuning.close_ms, 0);
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}
