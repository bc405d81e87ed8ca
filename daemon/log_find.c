#include "daemon/log_find.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"

#define SLICE_MS     20            /* others wait for so long */
#define SLICE_BYTES  (192u * 1024) /* of lines; what a slice brings is sent at once */
#define SEGMENT_ROWS LOG_BATCH_SPAN
#define POOL_MAX     (1024u * 1024)     /* items; beyond, order is given up rather than memory */
#define KEPT_MAX     (2u * 1024 * 1024) /* lines that wait to be turned round */

struct find_source {
    uint64_t id, run;
    uint32_t process, instance;
    uint8_t kind;
    char *app;
};

struct find_segment {
    uint64_t first, last;
    uint64_t from_us, to_us; /* no line of it lies outside */
};

int log_find_prepare(struct log_reader *r)
{
    int rc = sqlite3_prepare_v2(r->handle,
                                "SELECT first, last, first_time, last_time FROM batch WHERE stream = ?"
                                " AND first <= ? AND last > ? AND last_time >= ? AND first_time < ?",
                                -1, &r->find_batches, NULL);

    /* Rows of streams out of the range are passed over without leaving SQLite. */
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(r->handle,
                                "SELECT stream, id, time, flags, text FROM line"
                                " WHERE id BETWEEN ? AND ? AND stream BETWEEN ? AND ? ORDER BY id",
                                -1, &r->find_rows, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(r->handle, "SELECT time, flags, text FROM line WHERE id = ?", -1,
                                &r->find_text, NULL);
    return rc;
}

static int source_order(const void *a, const void *b)
{
    const struct find_source *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

/* ---- the plan ---- */

static int newest_row(struct log_find *f, struct log_reader *r)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(r->handle, "SELECT max(id) FROM line", -1, &st, NULL);

    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
        f->upto = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static void add_source(struct log_find *f, sqlite3_stmt *st)
{
    struct find_source s = {.id = (uint64_t)sqlite3_column_int64(st, 0),
                            .run = (uint64_t)sqlite3_column_int64(st, 1),
                            .kind = (uint8_t)sqlite3_column_int(st, 2),
                            .process = (uint32_t)sqlite3_column_int64(st, 3),
                            .instance = (uint32_t)sqlite3_column_int64(st, 4)};
    const char *app = (const char *)sqlite3_column_text(st, 5);

    if ((uint64_t)sqlite3_column_int64(st, 6) <= f->above ||
        !log_filter_match(f->filter, s.run, s.process, s.kind, s.instance))
        return;
    if (f->n_sources == f->cap_sources) {
        f->cap_sources = f->cap_sources ? f->cap_sources * 2 : 16;
        f->sources = xrealloc(f->sources, f->cap_sources * sizeof *f->sources);
    }
    s.app = xstrdup(app ? app : "");
    f->sources[f->n_sources++] = s;
}

static int find_streams(struct log_find *f, struct log_reader *r)
{
    sqlite3_stmt *st = NULL;
    struct buf sql = {0};
    int rc = f->whole ? newest_row(f, r) : SQLITE_OK;

    f->whole = false;
    log_read_select(f->filter, &sql);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(r->handle, sql.data, -1, &st, NULL);
    buf_free(&sql);
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        add_source(f, st);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    if (f->n_sources)
        qsort(f->sources, f->n_sources, sizeof *f->sources, source_order);
    f->step = FIND_BATCHES;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int by_first(const void *a, const void *b)
{
    const struct find_segment *x = a, *y = b;

    return x->first / SEGMENT_ROWS < y->first / SEGMENT_ROWS   ? -1
           : x->first / SEGMENT_ROWS > y->first / SEGMENT_ROWS ? 1
                                                               : 0;
}

/* The batches of many streams share their rows: one segment stands for all of them. */
static void join_segments(struct log_find *f)
{
    size_t n = 0;

    if (f->n_segments)
        qsort(f->segments, f->n_segments, sizeof *f->segments, by_first);
    for (size_t i = 0; i < f->n_segments; i++) {
        const struct find_segment *s = &f->segments[i];
        struct find_segment *to = n ? &f->segments[n - 1] : NULL;

        if (!to || to->first / SEGMENT_ROWS != s->first / SEGMENT_ROWS) {
            f->segments[n++] = *s;
            continue;
        }
        to->first = s->first < to->first ? s->first : to->first;
        to->last = s->last > to->last ? s->last : to->last;
        to->from_us = s->from_us < to->from_us ? s->from_us : to->from_us;
        to->to_us = s->to_us > to->to_us ? s->to_us : to->to_us;
    }
    f->n_segments = n;
}

static void add_segment(struct log_find *f, const struct find_segment *s)
{
    if (f->n_segments == f->cap_segments) {
        join_segments(f);
        if (f->n_segments * 2 >= f->cap_segments) {
            f->cap_segments = f->cap_segments ? f->cap_segments * 2 : 256;
            f->segments = xrealloc(f->segments, f->cap_segments * sizeof *f->segments);
        }
    }
    f->segments[f->n_segments++] = *s;
}

/* Cuts a batch where segments meet. */
static void add_batch(struct log_find *f, struct find_segment b)
{
    if (b.first <= f->above)
        b.first = f->above + 1;
    if (b.last > f->upto)
        b.last = f->upto;
    while (b.first <= b.last) {
        struct find_segment s = b;
        uint64_t end = (b.first / SEGMENT_ROWS + 1) * SEGMENT_ROWS - 1;

        if (s.last > end)
            s.last = end;
        add_segment(f, &s);
        b.first = s.last + 1;
    }
}

static int find_batches(struct log_find *f, struct log_reader *r, uint64_t stream)
{
    sqlite3_stmt *st = r->find_batches;
    uint64_t until = f->filter->until_us ? f->filter->until_us : INT64_MAX;
    int rc;

    sqlite3_bind_int64(st, 1, (sqlite3_int64)stream);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)f->upto);
    sqlite3_bind_int64(st, 3, (sqlite3_int64)f->above);
    sqlite3_bind_int64(st, 4, (sqlite3_int64)f->filter->since_us);
    sqlite3_bind_int64(st, 5, (sqlite3_int64)until);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW)
        add_batch(f, (struct find_segment){.first = (uint64_t)sqlite3_column_int64(st, 0),
                                           .last = (uint64_t)sqlite3_column_int64(st, 1),
                                           .from_us = (uint64_t)sqlite3_column_int64(st, 2),
                                           .to_us = (uint64_t)sqlite3_column_int64(st, 3)});
    sqlite3_reset(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int oldest_first(const void *a, const void *b)
{
    const struct find_segment *x = a, *y = b;

    if (x->from_us != y->from_us)
        return x->from_us < y->from_us ? -1 : 1;
    return x->first < y->first ? -1 : 1;
}

static int newest_first(const void *a, const void *b)
{
    const struct find_segment *x = a, *y = b;

    if (x->to_us != y->to_us)
        return x->to_us > y->to_us ? -1 : 1;
    return x->first > y->first ? -1 : 1;
}

static void begin_rows(struct log_find *f)
{
    join_segments(f);
    f->backwards = f->reverse || f->lines != LOG_LINES_ALL;
    if (f->n_segments)
        qsort(f->segments, f->n_segments, sizeof *f->segments, f->backwards ? newest_first : oldest_first);
    f->pick.before = f->backwards ? f->after : f->before;
    f->pick.after = f->backwards ? f->before : f->after;
    f->pick.limit = f->lines == LOG_LINES_ALL ? UINT64_MAX : f->pick.matched + f->lines;
    f->step = FIND_ROWS;
}

/* ---- rows ---- */

static int forwards(const void *a, const void *b)
{
    const struct pick_item *x = a, *y = b;

    if (x->time_us != y->time_us)
        return x->time_us < y->time_us ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int backwards(const void *a, const void *b)
{
    return forwards(b, a);
}

static void add_to_pool(struct log_find *f, const struct pick_item *item)
{
    if (f->n_pool == f->cap_pool) {
        f->cap_pool = f->cap_pool ? f->cap_pool * 2 : 1024;
        f->pool = xrealloc(f->pool, f->cap_pool * sizeof *f->pool);
    }
    f->pool[f->n_pool++] = *item;
}

/* The row that the statement is at. */
static int look_at(struct log_find *f, sqlite3_stmt *st)
{
    struct find_source key = {.id = (uint64_t)sqlite3_column_int64(st, 0)};
    const struct find_source *s =
        f->n_sources ? bsearch(&key, f->sources, f->n_sources, sizeof key, source_order) : NULL;
    struct pick_item item = {.id = (uint64_t)sqlite3_column_int64(st, 1), .match = true};
    const struct log_filter *w = f->filter;
    unsigned flags;

    f->at_row = item.id + 1;
    if (!s)
        return 0;
    item.time_us = (uint64_t)sqlite3_column_int64(st, 2);
    if (item.time_us < w->since_us || (w->until_us && item.time_us >= w->until_us))
        return 0;
    flags = (unsigned)sqlite3_column_int(st, 3);
    item.match = log_filter_line(w, item.time_us, flags);
    if (item.match && f->grep) {
        const char *text = sqlite3_column_blob(st, 4);
        int rc = log_grep_match(f->grep, text, (size_t)sqlite3_column_bytes(st, 4), &f->err);

        if (rc < 0)
            return rc;
        item.match = rc;
    }
    f->matched += item.match;
    if (f->count || (!item.match && !f->before && !f->after))
        return 0;
    item.source = (uint32_t)(s - f->sources);
    add_to_pool(f, &item);
    return 0;
}

/* How many of the pool come before all that is still to be looked at. */
static void set_ready(struct log_find *f)
{
    uint64_t bound;

    if (f->n_pool)
        qsort(f->pool, f->n_pool, sizeof *f->pool, f->backwards ? backwards : forwards);
    f->ready = f->n_pool;
    if (f->at_segment == f->n_segments || f->n_pool > POOL_MAX)
        return;
    bound = f->backwards ? f->segments[f->at_segment].to_us : f->segments[f->at_segment].from_us;
    while (f->ready > 0 &&
           (f->backwards ? f->pool[f->ready - 1].time_us <= bound : f->pool[f->ready - 1].time_us >= bound))
        f->ready--;
}

static int look_on(struct log_find *f, struct log_reader *r, uint64_t end_ms)
{
    const struct find_segment *s = &f->segments[f->at_segment];
    sqlite3_stmt *st = r->find_rows;
    int rc = SQLITE_ROW, bad = 0;

    if (f->at_row < s->first)
        f->at_row = s->first;
    sqlite3_bind_int64(st, 1, (sqlite3_int64)f->at_row);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)s->last);
    sqlite3_bind_int64(st, 3, f->n_sources ? (sqlite3_int64)f->sources[0].id : 0);
    sqlite3_bind_int64(st, 4, f->n_sources ? (sqlite3_int64)f->sources[f->n_sources - 1].id : 0);
    for (unsigned n = 1; bad == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW; n++) {
        bad = look_at(f, st);
        /* One line can take some ms with a bad pattern. */
        if (f->grep && n % 16 == 0 && clock_mono_ms() >= end_ms)
            break;
    }
    sqlite3_reset(st);
    if (bad < 0)
        return bad;
    if (rc == SQLITE_DONE) {
        f->at_segment++;
        f->at_row = 0;
        set_ready(f);
    }
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : -EIO;
}

/* ---- the answer ---- */

static int put_line(struct log_find *f, struct log_reader *r, const struct pick_out *o, uint64_t *seq,
                    struct log_block *out)
{
    const struct find_source *s = &f->sources[o->source];
    sqlite3_stmt *st = r->find_text;
    uint64_t step = o->seq > *seq ? o->seq - *seq : *seq - o->seq;
    int rc;

    sqlite3_bind_int64(st, 1, (sqlite3_int64)o->id);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        struct log_line line = {.id = o->id,
                                .time_us = (uint64_t)sqlite3_column_int64(st, 0),
                                .flags = (uint8_t)sqlite3_column_int(st, 1),
                                .process = s->process,
                                .instance = s->instance,
                                .run = s->run,
                                .stream = s->kind,
                                .app = s->app,
                                .text = sqlite3_column_blob(st, 2)};

        line.len = (size_t)sqlite3_column_bytes(st, 2);
        line.marks = (uint8_t)((o->context ? LOG_MARK_CONTEXT : 0) |
                               ((f->before || f->after) && *seq && step != 1 ? LOG_MARK_GAP : 0));
        log_block_add(out, &line);
        *seq = o->seq;
    } else if (rc == SQLITE_DONE && !o->context) {
        f->matched--; /* deleted since it was found */
    }
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -EIO;
}

