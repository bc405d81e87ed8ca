/*
 * Subscriptions. The writer registers one between two commits; the rows up to there are the history, which a
 * query reads, and every row committed later is live. Live lines wait until the history was handed over, so
 * that the two join without gap or repeat.
 */
#include <string.h>

#include "common/mem.h"
#include "daemon/log_int.h"

#define STAGED_MAX (4u * 1024 * 1024) /* bytes of one transaction that are kept for a subscriber */

void log_live_stage(struct log_sub *s, const struct log_line *line)
{
    if (s->staged_missed || log_block_size(&s->staged) > STAGED_MAX)
        s->staged_missed++;
    else
        log_block_add(&s->staged, line);
}

void log_live_rollback(struct log_sub *s)
{
    log_block_clear(&s->staged);
    s->staged_missed = 0;
}

void log_live_publish(struct log_sub *s)
{
    struct logs *l = s->l;
    size_t size = log_block_size(&s->staged);

    if (!s->staged.n && !s->staged_missed)
        return;
    pthread_mutex_lock(&l->lock);
    /* Once lines are missing the rest of the batch is too: the gap is told at one place, after the lines. */
    if (s->missed || atomic_load(&l->live_bytes) + size > LOG_LIVE_MAX) {
        s->missed += s->staged.n + s->staged_missed;
        log_block_clear(&s->staged);
    } else {
        atomic_fetch_add(&l->live_bytes, size);
        s->missed += s->staged_missed;
        log_block_move(&s->pending, &s->staged);
    }
    s->staged_missed = 0;
    pthread_mutex_unlock(&l->lock);
    uv_async_send(&l->wake);
}

static void deliver(struct log_sub *s)
{
    struct logs *l = s->l;
    struct log_block block;
    uint64_t missed;

    pthread_mutex_lock(&l->lock);
    block = s->pending;
    missed = s->missed;
    memset(&s->pending, 0, sizeof s->pending);
    s->missed = 0;
    atomic_fetch_sub(&l->live_bytes, log_block_size(&block));
    pthread_mutex_unlock(&l->lock);
    if (block.n || missed) {
        log_block_fix(&block);
        s->cb(s->arg, block.lines, block.n, missed);
    }
    log_block_free(&block);
}

void log_live_deliver(struct logs *l)
{
    struct log_sub *s, *next;

    /* Unsubscribing in the callback only marks: nothing is freed before the writer has answered. */
    for (s = LIST_FIRST(&l->subs); s; s = next) {
        next = LIST_NEXT(s, by_loop);
        if (s->ready && !s->dead)
            deliver(s);
    }
}

void log_live_history(struct log_sub *s, struct log_block *b)
{
    s->querying = false;
    if (!s->dead) {
        log_block_fix(b);
        s->cb(s->arg, b->lines, b->n, 0);
        s->ready = true;
    }
    if (!s->dead)
        deliver(s);
    else
        log_live_gone(s);
}

/* Frees a subscription that nobody holds any more. */
void log_live_gone(struct log_sub *s)
{
    if (!s->dead || !s->gone || s->querying)
        return;
    LIST_REMOVE(s, by_loop);
    atomic_fetch_sub(&s->l->live_bytes, log_block_size(&s->pending));
    log_block_free(&s->pending);
    log_filter_free(&s->filter);
    free(s);
}

struct log_sub *logs_subscribe(struct logs *l, const struct log_query *q, logs_live_cb cb, void *arg)
{
    struct log_sub *s = xcalloc(1, sizeof *s);

    s->l = l;
    s->cb = cb;
    s->arg = arg;
    log_filter_init(&s->filter, q);
    LIST_INSERT_HEAD(&l->subs, s, by_loop);
    log_post(l, LOG_MSG_SUB, s);
    return s;
}

void logs_unsubscribe(struct log_sub *s)
{
    if (!s || s->dead)
        return;
    s->dead = true;
    log_post(s->l, LOG_MSG_UNSUB, s);
}

/* The writer is gone. */
void log_live_close(struct logs *l)
{
    struct log_sub *s;

    while ((s = LIST_FIRST(&l->subs))) {
        if (!s->gone)
            log_block_free(&s->staged);
        s->dead = s->gone = true;
        s->querying = false;
        log_live_gone(s);
    }
}
