#include "daemon/store_db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "daemon/store_files.h"
#include "daemon/store_schema.h"
#include "daemon/store_table.h"

#define BUSY_MS 1000 /* how long somebody with sqlite3 may hold the write lock before a commit fails */

static int errno_of(sqlite3 *h, int code)
{
    int sys = h ? sqlite3_system_errno(h) : 0;

    switch (code & 0xff) {
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return sys == ENOSPC || sys == EDQUOT ? -ENOSPC : sys ? -sys : -EIO;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return -EROFS;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EBADMSG;
    case SQLITE_NOMEM:
        return -ENOMEM;
    default:
        return -EINVAL;
    }
}

int store_db_error(sqlite3 *h, int code, struct err *e, const char *what)
{
    int rc = errno_of(h, code);
    const char *words = h && (code & 0xff) != SQLITE_FULL ? sqlite3_errmsg(h) : sqlite3_errstr(code & 0xff);

    if (rc == -ENOSPC)
        words = "no space left on the disk";
    return err_set(e, rc, "state.db: cannot %s: %s", what, words);
}

static int exec(sqlite3 *h, const char *sql, struct err *e, const char *what)
{
    int code = sqlite3_exec(h, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? 0 : store_db_error(h, code, e, what);
}

/* One value of one row, as text. */
static int query_text(sqlite3 *h, const char *sql, char *out, size_t cap)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(h, sql, -1, &stmt, NULL);

    if (code == SQLITE_OK) {
        code = sqlite3_step(stmt);
        if (code == SQLITE_ROW) {
            const char *text = (const char *)sqlite3_column_text(stmt, 0);

            snprintf(out, cap, "%s", text ? text : "");
            code = SQLITE_OK;
        }
    }
    sqlite3_finalize(stmt);
    return code;
}

static int query_int(sqlite3 *h, const char *sql, int *out)
{
    char text[32] = "";
    int code = query_text(h, sql, text, sizeof(text));

    *out = atoi(text);
    return code;
}

/* Is this ours, and of a version that is known? Nothing has been written when this fails. */
static int check_version(sqlite3 *h, int *version, struct err *e)
{
    int application = 0;
    int code = query_int(h, "PRAGMA user_version", version);

    if (code == SQLITE_OK)
        code = query_int(h, "PRAGMA application_id", &application);
    if (code != SQLITE_OK)
        return store_db_error(h, code, e, "read it");
    if (application && application != STORE_APPLICATION_ID)
        return err_set(e, -EBADMSG, "state.db: this is another program's database");
    if (*version > store_schema_version())
        return err_set(e, -EPROTO,
                       "state.db was written by a newer pm (its version is %d, this pm knows %d); "
                       "update pm, or move state.db away",
                       *version, store_schema_version());
    if (*version < 0)
        return err_set(e, -EBADMSG, "state.db: version %d cannot be", *version);
    return 0;
}

static int check_health(sqlite3 *h, struct err *e)
{
    char word[200] = "";
    int code = query_text(h, "PRAGMA quick_check(1)", word, sizeof(word));

    if (code != SQLITE_OK)
        return store_db_error(h, code, e, "check it");
    if (strcmp(word, "ok") != 0)
        return err_set(e, -EBADMSG, "state.db is damaged: %s", word);
    return 0;
}

/* The texts that do not come from the tables' columns. */
static const char *const fixed_sql[STMT_COUNT] = {
    [STMT_DEL_APP] = "DELETE FROM app WHERE id=?1",
    [STMT_DEL_PROCESS] = "DELETE FROM process WHERE id=?1",
    [STMT_DEL_PROCESS_RUNS] = "DELETE FROM run WHERE process=?1",
    [STMT_PRUNE_RUNS] = ("DELETE FROM run WHERE process=?1 AND run<"
                         "(SELECT run FROM run WHERE process=?1 ORDER BY run DESC LIMIT 1 OFFSET 99)"),
    [STMT_PRUNE_EVENTS] = "DELETE FROM event WHERE id<=?1-10000",
    [STMT_DEL_SAVED] = "DELETE FROM saved WHERE key=?1",
    [STMT_DEL_SETTING] = "DELETE FROM setting WHERE key=?1",
    [STMT_PUT_META] = "INSERT OR REPLACE INTO meta(key,value) VALUES(?1,?2)",
    [STMT_RESET_APPS] = "DELETE FROM app",
    [STMT_RESET_PROCESSES] = "DELETE FROM process",
    [STMT_RESET_SAVED] = "DELETE FROM saved",
    [STMT_RESET_SETTINGS] = "DELETE FROM setting",
};

