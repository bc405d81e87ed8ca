/* Questions to logs.db: first the writer commits what was taken, then libuv's thread pool reads. The tasks
 * share one connection, so they run one at a time, each for a short while. */
#include <errno.h>

#include "common/mem.h"
#include "daemon/log_read.h"

struct log_job {
    struct log_task task;
    struct log_barrier barrier;
    struct logs *l;
    struct log_filter own;
    const struct log_filter *filter;
    uint64_t boundary;
    logs_lines_cb cb;
    void *arg;
    struct log_sub *sub; /* the history of a subscription, instead of `cb` */
    struct log_block block;
    int rc;
};

/* ---- tasks ---- */

static void run_next(struct logs *l);

static void on_work(uv_work_t *work)
{
    struct logs *l = work->data;

    l->running->work(l->running, l->reader, l->running_generation);
}

static void after_work(uv_work_t *work, int status)
{
    struct logs *l = work->data;
    struct log_task *t = l->running;

    l->running = NULL;
    if (l->reader->damaged && !l->joined)
        log_post(l, LOG_MSG_DAMAGE,
                 (void *)(uintptr_t)l->running_generation); /* NOLINT(performance-no-int-to-ptr) */
    l->reader->damaged = false;
    t->done(t, status);
    run_next(l);
    log_maybe_closed(l);
}

static void run_next(struct logs *l)
{
    struct log_task *t = STAILQ_FIRST(&l->tasks);

    if (l->running || !t)
        return;
    STAILQ_REMOVE_HEAD(&l->tasks, next);
    if (!l->reader)
        l->reader = xcalloc(1, sizeof *l->reader);
    l->running = t;
    l->running_generation = atomic_load(&l->db_generation);
    l->work.data = l;
    uv_queue_work(l->loop, &l->work, on_work, after_work);
}

void log_task_add(struct logs *l, struct log_task *t)
{
    STAILQ_INSERT_TAIL(&l->tasks, t, next);
    run_next(l);
}

void log_task_add_first(struct logs *l, struct log_task *t)
{
    STAILQ_INSERT_HEAD(&l->tasks, t, next);
    run_next(l);
}

void log_query_cancel(struct logs *l)
{
    struct log_task *t;

    STAILQ_CONCAT(&l->tasks, &l->waiting);
    while ((t = STAILQ_FIRST(&l->tasks))) {
        STAILQ_REMOVE_HEAD(&l->tasks, next);
        t->done(t, -ECANCELED);
    }
    log_search_end_all(l);
}

/* ---- the last lines ---- */

static void read_lines(struct log_task *t, struct log_reader *r, unsigned generation)
{
    struct log_job *j = (struct log_job *)t;

    j->rc = log_read_last(r, j->l->db_path, generation, j->filter, j->boundary, &j->block);
}

static void finish_job(struct log_task *t, int rc)
{
    struct log_job *j = (struct log_job *)t;

    if (rc < 0) {
        j->rc = rc;
        if (j->sub)
            j->sub->dead = true;
    }
    if (j->sub) {
        log_live_history(j->sub, &j->block);
    } else {
        log_block_fix(&j->block);
        j->cb(j->arg, j->rc, j->block.lines, j->block.n);
    }
    log_block_free(&j->block);
    log_filter_free(&j->own);
    free(j);
}

static struct log_job *new_job(struct logs *l)
{
    struct log_job *j = xcalloc(1, sizeof *j);

    j->l = l;
    j->task.work = read_lines;
    j->task.done = finish_job;
    return j;
}

static void passed(struct log_barrier *b)
{
    struct log_job *j = LOG_OWNER(b, struct log_job, barrier);

    log_task_add_first(j->l, &j->task);
}

void logs_query(struct logs *l, const struct log_query *q, logs_lines_cb cb, void *arg)
{
    struct log_job *j = new_job(l);

    j->cb = cb;
    j->arg = arg;
    j->boundary = UINT64_MAX;
    log_filter_init(&j->own, q);
    j->filter = &j->own;
    j->barrier.passed = passed;
    log_post(l, LOG_MSG_BARRIER, &j->barrier);
}

void log_query_start(struct logs *l, struct log_sub *sub)
{
    struct log_job *j = new_job(l);

    sub->querying = true;
    j->sub = sub;
    j->filter = &sub->filter;
    j->boundary = sub->boundary;
    log_task_add_first(l, &j->task);
}
