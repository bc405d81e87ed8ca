/*
 * Old rows go by whole batches, the oldest first, between the writer's own transactions: a step ends after a
 * few milliseconds and is resumed by row id, so nobody who writes waits for longer. What was deleted is given
 * back to the disk page by page (incremental vacuum) in the same way.
 */
#include "daemon/log_prune.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "daemon/log_writer.h"

#define STEP_MS       5u
#define STEP_MS_OVER  30u /* when far over the bound: deleting has to be faster than a flood */
#define STEP_BATCHES  4
#define COUNT_BATCHES 2000
#define STEP_STREAMS  200
#define VACUUM_PAGES  32
#define ROUND_BYTES   (4u * 1024 * 1024) /* a round begins after so much has come */
#define ROUND_MS      60000u
#define FEW_MS        5000u /* ... or so long after the first row over what an app may keep in bytes */
#define STREAMS_MS    600000u
#define SETTLE_MS     60000u             /* so long after the start every run of the past has been attached */
#define SLACK_PAGES   64                 /* free pages that are kept for what comes next ... */
#define SLACK_PART    16                 /* ... and this part of the used ones */
#define LOW_KEEP      (8u * 1024 * 1024) /* newest rows that stay however low the disk is */

struct victim {
    uint64_t stream, first, last;
};

void log_prune_init(struct log_writer *w)
{
    w->prune.bounds = LOG_BOUNDS_DEFAULT;
    w->prune.wanted = true;
    w->prune.streams_at = clock_mono_ms() + SETTLE_MS;
}

void log_prune_deinit(struct log_writer *w)
{
    for (size_t i = 0; i < w->prune.n_keeps; i++)
        free(w->prune.keeps[i].app);
    free(w->prune.keeps);
}

static struct log_keep *keep_of(struct log_prune *p, const char *app)
{
    for (size_t i = 0; app && i < p->n_keeps; i++)
        if (strcmp(p->keeps[i].app, app) == 0)
            return &p->keeps[i];
    return NULL;
}

void log_prune_limit(struct log_writer *w, const char *app, const struct log_limits *limits)
{
    struct log_prune *p = &w->prune;
    struct log_keep *k = keep_of(p, app);
    bool any = limits->keep_bytes || limits->keep_ms;

    if (!k && any) {
        p->keeps = xrealloc(p->keeps, (p->n_keeps + 1) * sizeof *p->keeps);
        k = &p->keeps[p->n_keeps++];
        *k = (struct log_keep){.app = xstrdup(app)};
    } else if (k && !any) {
        free(k->app);
        *k = p->keeps[--p->n_keeps];
        return;
    }
    if (k)
        k->limits = *limits;
    p->wanted = p->wanted || any;
}

static int pragma(struct log_writer *w, const char *sql, uint64_t *out)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(w->db.handle, sql, -1, &st, NULL);

    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        *out = (uint64_t)sqlite3_column_int64(st, 0);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    return rc;
}

struct pages {
    uint64_t all, idle, size;
};

static int look_at_pages(struct log_writer *w, struct pages *p)
{
    int rc = pragma(w, "PRAGMA page_count", &p->all);

    if (rc == SQLITE_OK)
        rc = pragma(w, "PRAGMA freelist_count", &p->idle);
    return rc == SQLITE_OK ? pragma(w, "PRAGMA page_size", &p->size) : rc;
}

/* How many bytes of rows have to go, whosever they are. */
static int find_excess(struct log_writer *w, uint64_t *excess)
{
    struct log_prune *p = &w->prune;
    struct pages pages;
    int rc = look_at_pages(w, &pages);
    uint64_t used, floor = w->disk.size / 16 < LOW_KEEP ? w->disk.size / 16 : LOW_KEEP;

    *excess = 0;
    if (rc != SQLITE_OK)
        return rc;
    used = (pages.all - pages.idle) * pages.size;
    if (p->bounds.max_bytes && used > p->bounds.max_bytes)
        *excess = used - p->bounds.max_bytes + p->bounds.max_bytes / 32;
    if (w->disk.level != DISK_FINE && used > floor) {
        uint64_t low = used - floor < w->disk.lacking ? used - floor : w->disk.lacking;

        *excess = low > *excess ? low : *excess;
    }
    return rc;
}

/* ---- what each app has ---- */

static bool counts(const struct log_prune *p)
{
    for (size_t i = 0; i < p->n_keeps; i++)
        if (p->keeps[i].limits.keep_bytes)
            return true;
    return false;
}

static void next_phase(struct log_writer *w, enum log_prune_phase phase)
{
    w->prune.phase = phase;
    w->prune.cursor = 0;
}

