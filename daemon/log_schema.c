#include "daemon/log_schema.h"

#include <stdio.h>

#include "common/mem.h"

/* 8 KiB pages: a third more rows per second than 4 KiB; more would make small commits expensive. */
const char log_schema_new[] = "PRAGMA page_size = 16384;"
                              "PRAGMA auto_vacuum = INCREMENTAL;";

const char log_schema_writer[] = "PRAGMA journal_mode = WAL;"
                                 "PRAGMA synchronous = NORMAL;"
                                 "PRAGMA secure_delete = OFF;"
                                 "PRAGMA cache_size = -1024;"
                                 "PRAGMA temp_store = MEMORY;"
                                 "PRAGMA wal_autocheckpoint = 500;"
                                 "PRAGMA journal_size_limit = 16777216;";

/*
 * line    every line; the row id is the only key, so that inserting is appending. No index on time: `batch`
 *         leads to the rows of a stream.
 * stream  one of a run's two outputs in one spool; carries the names that the rows need. Keys are never
 *         reused. A run whose spool was lost gets a second one.
 * batch   which row ids contain lines of a stream, and their times.
 * file    a flat file as of the last commit, `tail` = the (run, kind) key of an unfinished line at its end.
 * sink    how far a stream has been written to a file.
 * meta    next_row: a lower bound for new row ids, to be raised by whoever deletes the newest rows.
 */
static const char *const migrations[] = {
    "CREATE TABLE line (id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, time INTEGER NOT NULL,"
    "                   flags INTEGER NOT NULL, text BLOB NOT NULL);"
    "CREATE TABLE stream (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, kind INTEGER NOT NULL,"
    "                     process INTEGER NOT NULL, instance INTEGER NOT NULL, app TEXT NOT NULL,"
    "                     boot TEXT NOT NULL, spool INTEGER NOT NULL, cursor INTEGER NOT NULL,"
    "                     last_id INTEGER NOT NULL);"
    "CREATE INDEX stream_run ON stream (run, kind);"
    "CREATE INDEX stream_process ON stream (process);"
    "CREATE TABLE batch (stream INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,"
    "                    first_time INTEGER NOT NULL, last_time INTEGER NOT NULL, lines INTEGER NOT NULL,"
    "                    bytes INTEGER NOT NULL, PRIMARY KEY (stream, first)) WITHOUT ROWID;"
    "CREATE TABLE file (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, dev INTEGER NOT NULL,"
    "                   ino INTEGER NOT NULL, size INTEGER NOT NULL, tail INTEGER NOT NULL);"
    "CREATE TABLE sink (stream INTEGER NOT NULL, file INTEGER NOT NULL, cursor INTEGER NOT NULL,"
    "                   mid INTEGER NOT NULL, drop_lines INTEGER NOT NULL, drop_bytes INTEGER NOT NULL,"
    "                   PRIMARY KEY (stream, file)) WITHOUT ROWID;"
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE VIEW log AS SELECT"
    "  strftime('%Y-%m-%dT%H:%M:%S', l.time / 1000000, 'unixepoch')"
    "    || printf('.%06dZ', l.time % 1000000) AS time,"
    "  s.app AS app, s.instance AS instance, s.run AS run,"
    "  CASE s.kind WHEN 1 THEN 'out' ELSE 'err' END AS stream, CAST(l.text AS TEXT) AS line"
    "  FROM line l JOIN stream s ON s.id = l.stream;",
    /* From the oldest row to the newest, whosever it is: for those who delete. */
    "CREATE INDEX batch_first ON batch (first);",
    /* Levels as in log_level.h, which keeps them in bits 4 to 6. */
    "DROP VIEW log;"
    "CREATE VIEW log AS SELECT"
    "  strftime('%Y-%m-%dT%H:%M:%S', l.time / 1000000, 'unixepoch')"
    "    || printf('.%06dZ', l.time % 1000000) AS time,"
    "  s.app AS app, s.instance AS instance, s.run AS run,"
    "  CASE s.kind WHEN 1 THEN 'out' ELSE 'err' END AS stream, CAST(l.text AS TEXT) AS line,"
    "  CASE l.flags >> 4 & 7 WHEN 1 THEN 'trace' WHEN 2 THEN 'debug' WHEN 3 THEN 'info' WHEN 4 THEN 'warn'"
    "    WHEN 5 THEN 'error' WHEN 6 THEN 'fatal' END AS level"
    "  FROM line l JOIN stream s ON s.id = l.stream;",
};

static int version_of(sqlite3 *handle, int *version)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(handle, "PRAGMA user_version", -1, &st, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
        *version = rc == SQLITE_ROW ? sqlite3_column_int(st, 0) : 0;
        rc = rc == SQLITE_ROW ? SQLITE_OK : rc;
    }
    sqlite3_finalize(st);
    return rc;
}

int log_schema_migrate(sqlite3 *handle)
{
    int version = 0, rc = version_of(handle, &version);

    for (int i = version; rc == SQLITE_OK && i < (int)ARRAY_LEN(migrations); i++) {
        _cleanup_free_ char *sql =
            xasprintf("BEGIN IMMEDIATE; %s PRAGMA user_version = %d; COMMIT;", migrations[i], i + 1);

        rc = sqlite3_exec(handle, sql, NULL, NULL, NULL);
        if (rc != SQLITE_OK)
            sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
    }
    return rc;
}