static void sql_of(enum store_stmt i, struct buf *out)
{
    switch (i) {
    case STMT_PUT_APP:
        table_put_sql(&store_table_app, out);
        break;
    case STMT_PUT_PROCESS:
        table_put_sql(&store_table_process, out);
        break;
    case STMT_PUT_RUN:
        table_put_sql(&store_table_run, out);
        break;
    case STMT_PUT_EVENT:
        table_put_sql(&store_table_event, out);
        break;
    case STMT_PUT_SAVED:
        table_put_sql(&store_table_saved, out);
        break;
    case STMT_PUT_SETTING:
        table_put_sql(&store_table_setting, out);
        break;
    case STMT_GET_RUNS:
        table_get_sql(&store_table_run, out);
        buf_puts(out, " WHERE process=?1 ORDER BY run DESC LIMIT ?2");
        break;
    case STMT_GET_EVENTS:
        table_get_sql(&store_table_event, out);
        buf_puts(out, " WHERE time_ms>=?1 ORDER BY id DESC LIMIT ?2");
        break;
    default:
        buf_puts(out, fixed_sql[i]);
        break;
    }
}

static int prepare_all(struct store_db *db, struct err *e)
{
    for (int i = 0; i < STMT_COUNT; i++) {
        struct buf sql = {0};
        int code;

        sql_of(i, &sql);
        code = sqlite3_prepare_v3(db->h, sql.data, -1, SQLITE_PREPARE_PERSISTENT, &db->stmt[i], NULL);
        buf_free(&sql);
        if (code == SQLITE_ERROR) /* a table or column is not there */
            return err_set(e, -EBADMSG, "state.db: %s", sqlite3_errmsg(db->h));
        if (code != SQLITE_OK)
            return store_db_error(db->h, code, e, "read it");
    }
    return 0;
}

static int set_up(struct store_db *db, enum store_open_mode mode, struct err *e)
{
    int version = 0, code, rc;

    sqlite3_busy_timeout(db->h, BUSY_MS);
    /* In exclusive mode the index of the WAL is in memory: nothing is created on a disk that may be full. */
    if (mode == STORE_OPEN_READ && (rc = exec(db->h, "PRAGMA locking_mode=EXCLUSIVE", e, "open it")) < 0)
        return rc;
    rc = exec(db->h, "PRAGMA trusted_schema=OFF;PRAGMA cell_size_check=ON", e, "open it");
    if (rc == 0)
        rc = check_version(db->h, &version, e);
    if (rc == 0 && mode != STORE_OPEN_AGAIN)
        rc = check_health(db->h, e);
    if (rc < 0 || mode == STORE_OPEN_READ)
        return rc;
    rc = exec(db->h,
              "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA journal_size_limit=4194304;"
              "PRAGMA temp_store=MEMORY",
              e, "open it for writing");
    if (rc < 0)
        return rc;
    code = store_schema_migrate(db->h, version);
    if (code == SQLITE_ERROR || code == SQLITE_CONSTRAINT)
        return err_set(e, -EBADMSG, "state.db: cannot be brought to the present version: %s",
                       sqlite3_errmsg(db->h));
    if (code != SQLITE_OK)
        return store_db_error(db->h, code, e, "bring it to the present version");
    return prepare_all(db, e);
}

