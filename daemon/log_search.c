/*
 * Questions that are answered piece by piece. With `live` the answer is in three parts that join without gap
 * or repeat: the rows up to the newest at the beginning; then, with the subscription made, those up to its
 * boundary (few, for the first part may have taken long); then what the writer commits.
 */
#include <errno.h>
#include <stddef.h>

#include "common/mem.h"
#include "daemon/log_find.h"
#include "daemon/log_tail.h"

#define TURNS_MAX   4                  /* questions that take turns; others wait */
#define PENDING_MAX (4u * 1024 * 1024) /* bytes of live lines that wait to be matched */
#define SIMPLE_MAX  10000u

enum search_state { SEARCH_BEGINS, SEARCH_HISTORY, SEARCH_SUBSCRIBES, SEARCH_CATCHES_UP, SEARCH_LIVE };

struct log_search {
    struct log_task task; /* first */
    struct log_barrier barrier;
    LIST_ENTRY(log_search) entry;
    struct logs *l;
    struct log_query query; /* for the subscription */
    struct log_filter filter;
    struct log_grep *grep;
    struct log_search_hooks hooks;
    enum search_state state;
    bool simple;    /* only the last lines */
    bool busy;      /* somebody else holds it: the barrier, the queue, the reader */
    bool in_turn;   /* counts among the long ones */
    bool held;      /* the one who asks has no room */
    bool cancelled; /* freed as soon as nobody holds it */
    uint64_t bytes_max, bytes;
    struct log_find find;
    struct log_block block; /* what the task brings */
    int rc;
    struct log_sub *sub;
    struct log_tail tail;
    struct log_block pending, input; /* live lines to be matched, and being matched */
    uint64_t missed;
};

static void search_free(struct log_search *s)
{
    LIST_REMOVE(s, entry);
    log_find_deinit(&s->find);
    log_tail_deinit(&s->tail);
    log_grep_free(s->grep);
    log_filter_free(&s->filter);
    log_block_free(&s->block);
    log_block_free(&s->pending);
    log_block_free(&s->input);
    free(s);
}

/* ---- turns ---- */

static void leave_turn(struct log_search *s)
{
    struct logs *l = s->l;
    struct log_task *t = STAILQ_FIRST(&l->waiting);

    if (!s->in_turn)
        return;
    s->in_turn = false;
    l->turns--;
    if (t) {
        STAILQ_REMOVE_HEAD(&l->waiting, next);
        ((struct log_search *)t)->in_turn = true;
        l->turns++;
        log_task_add(l, t);
    }
}

static void go_on(struct log_search *s)
{
    struct logs *l = s->l;

    s->busy = true;
    if (s->in_turn) {
        log_task_add(l, &s->task);
    } else if (l->turns < TURNS_MAX) {
        s->in_turn = true;
        l->turns++;
        log_task_add(l, &s->task);
    } else {
        STAILQ_INSERT_TAIL(&l->waiting, &s->task, next);
    }
}

/* ---- the end ---- */

static void release(struct log_search *s)
{
    leave_turn(s);
    logs_unsubscribe(s->sub);
    s->sub = NULL;
    s->cancelled = true;
    if (!s->busy)
        search_free(s);
}

static void end_search(struct log_search *s, int rc, const char *msg)
{
    struct log_search_hooks hooks = s->hooks;
    struct log_search_end end = {.rc = rc, .msg = msg, .matched = s->find.matched, .cut = s->find.cut};

    s->busy = true;
    hooks.end(hooks.arg, &end);
    s->busy = false;
    if (rc < 0 || !hooks.live || s->cancelled) {
        release(s);
        return;
    }
    leave_turn(s);
    s->state = SEARCH_LIVE;
    s->tail.after_left = s->find.pick.after_left;
    s->tail.seq = s->find.pick.seq;
    s->tail.last_seq = s->find.last_seq;
    s->sub->ready = true;
    log_live_deliver(s->l);
}

/* ---- live lines ---- */

static void match_pending(struct log_search *s)
{
    struct log_block empty = {0};

    s->input = s->pending;
    s->pending = empty;
    log_block_fix(&s->input);
    s->busy = true;
    log_task_add(s->l, &s->task);
}

static void on_sub_live(void *arg, const struct log_line *lines, size_t n, uint64_t missed)
{
    struct log_search *s = arg;

    if (!s->grep && !s->tail.before && !s->tail.after) {
        s->hooks.live(s->hooks.arg, lines, n, missed);
        return;
    }
    /* Lines after a gap wait until the gap was told. */
    if (s->missed || log_block_size(&s->pending) > PENDING_MAX) {
        s->missed += n + missed;
        n = 0;
    } else {
        s->missed += missed;
    }
    for (size_t i = 0; i < n; i++)
        log_block_add(&s->pending, &lines[i]);
    if (!s->busy)
        match_pending(s);
}

static void matched_live(struct log_search *s)
{
    uint64_t missed = s->pending.n ? 0 : s->missed;

    log_block_free(&s->input);
    if (s->rc < 0) {
        s->busy = true;
        s->hooks.failed(s->hooks.arg, s->find.err.msg);
        s->busy = false;
        release(s);
        return;
    }
    if (!s->pending.n)
        s->missed = 0;
    if (s->block.n || missed) {
        log_block_fix(&s->block);
        s->busy = true;
        s->hooks.live(s->hooks.arg, s->block.lines, s->block.n, missed);
        s->busy = false;
    }
    log_block_clear(&s->block);
    if (s->cancelled)
        release(s);
    else if (s->pending.n)
        match_pending(s);
}

/* ---- history ---- */