static int count_step(struct log_writer *w)
{
    struct log_prune *p = &w->prune;
    sqlite3_stmt *st = NULL;
    unsigned n = 0;
    int rc = sqlite3_prepare_v2(w->db.handle,
                                "SELECT b.first, b.bytes, s.app FROM batch b JOIN stream s ON s.id = b.stream"
                                " WHERE b.first > ? ORDER BY b.first LIMIT ?",
                                -1, &st, NULL);

    if (rc == SQLITE_OK) {
        sqlite3_bind_int64(st, 1, (sqlite3_int64)p->cursor);
        sqlite3_bind_int(st, 2, COUNT_BATCHES);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
            struct log_keep *k = keep_of(p, (const char *)sqlite3_column_text(st, 2));

            p->cursor = (uint64_t)sqlite3_column_int64(st, 0);
            if (k)
                k->bytes += (uint64_t)sqlite3_column_int64(st, 1);
            n++;
        }
    }
    sqlite3_finalize(st);
    if (rc == SQLITE_DONE && n < COUNT_BATCHES)
        next_phase(w, PRUNE_DELETE);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* ---- deleting ---- */

/* Batches that begin after this are too young for every limit of age. */
static uint64_t newest_cutoff(const struct log_prune *p, uint64_t now_us)
{
    uint64_t newest = 0;

    for (size_t i = 0; i < p->n_keeps; i++) {
        uint64_t keep_us = p->keeps[i].limits.keep_ms * 1000;

        if (keep_us && keep_us < now_us && now_us - keep_us > newest)
            newest = now_us - keep_us;
    }
    return newest;
}

static bool any_too_big(const struct log_prune *p)
{
    for (size_t i = 0; i < p->n_keeps; i++)
        if (p->keeps[i].limits.keep_bytes && p->keeps[i].bytes > p->keeps[i].limits.keep_bytes)
            return true;
    return false;
}

/* Is this batch to go? Notes what is gone with it. */
static bool must_go(struct log_prune *p, struct log_keep *k, uint64_t bytes, uint64_t lines, uint64_t last_us,
                    uint64_t now_us)
{
    uint64_t size = bytes + lines * LOG_ROW_EXTRA;
    bool old = k && k->limits.keep_ms && last_us + k->limits.keep_ms * 1000 < now_us;
    bool big = k && k->limits.keep_bytes && k->bytes > k->limits.keep_bytes;

    if (!old && !big && !p->excess)
        return false;
    p->excess -= size < p->excess ? size : p->excess;
    if (k)
        k->bytes -= bytes < k->bytes ? bytes : k->bytes;
    return true;
}

/* The next batches that go; `more` when there may be others behind `cursor`. */
static int find_victims(struct log_writer *w, struct victim *out, size_t *n, bool *more)
{
    struct log_prune *p = &w->prune;
    uint64_t now_us = clock_wall_us(), cutoff = newest_cutoff(p, now_us);
    unsigned seen = 0;
    sqlite3_stmt *st = NULL;
    int rc =
        sqlite3_prepare_v2(w->db.handle,
                           "SELECT b.stream, b.first, b.last, b.bytes, b.lines, b.first_time, b.last_time,"
                           " s.app FROM batch b JOIN stream s ON s.id = b.stream"
                           " WHERE b.first > ? ORDER BY b.first LIMIT ?",
                           -1, &st, NULL);

    *n = 0;
    *more = true;
    if (rc == SQLITE_OK) {
        sqlite3_bind_int64(st, 1, (sqlite3_int64)p->cursor);
        sqlite3_bind_int(st, 2, COUNT_BATCHES);
    }
    while (rc == SQLITE_OK && *n < STEP_BATCHES) {
        uint64_t v[7];

        rc = sqlite3_step(st);
        if (rc != SQLITE_ROW)
            break;
        rc = SQLITE_OK;
        for (int i = 0; i < 7; i++)
            v[i] = (uint64_t)sqlite3_column_int64(st, i);
        if (!p->excess && !any_too_big(p) && v[5] > cutoff) {
            *more = false;
            break;
        }
        seen++;
        p->cursor = v[1];
        if (must_go(p, keep_of(p, (const char *)sqlite3_column_text(st, 7)), v[3], v[4], v[6], now_us))
            out[(*n)++] = (struct victim){v[0], v[1], v[2]};
    }
    sqlite3_finalize(st);
    if (rc == SQLITE_DONE && seen < COUNT_BATCHES)
        *more = false;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Later lines of a stream that lost its newest batch begin a new one. */
static void forget_batch(struct log_writer *w, const struct victim *v)
{
    struct log_stream *s;

    TAILQ_FOREACH (s, &w->streams, by_writer)
        if (s->id == v->stream && s->batch.first == v->first)
            s->batch = s->batch_committed = (struct log_batch){0};
}

/* Row ids are never used again, also when the newest rows are gone. */
static int keep_next_row(struct log_writer *w)
{
    char sql[128];

    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO meta (key, value) VALUES ('next_row', %llu)",
             (unsigned long long)w->db.next_row);
    return sqlite3_exec(w->db.handle, sql, NULL, NULL, NULL);
}