int store_db_open(struct store_db *db, const char *path, enum store_open_mode mode, struct err *e)
{
    struct stat st;
    int code, rc;

    *db = (struct store_db){0};
    if (lstat(path, &st) < 0)
        return err_errno(e, "cannot find %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, -EBADMSG, "%s is not a file", path);
    if (st.st_size == 0) /* SQLite takes it for a new database and deletes its WAL */
        return err_set(e, -EBADMSG, "state.db is empty");
    if (mode == STORE_OPEN_CHECKED && store_files_wal_damaged(path))
        return err_set(e, -EBADMSG, "state.db is damaged: its state.db-wal is not one");
    if (st.st_mode & 077)
        chmod(path, 0600);
    db->dev = st.st_dev;
    db->ino = st.st_ino;
    code = sqlite3_open_v2(path, &db->h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    rc = code == SQLITE_OK ? set_up(db, mode, e) : store_db_error(db->h, code, e, "open it");
    if (rc < 0)
        store_db_close(db, false);
    return rc;
}

static int fill_new(sqlite3 *h, const struct store_identity *id, struct err *e)
{
    char sql[400];
    int code = sqlite3_exec(h, "PRAGMA journal_mode=MEMORY;PRAGMA synchronous=OFF", NULL, NULL, NULL);

    if (code == SQLITE_OK)
        code = store_schema_migrate(h, 0);
    if (code != SQLITE_OK)
        return store_db_error(h, code, e, "create it");
    snprintf(
        sql, sizeof(sql),
        "INSERT OR REPLACE INTO meta(key,value) VALUES('home_id','%s'),('next_run',%llu),('next_app',%llu)",
        id->home_id, (unsigned long long)id->next_run, (unsigned long long)id->next_app);
    return exec(h, sql, e, "create it");
}

int store_db_create(const char *path, const struct store_identity *id, struct err *e)
{
    _cleanup_free_ char *tmp = xasprintf("%s.new", path);
    sqlite3 *h = NULL;
    int rc = store_files_make_empty(tmp, e), code;

    if (rc < 0)
        return rc;
    code = sqlite3_open_v2(tmp, &h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    rc = code == SQLITE_OK ? fill_new(h, id, e) : store_db_error(h, code, e, "create it");
    sqlite3_close_v2(h);
    if (rc < 0) {
        unlink(tmp);
        return rc;
    }
    return store_files_publish(tmp, path, e);
}

void store_db_close(struct store_db *db, bool intact)
{
    for (int i = 0; i < STMT_COUNT; i++)
        sqlite3_finalize(db->stmt[i]);
    if (db->h && !intact)
        sqlite3_db_config(db->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close_v2(db->h);
    *db = (struct store_db){0};
}

static bool same_file(const char *path, dev_t dev, ino_t ino)
{
    struct stat st;

    return lstat(path, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

bool store_db_moved(struct store_db *db, const char *path)
{
    _cleanup_free_ char *wal = xasprintf("%s-wal", path);
    struct stat st;

    if (!same_file(path, db->dev, db->ino))
        return true;
    /* The WAL is made by the first write and then stays until the last connection closes. */
    if (!db->wal_ino)
        db->wal_ino = lstat(wal, &st) == 0 ? st.st_ino : 0;
    return db->wal_ino && !same_file(wal, db->dev, db->wal_ino);
}

int store_db_backup(struct store_db *db, const char *to, struct err *e)
{
    _cleanup_free_ char *tmp = xasprintf("%s.tmp", to);
    _cleanup_free_ char *journal = xasprintf("%s-journal", tmp);
    sqlite3_stmt *stmt = NULL;
    int rc = store_files_make_empty(tmp, e), code;

    if (rc < 0)
        return rc;
    unlink(journal); /* of a copy that was interrupted: it would be rolled back into this one */
    code = sqlite3_prepare_v2(db->h, "VACUUM INTO ?1", -1, &stmt, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(stmt, 1, tmp, -1, SQLITE_STATIC);
    if (code == SQLITE_OK && (code = sqlite3_step(stmt)) == SQLITE_DONE)
        code = SQLITE_OK;
    sqlite3_finalize(stmt);
    if (code != SQLITE_OK) {
        rc = store_db_error(db->h, code, e, "make the copy");
        unlink(tmp);
        return rc;
    }
    /* Also move what is in the WAL to the file itself, so that the WAL alone never holds much. */
    sqlite3_wal_checkpoint_v2(db->h, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return store_files_publish(tmp, to, e);
}
