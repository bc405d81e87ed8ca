#include "daemon/later.h"

#include <stdlib.h>

#include "common/mem.h"

struct later_batch {
    struct later *owner;
    uv_timer_t timer;
    uv_work_t work;
    bool due;
    STAILQ_HEAD(, later_job) jobs;
};

static void do_batch(uv_work_t *work)
{
    struct later_batch *b = work->data;
    struct later_job *j;

    STAILQ_FOREACH(j, &b->jobs, entry)
    j->work(j);
}

static void start_if_due(struct later *l);

static void batch_done(uv_work_t *work, int status)
{
    struct later_batch *b = work->data;
    struct later *l = b->owner;
    struct later_job *j;

    (void)status; /* never cancelled */
    while ((j = STAILQ_FIRST(&b->jobs))) {
        STAILQ_REMOVE_HEAD(&b->jobs, entry);
        j->done(j);
    }
    free(b);
    l->working = NULL;
    start_if_due(l);
}

/* The timer's memory goes with the batch, so the work begins once the handle is closed. */
static void timer_closed(uv_handle_t *timer)
{
    struct later_batch *b = timer->data;

    uv_queue_work(timer->loop, &b->work, do_batch, batch_done);
}

/* While one batch is worked on the next one collects: that keeps the order. */
static void start_if_due(struct later *l)
{
    if (l->working || !l->collecting || !l->collecting->due)
        return;
    l->working = l->collecting;
    l->collecting = NULL;
    uv_close((uv_handle_t *)&l->working->timer, timer_closed);
}

static void on_due(uv_timer_t *timer)
{
    struct later_batch *b = timer->data;

    b->due = true;
    start_if_due(b->owner);
}

void later_put(struct later *l, uv_loop_t *loop, struct later_job *j, bool hurry)
{
    struct later_batch *b = l->collecting;

    if (!b) {
        b = l->collecting = xcalloc(1, sizeof(*b));
        b->owner = l;
        STAILQ_INIT(&b->jobs);
        b->work.data = b->timer.data = b;
        uv_timer_init(loop, &b->timer);
        uv_update_time(loop);
        uv_timer_start(&b->timer, on_due, LATER_MS, 0);
    }
    STAILQ_INSERT_TAIL(&b->jobs, j, entry);
    if (hurry && !b->due)
        uv_timer_start(&b->timer, on_due, 0, 0);
}
