/* The small tables of logs.db: streams, files, sinks, batches. */
#include <string.h>

#include "common/mem.h"
#include "daemon/log_db.h"
#include "daemon/log_file.h"

static uint64_t column(sqlite3_stmt *st, int i)
{
    return (uint64_t)sqlite3_column_int64(st, i);
}

/* Binds `n` numbers to the parameters from `first` on. */
static void bind(sqlite3_stmt *st, int first, const uint64_t *values, int n)
{
    for (int i = 0; i < n; i++)
        sqlite3_bind_int64(st, first + i, (sqlite3_int64)values[i]);
}

static int run(sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);

    sqlite3_reset(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int log_db_find_stream(struct log_db *db, uint64_t run_id, unsigned kind, struct log_db_stream *out)
{
    sqlite3_stmt *st = db->st[LOG_DB_FIND_STREAM];
    int rc;

    bind(st, 1, (const uint64_t[]){run_id, kind}, 2);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        const char *boot = (const char *)sqlite3_column_text(st, 1);
        size_t n = boot ? strnlen(boot, sizeof out->boot - 1) : 0;

        memset(out, 0, sizeof *out);
        out->run = run_id;
        out->kind = kind;
        out->id = column(st, 0);
        memcpy(out->boot, boot ? boot : "", n);
        out->spool = column(st, 2);
        out->cursor = column(st, 3);
        out->last_id = column(st, 4);
    }
    sqlite3_reset(st);
    return rc;
}

int log_db_put_stream(struct log_db *db, const struct log_db_stream *s)
{
    sqlite3_stmt *st = db->st[LOG_DB_PUT_STREAM];

    bind(st, 1, (const uint64_t[]){s->id, s->run, s->kind, s->process, s->instance}, 5);
    sqlite3_bind_text(st, 6, s->app, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 7, s->boot, -1, SQLITE_STATIC);
    bind(st, 8, (const uint64_t[]){s->spool, s->cursor, s->last_id}, 3);
    return run(st);
}

int log_db_find_file(struct log_db *db, const char *path, uint64_t *id, struct log_file_record *out)
{
    sqlite3_stmt *st = db->st[LOG_DB_FIND_FILE];
    int rc;

    sqlite3_bind_text(st, 1, path, -1, SQLITE_STATIC);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        *id = column(st, 0);
        *out = (struct log_file_record){
            .dev = column(st, 1), .ino = column(st, 2), .size = column(st, 3), .tail = column(st, 4)};
    }
    sqlite3_reset(st);
    return rc;
}

int log_db_put_file(struct log_db *db, uint64_t id, const char *path, const struct log_file_record *r)
{
    sqlite3_stmt *st = db->st[LOG_DB_PUT_FILE];

    bind(st, 1, &id, 1);
    sqlite3_bind_text(st, 2, path, -1, SQLITE_STATIC);
    bind(st, 3, (const uint64_t[]){r->dev, r->ino, r->size, r->tail}, 4);
    return run(st);
}

int log_db_find_sink(struct log_db *db, uint64_t stream, uint64_t file, struct log_db_sink *out)
{
    sqlite3_stmt *st = db->st[LOG_DB_FIND_SINK];
    int rc;

    bind(st, 1, (const uint64_t[]){stream, file}, 2);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *out = (struct log_db_sink){.cursor = column(st, 0),
                                    .mid = column(st, 1) != 0,
                                    .drop_lines = column(st, 2),
                                    .drop_bytes = column(st, 3)};
    sqlite3_reset(st);
    return rc;
}

int log_db_find_sink_path(struct log_db *db, uint64_t stream, unsigned nth, char **path)
{
    sqlite3_stmt *st = db->st[LOG_DB_FIND_SINK_PATH];
    int rc;

    bind(st, 1, (const uint64_t[]){stream, nth}, 2);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *path = xstrdup((const char *)sqlite3_column_text(st, 0));
    sqlite3_reset(st);
    return rc;
}

int log_db_put_sink(struct log_db *db, uint64_t stream, uint64_t file, const struct log_db_sink *s)
{
    sqlite3_stmt *st = db->st[LOG_DB_PUT_SINK];

    bind(st, 1, (const uint64_t[]){stream, file, s->cursor, s->mid, s->drop_lines, s->drop_bytes}, 6);
    return run(st);
}

int log_db_drop_sinks(struct log_db *db, uint64_t stream)
{
    bind(db->st[LOG_DB_DROP_SINKS], 1, &stream, 1);
    return run(db->st[LOG_DB_DROP_SINKS]);
}

int log_db_find_batch(struct log_db *db, uint64_t stream, struct log_batch *out)
{
    sqlite3_stmt *st = db->st[LOG_DB_FIND_BATCH];
    int rc;

    bind(st, 1, &stream, 1);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *out = (struct log_batch){.first = column(st, 0),
                                  .last = column(st, 1),
                                  .first_us = column(st, 2),
                                  .last_us = column(st, 3),
                                  .lines = column(st, 4),
                                  .bytes = column(st, 5)};
    sqlite3_reset(st);
    return rc;
}

int log_db_put_batch(struct log_db *db, uint64_t stream, const struct log_batch *b)
{
    sqlite3_stmt *st = db->st[LOG_DB_PUT_BATCH];

    bind(st, 1, (const uint64_t[]){stream, b->first, b->last, b->first_us, b->last_us, b->lines, b->bytes},
         7);
    return run(st);
}
