/* Questions to logs.db: first the writer commits what was taken, then libuv's thread pool reads, one question
 * at a time because they share the connection. */
#include <errno.h>

#include "common/mem.h"
#include "daemon/log_read.h"

struct log_job {
    struct log_barrier barrier;
    STAILQ_ENTRY(log_job) next;
    uv_work_t work;
    struct logs *l;
    struct log_filter own;
    const struct log_filter *filter;
    uint64_t boundary;
    logs_lines_cb cb;
    void *arg;
    struct log_sub *sub; /* the history of a subscription, instead of `cb` */
    struct log_block block;
    unsigned generation;
    int rc;
};

static void finish_job(struct log_job *j)
{
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

static void read_lines(uv_work_t *work)
{
    struct log_job *j = work->data;
    struct logs *l = j->l;

    j->rc = log_read_last(l->reader, l->db_path, j->generation, j->filter, j->boundary, &j->block);
}

static void after_read(uv_work_t *work, int status)
{
    struct log_job *j = work->data;
    struct logs *l = j->l;

    if (status < 0)
        j->rc = status;
    if (j->rc == -EUCLEAN)
        log_post(l, LOG_MSG_DAMAGE, (void *)(uintptr_t)j->generation); /* NOLINT(performance-no-int-to-ptr) */
    l->job_running = false;
    finish_job(j);
    log_query_next(l);
    log_maybe_closed(l);
}

void log_query_next(struct logs *l)
{
    struct log_job *j = STAILQ_FIRST(&l->jobs);

    if (l->job_running || !j)
        return;
    STAILQ_REMOVE_HEAD(&l->jobs, next);
    if (!l->reader)
        l->reader = xcalloc(1, sizeof *l->reader);
    j->generation = atomic_load(&l->db_generation);
    j->work.data = j;
    l->job_running = true;
    uv_queue_work(l->loop, &j->work, read_lines, after_read);
}

static void enqueue(struct log_job *j)
{
    STAILQ_INSERT_TAIL(&j->l->jobs, j, next);
    log_query_next(j->l);
}

static void passed(struct log_barrier *b)
{
    enqueue((struct log_job *)b);
}

void logs_query(struct logs *l, const struct log_query *q, logs_lines_cb cb, void *arg)
{
    struct log_job *j = xcalloc(1, sizeof *j);

    j->l = l;
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
    struct log_job *j = xcalloc(1, sizeof *j);

    sub->querying = true;
    j->l = l;
    j->sub = sub;
    j->filter = &sub->filter;
    j->boundary = sub->boundary;
    enqueue(j);
}

void log_query_cancel(struct logs *l)
{
    struct log_job *j;

    while ((j = STAILQ_FIRST(&l->jobs))) {
        STAILQ_REMOVE_HEAD(&l->jobs, next);
        j->rc = -ECANCELED;
        if (j->sub)
            j->sub->dead = true;
        finish_job(j);
    }
}
