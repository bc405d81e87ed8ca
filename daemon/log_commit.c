/*
 * Transactions: rows and the cursor up to which they reach, positions and sizes of files, all in one. What
 * fails here is rolled back to the last commit in memory too, and fed again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "daemon/log_spool.h"
#include "daemon/log_writer.h"

#define ASIDE_PAUSE_MS  10000 /* a disk that damages each new database must not fill up with copies */
#define RELEASE_AT_ONCE 16384 /* bytes; less is given back only when the spool is used up */

static void db_failed(struct log_writer *w, const char *why)
{
    uint64_t now = clock_mono_ms();

    if (!w->db_failing && now >= w->db_quiet_until)
        log_trouble(w, "cannot write %s: %s (log files go on; lines for it wait in memory)", w->l->db_path,
                    why);
    w->db_quiet_until = now + LOG_QUIET_MS;
    w->db_failing = true;
    w->db_retry_at = now + LOG_RETRY_MS;
    log_retry_later(w, w->db_retry_at);
}

/* The database that knew the keys is gone. */
static void forget_keys(struct log_writer *w)
{
    struct log_stream *s;

    for (struct log_file *f = w->files.first; f; f = f->next) {
        f->id = 0;
        f->has_rec = false;
        f->dirty = true;
    }
    TAILQ_FOREACH (s, &w->streams, by_writer) {
        s->id = 0;
        s->last_id = s->last_id_committed = 0;
        memset(&s->batch, 0, sizeof s->batch);
        s->batch_committed = s->batch;
        log_mark_dirty(w, s);
        log_mark_work(w, s);
    }
}

static void roll_back(struct log_writer *w)
{
    struct log_stream *s;
    struct log_sub *sub;

    if (!w->in_txn)
        return;
    if (w->db.handle && !sqlite3_get_autocommit(w->db.handle))
        log_db_step(&w->db, LOG_DB_ROLLBACK);
    w->in_txn = false;
    w->rows = 0;
    w->bytes = 0;
    w->db.next_row = w->txn_row;
    STAILQ_FOREACH(s, &w->dirty, by_dirty)
    {
        s->sinks[0].pos = s->sinks[0].base;
        s->sinks[0].told = false;
        s->batch = s->batch_committed;
        s->last_id = s->last_id_committed;
        s->row_flags = s->row_flags_committed;
    }
    LIST_FOREACH (sub, &w->subs, by_writer)
        log_live_rollback(sub);
}

static void close_db(struct log_writer *w)
{
    atomic_store(&w->l->db_generation, 0);
    log_db_close(&w->db, false);
}

static void set_aside(struct log_writer *w, const char *why)
{
    _cleanup_free_ char *to = NULL;
    uint64_t now = clock_mono_ms();
    int rc;

    close_db(w);
    if (w->aside_at && now < w->aside_at + ASIDE_PAUSE_MS) {
        db_failed(w, why);
        return;
    }
    rc = log_db_set_aside(w->l->db_path, &to);
    if (rc < 0) {
        db_failed(w, strerror(-rc));
        return;
    }
    w->aside_at = now;
    log_trouble(w, "%s is damaged (%s): it is kept as %s, and a new one is used", w->l->db_path, why, to);
    forget_keys(w);
}

void log_db_damaged(struct log_writer *w)
{
    if (!w->db.handle)
        return;
    roll_back(w);
    set_aside(w, "found in reading");
}

static bool open_db(struct log_writer *w)
{
    char why[256] = "";
    int rc = log_db_open(&w->db, w->l->db_path, why);

    if (log_db_verdict(rc) == LOG_DB_BAD) {
        set_aside(w, why);
        if (w->db_failing && clock_mono_ms() < w->db_retry_at)
            return false;
        rc = log_db_open(&w->db, w->l->db_path, why);
    }
    if (rc != SQLITE_OK) {
        db_failed(w, why);
        return false;
    }
    atomic_store(&w->l->db_generation, ++w->generation);
    log_place_late(w);
    return true;
}

bool log_db_usable(struct log_writer *w)
{
    if (w->db_failing && clock_mono_ms() < w->db_retry_at)
        return false;
    return w->db.handle || open_db(w);
}

void log_txn_failed(struct log_writer *w, int rc)
{
    char why[256];

    snprintf(why, sizeof why, "%s", sqlite3_errmsg(w->db.handle));
    roll_back(w);
    switch (log_db_verdict(rc)) {
    case LOG_DB_FINE:
        break;
    case LOG_DB_RETRY:
        db_failed(w, why);
        break;
    case LOG_DB_REOPEN:
        db_failed(w, why);
        close_db(w);
        break;
    case LOG_DB_BAD:
        set_aside(w, why);
        break;
    }
}

int log_txn_begin(struct log_writer *w)
{
    int rc = SQLITE_OK;

    if (!w->in_txn) {
        rc = log_db_step(&w->db, LOG_DB_BEGIN);
        w->in_txn = rc == SQLITE_OK;
        w->txn_row = w->db.next_row;
    }
    return rc;
}

