#include "daemon/log_read.h"

#include <errno.h>
#include <string.h>

#include "common/mem.h"
#include "daemon/log_find.h"

struct source {
    uint64_t id, run;
    uint32_t process, instance;
    uint8_t kind;
    char *app;
};

struct range {
    uint64_t first, last;
};

struct search {
    struct log_reader *r;
    const struct log_filter *filter;
    uint64_t boundary;
    struct log_block *out;
    struct source *sources;
    size_t n_sources;
    struct range *ranges;
    size_t n_ranges;
    uint64_t total, floor; /* lines in the ranges for sure; smallest first row of them */
};

void log_reader_close(struct log_reader *r)
{
    sqlite3_finalize(r->batches);
    sqlite3_finalize(r->lines);
    sqlite3_finalize(r->find_batches);
    sqlite3_finalize(r->find_rows);
    sqlite3_finalize(r->find_text);
    if (r->handle) {
        /* SQLite before 3.51.3 may damage a WAL when two connections checkpoint; and the name may lead to a
         * newer file by now. */
        sqlite3_db_config(r->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        sqlite3_close(r->handle);
    }
    memset(r, 0, sizeof *r);
}

int log_reader_open(struct log_reader *r, const char *path, unsigned generation)
{
    int rc;

    if (r->handle && r->generation == generation)
        return SQLITE_OK;
    log_reader_close(r);
    if (!generation)
        return SQLITE_CANTOPEN;
    rc = sqlite3_open_v2(path, &r->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(r->handle, 1000);
        sqlite3_wal_autocheckpoint(r->handle, 0);
        rc = sqlite3_exec(r->handle, "PRAGMA query_only = 1; PRAGMA cache_size = -1024;", NULL, NULL, NULL);
    }
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(r->handle,
                                "SELECT first, last, lines FROM batch WHERE stream = ? AND"
                                " first <= ? ORDER BY first DESC",
                                -1, &r->batches, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(r->handle,
                                "SELECT stream, id, time, flags, text FROM line"
                                " WHERE id BETWEEN ? AND ? ORDER BY id DESC",
                                -1, &r->lines, NULL);
    if (rc == SQLITE_OK)
        rc = log_find_prepare(r);
    r->generation = generation;
    return rc;
}

/* Adds the batches of one stream, newest first, until they hold enough lines. */
static int add_ranges(struct search *f, uint64_t stream)
{
    sqlite3_stmt *st = f->r->batches;
    uint64_t own = 0;
    int rc;

    sqlite3_bind_int64(st, 1, (sqlite3_int64)stream);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)f->boundary);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        uint64_t first = (uint64_t)sqlite3_column_int64(st, 0), last = (uint64_t)sqlite3_column_int64(st, 1);
        uint64_t lines = (uint64_t)sqlite3_column_int64(st, 2);

        if (f->total >= f->filter->lines && last < f->floor)
            break;
        if ((f->n_ranges & (f->n_ranges - 1)) == 0)
            f->ranges = xrealloc(f->ranges, (f->n_ranges ? f->n_ranges * 2 : 1) * sizeof *f->ranges);
        f->ranges[f->n_ranges++] = (struct range){first, last < f->boundary ? last : f->boundary};
        if (first < f->floor)
            f->floor = first;
        /* How many of a batch lie before the boundary is not known. */
        if (last <= f->boundary) {
            f->total += lines;
            own += lines;
        }
        if (own >= f->filter->lines)
            break;
    }
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

void log_read_select(const struct log_filter *f, struct buf *sql)
{
    buf_puts(sql, "SELECT id, run, kind, process, instance, app, last_id FROM stream WHERE last_id > 0");
    if (f->run)
        buf_printf(sql, " AND run = %llu", (unsigned long long)f->run);
    if (f->processes) {
        buf_puts(sql, " AND process IN (");
        for (size_t i = 0; i < f->n_processes; i++)
            buf_printf(sql, i ? ",%u" : "%u", f->processes[i]);
        buf_puts(sql, ")");
    }
    if (f->newest_run)
        buf_puts(sql, " AND run = (SELECT max(x.run) FROM stream x WHERE x.process = stream.process AND"
                      " x.last_id > 0)");
}

static int add_source(struct search *f, sqlite3_stmt *st)
{
    struct source s = {.id = (uint64_t)sqlite3_column_int64(st, 0),
                       .run = (uint64_t)sqlite3_column_int64(st, 1),
                       .kind = (uint8_t)sqlite3_column_int(st, 2),
                       .process = (uint32_t)sqlite3_column_int64(st, 3),
                       .instance = (uint32_t)sqlite3_column_int64(st, 4)};
    const char *app = (const char *)sqlite3_column_text(st, 5);

    if (!log_filter_match(f->filter, s.run, s.process, s.kind, s.instance))
        return SQLITE_OK;
    if ((f->n_sources & (f->n_sources - 1)) == 0)
        f->sources = xrealloc(f->sources, (f->n_sources ? f->n_sources * 2 : 1) * sizeof *f->sources);
    s.app = xstrdup(app ? app : "");
    f->sources[f->n_sources++] = s;
    return add_ranges(f, s.id);
}

