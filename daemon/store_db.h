/* One connection to state.db: what the store's thread asks of SQLite. Used by one thread at a time. */
#ifndef PM_DAEMON_STORE_DB_H
#define PM_DAEMON_STORE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <sys/types.h>

#include "daemon/store_op.h"

struct err;

/* What is known about a database beside its rows, also while it is lost: a new one is made with it. */
struct store_identity {
    char home_id[33];
    uint64_t next_run, next_app; /* ids from here on were never used */
};

enum store_stmt {
    STMT_PUT_APP,
    STMT_DEL_APP,
    STMT_PUT_PROCESS,
    STMT_DEL_PROCESS,
    STMT_DEL_PROCESS_RUNS,
    STMT_PUT_RUN,
    STMT_PRUNE_RUNS,
    STMT_PUT_EVENT,
    STMT_PRUNE_EVENTS,
    STMT_PUT_SAVED,
    STMT_DEL_SAVED,
    STMT_PUT_SETTING,
    STMT_DEL_SETTING,
    STMT_PUT_META,
    STMT_RESET_APPS,
    STMT_RESET_PROCESSES,
    STMT_RESET_SAVED,
    STMT_RESET_SETTINGS,
    STMT_GET_RUNS,
    STMT_GET_EVENTS,
    STMT_COUNT
};

struct store_db {
    sqlite3 *h; /* NULL while closed */
    sqlite3_stmt *stmt[STMT_COUNT];
    dev_t dev; /* of the file that was opened */
    ino_t ino, wal_ino;
    bool boot_stored; /* the boot id was written since the open */
};

enum store_open_mode {
    STORE_OPEN_CHECKED, /* quick_check, then migrations; the first open */
    STORE_OPEN_AGAIN,   /* as the first, without the check: it was done before in this life */
    STORE_OPEN_READ     /* reads without needing space on the disk, for store_db_load alone */
};

/*
 * Opens the file that is there. 0; -ENOENT; -EBADMSG when it is damaged or not ours; -EPROTO when a newer
 * version wrote it (it is left as it is); another negative errno. The words are in `e`.
 */
int store_db_open(struct store_db *db, const char *path, enum store_open_mode mode, struct err *e);

/* Makes a new database (there must be none) under a temporary name, and gives it its name when it is whole,
 * so that an empty or half-made file is never taken for one. 0 or negative errno. */
int store_db_create(const char *path, const struct store_identity *id, struct err *e);

/* `intact` false: the -wal and -shm that are there by name may be another file's; they are not touched. */
void store_db_close(struct store_db *db, bool intact);

/* The rows of the tables. The image's strings and arrays are on the heap. 0 or negative errno. */
int store_db_load(struct store_db *db, struct store_image *image, struct err *e);
void store_image_free(struct store_image *image);

/* One transaction. 0 or negative errno: -EBADMSG when the database is damaged. After a failure the
 * transaction is rolled back already. */
int store_db_begin(struct store_db *db, struct err *e);
int store_db_apply(struct store_db *db, const struct store_op *op, struct err *e);
int store_db_commit(struct store_db *db, struct err *e);
void store_db_rollback(struct store_db *db);

int store_db_get_runs(struct store_db *db, uint32_t process, unsigned limit, struct store_run **runs,
                      size_t *n, struct err *e);

int store_db_get_events(struct store_db *db, uint64_t since_ms, unsigned limit, struct store_event **events,
                        size_t *n, struct err *e);

/* True when the path does not lead to the open file any more: what is committed then is lost. */
bool store_db_moved(struct store_db *db, const char *path);

/* Writes a compact copy to `to`, which is replaced when the copy is whole and on the disk. */
int store_db_backup(struct store_db *db, const char *to, struct err *e);

/* The errno that fits the last failure of the connection; the words go to `e`. */
int store_db_error(sqlite3 *h, int code, struct err *e, const char *what);

#endif