/* Hands over what the picker let through; `kept` lines come later, turned round. */
static int put_picked(struct log_find *f, struct log_reader *r, struct log_block *out)
{
    int rc = 0;

    if (f->backwards && !f->reverse) {
        f->cut |= f->pick.n_out > KEPT_MAX;
        return 0;
    }
    for (size_t i = 0; i < f->pick.n_out && rc == 0; i++)
        rc = put_line(f, r, &f->pick.out[i], &f->last_seq, out);
    f->pick.n_out = 0;
    return rc;
}

static int use_ready(struct log_find *f, struct log_reader *r, struct log_block *out)
{
    int rc = 0;

    while (f->at_pool < f->ready && rc == 0 && log_block_size(out) < SLICE_BYTES) {
        log_pick_add(&f->pick, &f->pool[f->at_pool++]);
        rc = put_picked(f, r, out);
    }
    if (f->at_pool == f->ready && f->ready) {
        memmove(f->pool, f->pool + f->ready, (f->n_pool - f->ready) * sizeof *f->pool);
        f->n_pool -= f->ready;
        f->at_pool = f->ready = 0;
    }
    return rc;
}

static int put_kept(struct log_find *f, struct log_reader *r, struct log_block *out)
{
    int rc = 0;

    while (f->at_kept > 0 && rc == 0 && log_block_size(out) < SLICE_BYTES)
        rc = put_line(f, r, &f->pick.out[--f->at_kept], &f->last_seq, out);
    if (f->at_kept == 0) {
        f->pick.n_out = 0;
        f->step = FIND_DONE;
    }
    return rc;
}