/*
 * Old lines go by whole batches: one is not much larger than what may go at once, and not much longer than an
 * eighth of the time that lines are kept.
 */
static bool batch_is_full(const struct log_stream *s, uint64_t time_us)
{
    const struct log_batch *b = &s->batch;
    uint64_t keep_us = s->limits.keep_ms * 1000, part = s->limits.keep_bytes / 8;

    return b->bytes >= LOG_BATCH_BYTES || (part && b->bytes >= (part > 4096 ? part : 4096)) ||
           (keep_us && time_us > b->first_us && time_us - b->first_us > keep_us / 8);
}

static int add_to_batch(struct log_writer *w, struct log_stream *s, uint64_t id, uint64_t time_us, size_t len)
{
    struct log_batch *b = &s->batch;
    int rc = SQLITE_OK;

    if (b->first && (id - b->first >= LOG_BATCH_SPAN || batch_is_full(s, time_us))) {
        if (b->last != s->batch_committed.last)
            rc = log_db_put_batch(&w->db, s->id, b);
        b->first = 0;
    }
    if (!b->first)
        *b = (struct log_batch){.first = id, .first_us = time_us, .last_us = time_us};
    b->last = id;
    b->first_us = time_us < b->first_us ? time_us : b->first_us;
    b->last_us = time_us > b->last_us ? time_us : b->last_us;
    b->lines++;
    b->bytes += len;
    return rc;
}

void log_stage(struct log_writer *w, const struct log_stream *s, const struct log_line *line)
{
    struct log_sub *sub;

    LIST_FOREACH (sub, &w->subs, by_writer)
        if (log_filter_match(&sub->filter, s->run, s->process, s->kind, s->instance) &&
            log_filter_line(&sub->filter, line->time_us, line->flags))
            log_live_stage(sub, line);
}

int log_add_row(struct log_writer *w, struct log_stream *s, const struct log_line *line, bool live)
{
    struct log_line copy = *line;
    int rc = log_txn_begin(w);

    log_mark_dirty(w, s);
    if (!s->id)
        s->id = w->db.next_stream++;
    copy.id = w->db.next_row++;
    if (rc == SQLITE_OK)
        rc = log_db_insert(&w->db, copy.id, s->id, copy.time_us, copy.flags, copy.text, copy.len);
    if (rc == SQLITE_OK)
        rc = add_to_batch(w, s, copy.id, copy.time_us, copy.len);
    if (rc != SQLITE_OK)
        return rc;
    s->last_id = copy.id;
    s->row_flags = copy.flags;
    w->rows++;
    w->bytes += copy.len;
    w->prune.fresh += copy.len + LOG_ROW_EXTRA;
    if (live)
        log_stage(w, s, &copy);
    return SQLITE_OK;
}

/* Everything of the stream was handed on, or given up. */
static bool complete(const struct log_stream *s)
{
    if (!s->placed || !s->ended_at)
        return false;
    for (unsigned i = 0; i < s->n_sinks; i++) {
        const struct log_sink *k = &s->sinks[i];

        if (!k->abandoned && (k->pos < atomic_load(&s->taken) || (k->drop_lines && !k->told)))
            return false;
    }
    return true;
}

static int record_sink(struct log_writer *w, const struct log_stream *s, const struct log_sink *k)
{
    struct log_file *f = k->file;
    int rc = SQLITE_OK;

    if (!f->id)
        f->id = w->db.next_file++;
    if (f->dirty && !f->in_txn && f->fd >= 0 && f->regular) {
        rc = log_db_put_file(&w->db, f->id, f->path, &f->now);
        f->in_txn = true;
    }
    if (rc != SQLITE_OK || complete(s))
        return rc;
    return log_db_put_sink(
        &w->db, s->id, f->id,
        &(struct log_db_sink){
            .cursor = k->pos, .mid = k->mid, .drop_lines = k->drop_lines, .drop_bytes = k->drop_bytes});
}

static int record_stream(struct log_writer *w, struct log_stream *s)
{
    struct log_db_stream row = {.run = s->run,
                                .kind = s->kind,
                                .process = s->process,
                                .instance = s->instance,
                                .app = s->app,
                                .spool = s->spool_inode,
                                .cursor = s->sinks[0].pos,
                                .last_id = s->last_id};
    int rc;

    if (!s->id)
        s->id = w->db.next_stream++;
    row.id = s->id;
    memcpy(row.boot, s->l->boot, sizeof row.boot);
    rc = log_db_put_stream(&w->db, &row);
    if (rc == SQLITE_OK && s->batch.first && s->batch.last != s->batch_committed.last)
        rc = log_db_put_batch(&w->db, s->id, &s->batch);
    if (rc == SQLITE_OK && s->new_sinks)
        rc = log_db_drop_sinks(&w->db, s->id);
    for (unsigned i = 1; i < s->n_sinks && rc == SQLITE_OK; i++)
        rc = record_sink(w, s, &s->sinks[i]);
    if (rc == SQLITE_OK && complete(s))
        rc = log_db_drop_sinks(&w->db, s->id);
    return rc;
}