static int find_sources(struct search *f)
{
    struct buf sql = {0};
    sqlite3_stmt *st = NULL;
    int rc;

    log_read_select(f->filter, &sql);
    buf_puts(&sql, " ORDER BY last_id DESC");
    rc = sqlite3_prepare_v2(f->r->handle, sql.data, -1, &st, NULL);
    buf_free(&sql);
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        /* Newest streams come first: once there are enough lines, older streams have nothing to add. */
        if (f->total >= f->filter->lines && (uint64_t)sqlite3_column_int64(st, 6) < f->floor)
            break;
        rc = add_source(f, st);
    }
    sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int newest_first(const void *a, const void *b)
{
    const struct range *x = a, *y = b;

    return x->last < y->last ? 1 : x->last > y->last ? -1 : 0;
}

static int by_id(const void *a, const void *b)
{
    const struct source *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static int by_time(const void *a, const void *b)
{
    const struct log_line *x = a, *y = b;

    if (x->time_us != y->time_us)
        return x->time_us < y->time_us ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool enough(const struct search *f)
{
    return f->out->n >= f->filter->lines || log_block_size(f->out) > LOG_READ_MAX;
}

/* Rows of others lie between: they are passed over before their text is even looked at. */
static int scan(struct search *f, uint64_t first, uint64_t last)
{
    sqlite3_stmt *st = f->r->lines;
    int rc = SQLITE_DONE;

    sqlite3_bind_int64(st, 1, (sqlite3_int64)first);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)last);
    while (!enough(f) && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct source key = {.id = (uint64_t)sqlite3_column_int64(st, 0)};
        const struct source *s = bsearch(&key, f->sources, f->n_sources, sizeof key, by_id);
        struct log_line line;

        if (!s)
            continue;
        line = (struct log_line){.id = (uint64_t)sqlite3_column_int64(st, 1),
                                 .time_us = (uint64_t)sqlite3_column_int64(st, 2),
                                 .process = s->process,
                                 .instance = s->instance,
                                 .run = s->run,
                                 .stream = s->kind,
                                 .flags = (uint8_t)sqlite3_column_int(st, 3),
                                 .app = s->app,
                                 .text = sqlite3_column_blob(st, 4)};
        line.len = (size_t)sqlite3_column_bytes(st, 4);
        log_block_add(f->out, &line);
    }
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Walks the union of the ranges from its newest row down, each row once. */
static int scan_ranges(struct search *f)
{
    int rc = SQLITE_OK;

    if (f->n_ranges == 0)
        return rc;
    qsort(f->ranges, f->n_ranges, sizeof *f->ranges, newest_first);
    qsort(f->sources, f->n_sources, sizeof *f->sources, by_id);
    for (size_t i = 0; i < f->n_ranges && rc == SQLITE_OK && !enough(f);) {
        struct range all = f->ranges[i++];

        while (i < f->n_ranges && f->ranges[i].last + 1 >= all.first) {
            if (f->ranges[i].first < all.first)
                all.first = f->ranges[i].first;
            i++;
        }
        rc = scan(f, all.first, all.last);
    }
    return rc;
}

/* Offsets, not pointers, are sorted: the block is not fixed yet. */
static void sort_lines(struct log_block *b)
{
    if (b->n > 1)
        qsort(b->lines, b->n, sizeof *b->lines, by_time);
}

int log_read_last(struct log_reader *r, const char *path, unsigned generation,
                  const struct log_filter *filter, uint64_t boundary, struct log_block *out)
{
    /* Row ids are signed in SQLite. */
    struct search f = {.r = r,
                       .filter = filter,
                       .boundary = boundary > INT64_MAX ? INT64_MAX : boundary,
                       .out = out,
                       .floor = UINT64_MAX};
    int rc;

    if (filter->lines == 0 || (filter->processes && filter->n_processes == 0))
        return 0;
    rc = log_reader_open(r, path, generation);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(r->handle, "BEGIN", NULL, NULL, NULL); /* one snapshot for all statements */
    if (rc == SQLITE_OK) {
        rc = find_sources(&f);
        if (rc == SQLITE_OK)
            rc = scan_ranges(&f);
        sqlite3_exec(r->handle, "COMMIT", NULL, NULL, NULL);
    }
    sort_lines(out);
    for (size_t i = 0; i < f.n_sources; i++)
        free(f.sources[i].app);
    free(f.sources);
    free(f.ranges);
    if (rc == SQLITE_OK)
        return 0;
    log_reader_close(r);
    r->damaged = log_db_verdict(rc) == LOG_DB_BAD;
    return r->damaged ? -EUCLEAN : -EIO;
}