static int rows_step(struct log_find *f, struct log_reader *r, struct log_block *out, uint64_t end_ms)
{
    if (f->at_pool < f->ready && !log_pick_full(&f->pick) && !f->cut)
        return use_ready(f, r, out);
    if (f->at_segment < f->n_segments && !log_pick_full(&f->pick) && !f->cut) {
        f->at_pool = f->ready = 0;
        return look_on(f, r, end_ms);
    }
    if (f->lines != LOG_LINES_ALL)
        f->matched = f->pick.matched;
    f->at_kept = f->pick.n_out;
    f->step = FIND_KEPT;
    return 0;
}

static int step(struct log_find *f, struct log_reader *r, struct log_block *out, uint64_t end_ms)
{
    int rc = SQLITE_OK;

    switch (f->step) {
    case FIND_STREAMS:
        rc = find_streams(f, r);
        break;
    case FIND_BATCHES:
        if (f->at_source < f->n_sources)
            rc = find_batches(f, r, f->sources[f->at_source++].id);
        else
            begin_rows(f);
        break;
    case FIND_ROWS:
        return rows_step(f, r, out, end_ms);
    case FIND_KEPT:
        return put_kept(f, r, out);
    case FIND_DONE:
        break;
    }
    return rc == SQLITE_OK ? 0 : -EIO;
}

