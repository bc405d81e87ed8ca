#include "daemon/log_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"
#include "daemon/log_file.h"
#include "daemon/log_schema.h"

/* Below this size a full check at opening costs less than 50 ms; above it, SQLite's own checks must do. */
#define CHECK_WHOLE (32 * 1024 * 1024)

static const char *const sql[LOG_DB_STATEMENTS] = {
    [LOG_DB_BEGIN] = "BEGIN IMMEDIATE",
    [LOG_DB_COMMIT] = "COMMIT",
    [LOG_DB_ROLLBACK] = "ROLLBACK",
    [LOG_DB_INSERT] = "INSERT INTO line (id, stream, time, flags, text) VALUES (?, ?, ?, ?, ?)",
    [LOG_DB_FIND_STREAM] = "SELECT id, boot, spool, cursor, last_id FROM stream WHERE run = ? AND kind = ?"
                           " ORDER BY id DESC LIMIT 1",
    [LOG_DB_PUT_STREAM] =
        "INSERT INTO stream (id, run, kind, process, instance, app, boot, spool, cursor, last_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET cursor = excluded.cursor, last_id = excluded.last_id",
    [LOG_DB_FIND_FILE] = "SELECT id, dev, ino, size, tail FROM file WHERE path = ?",
    [LOG_DB_PUT_FILE] = "INSERT INTO file (id, path, dev, ino, size, tail) VALUES (?, ?, ?, ?, ?, ?)"
                        " ON CONFLICT (id) DO UPDATE SET dev = excluded.dev, ino = excluded.ino,"
                        " size = excluded.size, tail = excluded.tail",
    [LOG_DB_FIND_SINK] = "SELECT cursor, mid, drop_lines, drop_bytes FROM sink WHERE stream = ? AND file = ?",
    [LOG_DB_FIND_SINK_PATH] = "SELECT f.path FROM sink k JOIN file f ON f.id = k.file WHERE k.stream = ?"
                              " ORDER BY k.file LIMIT 1 OFFSET ?",
    [LOG_DB_PUT_SINK] = "INSERT OR REPLACE INTO sink (stream, file, cursor, mid, drop_lines, drop_bytes)"
                        " VALUES (?, ?, ?, ?, ?, ?)",
    [LOG_DB_DROP_SINKS] = "DELETE FROM sink WHERE stream = ?",
    [LOG_DB_FIND_BATCH] = "SELECT first, last, first_time, last_time, lines, bytes FROM batch"
                          " WHERE stream = ? ORDER BY first DESC LIMIT 1",
    [LOG_DB_PUT_BATCH] =
        "INSERT OR REPLACE INTO batch (stream, first, last, first_time, last_time, lines, bytes)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
};

enum log_db_verdict log_db_verdict(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return LOG_DB_FINE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return LOG_DB_BAD;
    case SQLITE_FULL:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
        return LOG_DB_RETRY;
    case SQLITE_ERROR: /* a schema that lacks our tables and columns */
        return LOG_DB_BAD;
    default:
        return LOG_DB_REOPEN;
    }
}

bool log_db_moved(const struct log_db *db)
{
    struct stat st;

    return stat(db->path, &st) < 0 ? errno == ENOENT : st.st_dev != db->dev || st.st_ino != db->ino;
}

static int step(sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);

    sqlite3_reset(st);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

int log_db_step(struct log_db *db, enum log_db_statement which)
{
    return step(db->st[which]);
}

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/*
 * A file cut short can look like a new, empty one to SQLite, and what was in it would be gone without a word.
 * Its header tells how many pages there should be (file format, sections 1.3.7 and 1.3.9); with a -wal beside
 * it the missing ones may be in there, and SQLite's own checks decide.
 */
static bool is_cut_short(const struct log_db *db, int fd, off_t size)
{
    _cleanup_free_ char *wal = xasprintf("%s-wal", db->path);
    unsigned char head[100];
    uint32_t page;

    if (size == 0 || access(wal, F_OK) == 0)
        return false;
    if (pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head))
        return true;
    page = (uint32_t)head[16] << 8 | head[17];
    if (page == 1)
        page = 65536;
    return be32(head + 24) == be32(head + 92) && (uint64_t)size < (uint64_t)be32(head + 28) * page;
}