/* Apart from log_commit: it is allowed also when the disk is too full for lines. */
static int finish_txn(struct log_writer *w, int rc)
{
    if (rc == SQLITE_OK)
        rc = log_db_step(&w->db, LOG_DB_COMMIT);
    if (rc == SQLITE_OK)
        w->in_txn = false;
    return rc;
}

static int delete_batch(struct log_writer *w, const struct victim *v)
{
    char sql[256];

    snprintf(sql, sizeof sql,
             "DELETE FROM line WHERE id BETWEEN %llu AND %llu AND stream = %llu;"
             "DELETE FROM batch WHERE stream = %llu AND first = %llu",
             (unsigned long long)v->first, (unsigned long long)v->last, (unsigned long long)v->stream,
             (unsigned long long)v->stream, (unsigned long long)v->first);
    return sqlite3_exec(w->db.handle, sql, NULL, NULL, NULL);
}

static int delete_step(struct log_writer *w)
{
    struct log_prune *p = &w->prune;
    struct victim victims[STEP_BATCHES];
    uint64_t began = clock_mono_ms();
    uint64_t budget = p->excess > p->bounds.max_bytes / 8 || p->fresh > ROUND_BYTES ? STEP_MS_OVER : STEP_MS;
    bool more = true;
    size_t n = 0;
    int rc = SQLITE_OK;

    do {
        rc = find_victims(w, victims, &n, &more);
        for (size_t i = 0; i < n && rc == SQLITE_OK; i++) {
            rc = log_txn_begin(w);
            if (rc == SQLITE_OK)
                rc = delete_batch(w, &victims[i]);
            forget_batch(w, &victims[i]);
            p->deleted = true;
        }
    } while (rc == SQLITE_OK && more && clock_mono_ms() - began < budget);
    if (rc == SQLITE_OK && w->in_txn)
        rc = finish_txn(w, keep_next_row(w));
    if (rc == SQLITE_OK && !more)
        next_phase(w, PRUNE_STREAMS);
    return rc;
}

/* ---- streams without rows ---- */

static bool is_live(const struct log_writer *w, uint64_t id)
{
    const struct log_stream *s;

    TAILQ_FOREACH (s, &w->streams, by_writer)
        if (s->id == id)
            return true;
    return false;
}

static int streams_step(struct log_writer *w)
{
    struct log_prune *p = &w->prune;
    uint64_t ids[STEP_STREAMS];
    size_t n = 0;
    sqlite3_stmt *st = NULL;
    char sql[128];
    int rc;

    if (clock_mono_ms() < p->streams_at) {
        next_phase(w, PRUNE_VACUUM);
        return SQLITE_OK;
    }
    /* Not the newest: its key must not be given again. */
    rc = sqlite3_prepare_v2(w->db.handle,
                            "SELECT id FROM stream s WHERE id > ? AND id < (SELECT max(id) FROM stream)"
                            " AND NOT EXISTS (SELECT 1 FROM batch WHERE stream = s.id) ORDER BY id LIMIT ?",
                            -1, &st, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_int64(st, 1, (sqlite3_int64)p->cursor);
        sqlite3_bind_int(st, 2, STEP_STREAMS);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW)
            ids[n++] = (uint64_t)sqlite3_column_int64(st, 0);
    }
    sqlite3_finalize(st);
    rc = rc == SQLITE_DONE ? log_txn_begin(w) : rc;
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++) {
        p->cursor = ids[i];
        if (is_live(w, ids[i]))
            continue;
        snprintf(sql, sizeof sql, "DELETE FROM stream WHERE id = %llu", (unsigned long long)ids[i]);
        rc = sqlite3_exec(w->db.handle, sql, NULL, NULL, NULL);
    }
    /* The next row id follows from streams too. */
    rc = rc == SQLITE_OK ? finish_txn(w, keep_next_row(w)) : rc;
    if (rc == SQLITE_OK && n < STEP_STREAMS) {
        p->streams_at = clock_mono_ms() + STREAMS_MS;
        next_phase(w, PRUNE_VACUUM);
    }
    return rc;
}