static int open_same(struct log_find *f, struct log_reader *r, unsigned generation)
{
    if (f->generation && f->generation != generation)
        return err_set(&f->err, -ESTALE,
                       "%s was replaced while it was read, so this is not all: ask again, or see pmd.log for "
                       "the reason",
                       f->path);
    f->generation = generation;
    if (log_reader_open(r, f->path, generation) != SQLITE_OK)
        return err_set(&f->err, -EIO, "the logs cannot be read: %s cannot be opened now (see pmd.log)",
                       f->path);
    return 0;
}

int log_find_slice(struct log_find *f, struct log_reader *r, unsigned generation, struct log_block *out)
{
    uint64_t end_ms = clock_mono_ms() + SLICE_MS;
    int rc = open_same(f, r, generation);
    bool bad = false;

    if (rc < 0)
        return rc;
    if (sqlite3_exec(r->handle, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        rc = -EIO;
    while (rc == 0 && f->step != FIND_DONE && log_block_size(out) < SLICE_BYTES) {
        rc = step(f, r, out, end_ms);
        if (clock_mono_ms() >= end_ms)
            break;
    }
    if (rc == -EIO) {
        bad = log_db_verdict(sqlite3_errcode(r->handle)) == LOG_DB_BAD;
        err_set(&f->err, rc, "the logs cannot be read: %s", sqlite3_errmsg(r->handle));
    }
    sqlite3_exec(r->handle, "COMMIT", NULL, NULL, NULL);
    if (rc == -EIO) {
        log_reader_close(r);
        r->damaged = bad;
    }
    return rc < 0 ? rc : f->step != FIND_DONE;
}

int log_find_last(struct log_find *f, struct log_reader *r, unsigned generation, struct log_block *out)
{
    int rc = open_same(f, r, generation);

    if (rc == 0 &&
        (newest_row(f, r) != SQLITE_OK || log_read_last(r, f->path, generation, f->filter, f->upto, out) < 0))
        rc = err_set(&f->err, -EIO, "the logs cannot be read: %s",
                     r->handle ? sqlite3_errmsg(r->handle) : "the database is damaged (see pmd.log)");
    f->matched = out->n;
    f->cut = out->n < f->filter->lines && log_block_size(out) >= LOG_READ_MAX;
    f->step = FIND_DONE;
    return rc;
}

static void forget_sources(struct log_find *f)
{
    for (size_t i = 0; i < f->n_sources; i++)
        free(f->sources[i].app);
    f->n_sources = f->n_segments = f->n_pool = 0;
    f->at_source = f->at_segment = f->ready = f->at_pool = 0;
    f->at_row = 0;
}

void log_find_extend(struct log_find *f, uint64_t upto)
{
    forget_sources(f);
    /* What waits in there names sources by their place in the old list. */
    f->pick.ring_n = 0;
    if (f->backwards)
        f->pick.after_left = 0;
    f->above = f->upto;
    f->upto = upto > INT64_MAX ? INT64_MAX : upto;
    f->lines = LOG_LINES_ALL;
    f->reverse = false;
    f->step = FIND_STREAMS;
}

void log_find_deinit(struct log_find *f)
{
    forget_sources(f);
    free(f->sources);
    free(f->segments);
    free(f->pool);
    log_pick_deinit(&f->pick);
}