static int record_all(struct log_writer *w)
{
    struct log_stream *s;
    int rc = log_txn_begin(w);

    STAILQ_FOREACH(s, &w->dirty, by_dirty)
    if (rc == SQLITE_OK && s->placed)
        rc = record_stream(w, s);
    if (rc == SQLITE_OK)
        rc = log_db_step(&w->db, LOG_DB_COMMIT);
    STAILQ_FOREACH(s, &w->dirty, by_dirty)
    for (unsigned i = 1; i < s->n_sinks; i++) {
        struct log_file *f = s->sinks[i].file;

        if (f->in_txn && rc == SQLITE_OK) {
            f->rec = f->now;
            f->has_rec = true;
            f->dirty = false;
        }
        f->in_txn = false;
    }
    return rc;
}

/* Gives the memory back that no replay needs any more. */
static void release(struct log_writer *w, struct log_stream *s)
{
    /* Once rows are dropped because nothing can be committed, the cursors cannot hold the memory either; nor
     * can they when there is no row to wait for. */
    bool forced = s->sinks[0].dropping || s->sinks[0].abandoned ||
                  (s->no_rows && (w->db_failing || w->disk.level == DISK_STOP));
    uint64_t upto = UINT64_MAX, from = atomic_load(&s->released), taken = atomic_load(&s->taken);

    for (unsigned i = 0; i < s->n_sinks; i++) {
        const struct log_sink *k = &s->sinks[i];
        /* Rows of an open transaction may have to be fed again. */
        uint64_t at = !forced ? k->committed : k->file || s->no_rows ? k->pos : k->base;

        if (!k->abandoned && at < upto)
            upto = at;
    }
    if (upto > taken)
        upto = taken;
    if (forced && s->no_rows) /* no way back */
        s->sinks[0].base = s->sinks[0].pos;
    if (upto <= from || (upto - from < RELEASE_AT_ONCE && upto < taken))
        return;
    log_spool_release(s->spool, from, upto);
    atomic_store(&s->released, upto);
    atomic_fetch_sub(&w->l->used, upto - from);
    if (atomic_load(&w->l->n_paused))
        uv_async_send(&w->l->wake);
}

static void finish_if_complete(struct log_writer *w, struct log_stream *s)
{
    if (s->finished || !complete(s))
        return;
    for (unsigned i = 0; i < s->n_sinks; i++)
        if (!s->sinks[i].abandoned && !s->sinks[0].abandoned && s->sinks[i].committed < s->sinks[i].pos)
            return;
    s->finished = true;
    STAILQ_INSERT_TAIL(&w->done, s, by_done);
}

/* Nothing can be committed now; the streams stay dirty. */
static bool not_committed(struct log_writer *w)
{
    struct log_stream *s;

    STAILQ_FOREACH(s, &w->dirty, by_dirty)
    {
        release(w, s);
        /* Without a database at all, a stream ends when it is given up. */
        if (s->sinks[0].abandoned)
            finish_if_complete(w, s);
    }
    return false;
}

static void committed(struct log_writer *w)
{
    struct log_stream *s;
    struct log_sub *sub;

    w->in_txn = false;
    w->rows = 0;
    w->bytes = 0;
    w->db_failing = false;
    while ((s = STAILQ_FIRST(&w->dirty))) {
        struct log_sink *rows = &s->sinks[0];

        STAILQ_REMOVE_HEAD(&w->dirty, by_dirty);
        s->dirty = s->new_sinks = false;
        s->batch_committed = s->batch;
        s->last_id_committed = s->last_id;
        s->row_flags_committed = s->row_flags;
        if (rows->told)
            rows->drop_lines = rows->drop_bytes = rows->slow = 0;
        rows->told = rows->dropping = false;
        for (unsigned i = 0; i < s->n_sinks; i++)
            s->sinks[i].committed = s->sinks[i].base = s->sinks[i].pos;
        release(w, s);
        finish_if_complete(w, s);
    }
    LIST_FOREACH (sub, &w->subs, by_writer)
        log_live_publish(sub);
}

bool log_commit(struct log_writer *w)
{
    int rc;

    if (STAILQ_EMPTY(&w->dirty) && !w->in_txn)
        return true;
    w->pace_from = clock_mono_ms();
    if (!log_db_usable(w) || (w->disk.level == DISK_STOP && !w->emptying))
        return not_committed(w);
    if (log_db_moved(&w->db)) {
        /* Commits to a file without a name keep succeeding, and all would be gone at the end. */
        log_trouble(w, "%s was removed or replaced: a new one is used", w->l->db_path);
        roll_back(w);
        close_db(w);
        forget_keys(w);
        return not_committed(w);
    }
    rc = record_all(w);
    if (rc != SQLITE_OK) {
        log_txn_failed(w, rc);
        return not_committed(w);
    }
    committed(w);
    log_prune_committed(w);
    return true;
}