/* SQLite would create the file with the umask's mode; its -wal and -shm take over what the file has. */
static int create_private(struct log_db *db)
{
    _cleanup_close_ int fd = open(db->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return SQLITE_CANTOPEN;
    db->dev = st.st_dev;
    db->ino = st.st_ino;
    if ((st.st_mode & 077) && fchmod(fd, 0600) < 0)
        return SQLITE_CANTOPEN;
    return is_cut_short(db, fd, st.st_size) ? SQLITE_CORRUPT : SQLITE_OK;
}

static int next_key(sqlite3 *handle, const char *query, uint64_t *next)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(handle, query, -1, &st, NULL);

    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        uint64_t found = (uint64_t)sqlite3_column_int64(st, 0) + 1;

        if (found > *next)
            *next = found;
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    return rc;
}

/* A damaged page may accept inserts for a long time: better to know before than to lose them later. */
static int check(sqlite3 *handle, const char *path)
{
    sqlite3_stmt *st = NULL;
    struct stat size;
    int rc;

    if (stat(path, &size) < 0 || size.st_size > CHECK_WHOLE)
        return SQLITE_OK;
    rc = sqlite3_prepare_v2(handle, "PRAGMA quick_check(1)", -1, &st, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
        rc = strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0 ? SQLITE_OK : SQLITE_CORRUPT;
    sqlite3_finalize(st);
    return rc;
}

static int set_up(struct log_db *db)
{
    sqlite3 *h = db->handle;
    int rc = sqlite3_exec(h, log_schema_new, NULL, NULL, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_exec(h, log_schema_writer, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = check(h, db->path);
    if (rc == SQLITE_OK)
        rc = log_schema_migrate(h);
    if (rc == SQLITE_OK)
        rc = next_key(h,
                      "SELECT max(coalesce((SELECT max(id) FROM line), 0),"
                      " coalesce((SELECT max(last_id) FROM stream), 0),"
                      " coalesce((SELECT value - 1 FROM meta WHERE key = 'next_row'), 0))",
                      &db->next_row);
    if (rc == SQLITE_OK)
        rc = next_key(h, "SELECT coalesce(max(id), 0) FROM stream", &db->next_stream);
    if (rc == SQLITE_OK)
        rc = next_key(h, "SELECT coalesce(max(id), 0) FROM file", &db->next_file);
    for (int i = 0; i < LOG_DB_STATEMENTS && rc == SQLITE_OK; i++)
        rc = sqlite3_prepare_v3(h, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &db->st[i], NULL);
    return rc;
}

int log_db_open(struct log_db *db, const char *path, char why[256])
{
    int rc;

    free(db->path);
    db->path = xstrdup(path);
    rc = create_private(db);
    if (rc != SQLITE_OK) {
        if (why)
            snprintf(why, 256, "%s", rc == SQLITE_CORRUPT ? "the file is cut short" : strerror(errno));
        return rc;
    }
    rc = sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (db->handle)
        sqlite3_busy_timeout(db->handle, 1000);
    if (rc == SQLITE_OK)
        rc = set_up(db);
    if (rc == SQLITE_OK)
        return rc;
    if (db->handle && sqlite3_errcode(db->handle) == SQLITE_OK)
        snprintf(why ? why : (char[256]){0}, 256, "%s", sqlite3_errstr(rc));
    else if (why)
        snprintf(why, 256, "%s", db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc));
    log_db_close(db, false);
    return rc;
}

void log_db_close(struct log_db *db, bool checkpoint)
{
    for (int i = 0; i < LOG_DB_STATEMENTS; i++) {
        sqlite3_finalize(db->st[i]);
        db->st[i] = NULL;
    }
    if (db->handle && !checkpoint)
        sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close(db->handle);
    db->handle = NULL;
}

int log_db_set_aside(const char *path, char **to)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char stamp[32];
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
    *to = xasprintf("%s.corrupt-%s", path, stamp);
    /* Two in one second must not overwrite each other. */
    for (int i = 2; access(*to, F_OK) == 0; i++) {
        free(*to);
        *to = xasprintf("%s.corrupt-%s-%d", path, stamp, i);
    }
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        _cleanup_free_ char *from = xasprintf("%s%s", path, suffixes[i]);
        _cleanup_free_ char *dest = xasprintf("%s%s", *to, suffixes[i]);

        if (rename(from, dest) < 0 && errno != ENOENT)
            return -errno;
    }
    return 0;
}

int log_db_insert(struct log_db *db, uint64_t id, uint64_t stream, uint64_t time_us, unsigned flags,
                  const char *text, size_t len)
{
    sqlite3_stmt *st = db->st[LOG_DB_INSERT];

    sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)stream);
    sqlite3_bind_int64(st, 3, (sqlite3_int64)time_us);
    sqlite3_bind_int64(st, 4, flags);
    sqlite3_bind_blob(st, 5, text, (int)len, SQLITE_STATIC);
    return step(st);
}