static void hand_over(struct log_search *s)
{
    size_t size = log_block_size(&s->block);
    bool room;

    log_block_fix(&s->block);
    s->bytes += size;
    s->busy = true;
    room = s->hooks.lines(s->hooks.arg, s->block.lines, s->block.n);
    s->busy = false;
    s->held = !room;
    log_block_clear(&s->block);
}

static void subscribe(struct log_search *s)
{
    leave_turn(s);
    s->state = SEARCH_SUBSCRIBES;
    s->sub = logs_subscribe(s->l, &s->query, on_sub_live, s);
    s->sub->search = s;
}

static void next_part(struct log_search *s)
{
    if (s->cancelled) {
        release(s);
    } else if (s->rc < 0) {
        end_search(s, s->rc, s->find.err.msg);
    } else if (s->rc > 0 && s->bytes_max && s->bytes >= s->bytes_max) {
        s->find.cut = true;
        end_search(s, 0, NULL);
    } else if (s->rc > 0 && s->held) {
        leave_turn(s);
    } else if (s->rc > 0) {
        go_on(s);
    } else if (s->hooks.live && s->state == SEARCH_HISTORY) {
        subscribe(s);
    } else {
        end_search(s, 0, NULL);
    }
}

static void search_work(struct log_task *t, struct log_reader *r, unsigned generation)
{
    struct log_search *s = (struct log_search *)t;

    if (s->cancelled)
        return;
    if (s->state == SEARCH_LIVE)
        s->rc = log_tail_filter(&s->tail, s->input.lines, s->input.n, &s->block, &s->find.err);
    else if (s->state == SEARCH_HISTORY && s->simple)
        s->rc = log_find_last(&s->find, r, generation, &s->block);
    else
        s->rc = log_find_slice(&s->find, r, generation, &s->block);
}

static void search_done(struct log_task *t, int rc)
{
    struct log_search *s = (struct log_search *)t;

    s->busy = false;
    if (rc < 0)
        s->rc = err_set(&s->find.err, rc, "the daemon is ending");
    if (s->cancelled)
        release(s);
    else if (s->state == SEARCH_LIVE)
        matched_live(s);
    else {
        hand_over(s);
        if (s->rc >= 0 && (s->rc > 0 || s->hooks.live) && s->l->joined)
            s->rc = err_set(&s->find.err, -ECANCELED, "the daemon is ending");
        next_part(s);
    }
}

static void begin(struct log_barrier *b)
{
    struct log_search *s = LOG_OWNER(b, struct log_search, barrier);

    s->busy = false;
    if (s->cancelled) {
        release(s);
        return;
    }
    s->state = SEARCH_HISTORY;
    s->busy = true;
    log_task_add_first(s->l, &s->task);
}

void log_search_start_live(struct log_search *s)
{
    s->state = SEARCH_CATCHES_UP;
    log_find_extend(&s->find, s->sub->boundary);
    s->busy = true;
    log_task_add_first(s->l, &s->task);
}

/* ---- for the one who asks ---- */

static bool is_simple(const struct log_query *q)
{
    return !q->since_us && !q->until_us && !q->level && !q->grep && !q->before && !q->after && !q->reverse &&
           !q->count && q->lines <= SIMPLE_MAX;
}

struct log_search *logs_search(struct logs *l, const struct log_query *q, uint64_t bytes_max,
                               const struct log_search_hooks *hooks)
{
    struct log_search *s = xcalloc(1, sizeof *s);

    s->l = l;
    s->hooks = *hooks;
    s->grep = q->grep;
    s->bytes_max = bytes_max;
    s->simple = is_simple(q);
    log_filter_init(&s->filter, q);
    s->query = *q;
    /* The list is the caller's only now. */
    s->query.processes = s->filter.processes;
    s->query.grep = NULL;
    /* Context may be of lines of any level and time; the tail looks. */
    if (q->before || q->after)
        s->query.level = 0;
    s->find = (struct log_find){.filter = &s->filter,
                                .grep = s->grep,
                                .path = l->db_path,
                                .lines = q->count ? LOG_LINES_ALL : q->lines,
                                .before = q->before,
                                .after = q->after,
                                .reverse = q->reverse,
                                .count = q->count,
                                .whole = true};
    s->tail =
        (struct log_tail){.filter = &s->filter, .grep = s->grep, .before = q->before, .after = q->after};
    s->task.work = search_work;
    s->task.done = search_done;
    s->barrier.passed = begin;
    s->busy = true;
    LIST_INSERT_HEAD(&l->searches, s, entry);
    log_post(l, LOG_MSG_BARRIER, &s->barrier);
    return s;
}

void logs_search_resume(struct log_search *s)
{
    if (!s->held)
        return;
    s->held = false;
    if (!s->busy && !s->cancelled && (s->state == SEARCH_HISTORY || s->state == SEARCH_CATCHES_UP))
        go_on(s);
}

void logs_search_cancel(struct log_search *s)
{
    if (!s || s->cancelled)
        return;
    release(s);
}

void log_search_end_all(struct logs *l)
{
    struct log_search *next;

    for (struct log_search *s = LIST_FIRST(&l->searches); s; s = next) {
        next = LIST_NEXT(s, entry);
        if (!s->busy && !s->cancelled && s->state != SEARCH_LIVE)
            end_search(s, err_set(&s->find.err, -ECANCELED, "the daemon is ending"), s->find.err.msg);
    }
}

void log_search_free_all(struct logs *l)
{
    while (!LIST_EMPTY(&l->searches))
        search_free(LIST_FIRST(&l->searches));
}