/* ---- giving the space back ---- */

static int vacuum_step(struct log_writer *w)
{
    struct pages pages = {0};
    uint64_t began = clock_mono_ms(), slack;
    char sql[64];
    int rc;

    snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES);
    while ((rc = look_at_pages(w, &pages)) == SQLITE_OK) {
        slack = w->disk.level == DISK_FINE ? SLACK_PAGES + (pages.all - pages.idle) / SLACK_PART : 0;
        if (pages.idle <= slack) {
            w->prune.phase = PRUNE_IDLE;
            /* The file is cut when the log is written back; a passive checkpoint waits for nobody. */
            if (w->prune.deleted)
                sqlite3_wal_checkpoint_v2(w->db.handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
            if (w->prune.deleted && w->disk.level != DISK_FINE) { /* was it enough? */
                w->disk.checked_at = 0;
                w->prune.wanted = true;
            }
            break;
        }
        if (clock_mono_ms() - began >= STEP_MS)
            break;
        w->prune.deleted = true;
        rc = sqlite3_exec(w->db.handle, sql, NULL, NULL, NULL);
        if (rc != SQLITE_OK)
            break;
    }
    return rc;
}

/* ---- rounds ---- */

static bool is_due(const struct log_prune *p)
{
    uint64_t bytes = ROUND_BYTES, part = p->bounds.max_bytes / 16;

    if (part && part < bytes)
        bytes = part;
    for (size_t i = 0; i < p->n_keeps; i++) {
        uint64_t keep = p->keeps[i].limits.keep_bytes;

        if (keep && keep / 8 < bytes)
            bytes = keep / 8 > 65536 ? keep / 8 : 65536;
    }
    return p->wanted || p->fresh >= bytes || (p->due && clock_mono_ms() >= p->due);
}

static void plan_next(struct log_prune *p)
{
    uint64_t soonest = 0;

    for (size_t i = 0; i < p->n_keeps; i++) {
        uint64_t part = p->keeps[i].limits.keep_ms / 8;

        if (!p->keeps[i].limits.keep_ms)
            continue;
        part = part < 1000 ? 1000 : part > ROUND_MS ? ROUND_MS : part;
        soonest = !soonest || part < soonest ? part : soonest;
    }
    p->due = soonest ? clock_mono_ms() + soonest : 0;
}

static int begin_round(struct log_writer *w)
{
    struct log_prune *p = &w->prune;

    p->wanted = p->deleted = false;
    p->fresh = 0;
    for (size_t i = 0; i < p->n_keeps; i++)
        p->keeps[i].bytes = 0;
    plan_next(p);
    next_phase(w, counts(p) ? PRUNE_COUNT : PRUNE_DELETE);
    return find_excess(w, &p->excess);
}

void log_prune_committed(struct log_writer *w)
{
    struct log_prune *p = &w->prune;
    uint64_t soon;

    if (!p->fresh || !counts(p))
        return;
    soon = clock_mono_ms() + FEW_MS;
    if (!p->due || p->due > soon)
        p->due = soon;
}

bool log_prune_busy(const struct log_writer *w)
{
    return w->prune.phase != PRUNE_IDLE || (is_due(&w->prune) && clock_mono_ms() >= w->prune.retry_at);
}

static void try_later(struct log_writer *w)
{
    struct log_prune *p = &w->prune;

    p->phase = PRUNE_IDLE;
    p->wanted = true;
    p->due = 0;
    p->retry_at = clock_mono_ms() + LOG_RETRY_MS;
    log_retry_later(w, p->retry_at);
}

void log_prune_step(struct log_writer *w)
{
    struct log_prune *p = &w->prune;
    int rc = SQLITE_OK;

    if ((p->phase == PRUNE_IDLE && !is_due(p)) || clock_mono_ms() < p->retry_at)
        return;
    /* Rows that were handed on are committed first: a transaction of ours has nothing else in it. */
    if (!log_db_usable(w) || (w->disk.level != DISK_STOP && !log_commit(w)) || w->in_txn) {
        try_later(w);
        return;
    }
    switch (p->phase) {
    case PRUNE_IDLE:
        rc = begin_round(w);
        break;
    case PRUNE_COUNT:
        rc = count_step(w);
        break;
    case PRUNE_DELETE:
        rc = delete_step(w);
        break;
    case PRUNE_STREAMS:
        rc = streams_step(w);
        break;
    case PRUNE_VACUUM:
        rc = vacuum_step(w);
        break;
    }
    if (rc == SQLITE_OK)
        return;
    log_txn_failed(w, rc);
    try_later(w);
}
