/* The part of store_db.h that writes and reads rows. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "daemon/store_db.h"
#include "daemon/store_table.h"

static const char *const meta_names[META_KEY_COUNT] = {
    [META_NEXT_RUN] = "next_run",
    [META_NEXT_APP] = "next_app",
    [META_LAST_RUN] = "last_run",
    [META_STOPPED] = "stopped",
};

/* Runs a statement to its end and makes it ready for the next time. */
static int finish(sqlite3_stmt *stmt)
{
    int code = sqlite3_step(stmt);
    int reset = sqlite3_reset(stmt);

    sqlite3_clear_bindings(stmt);
    return code == SQLITE_DONE || code == SQLITE_ROW ? reset : code;
}

static int run_with_id(struct store_db *db, enum store_stmt which, uint64_t id)
{
    int code = sqlite3_bind_int64(db->stmt[which], 1, (sqlite3_int64)id);

    return code == SQLITE_OK ? finish(db->stmt[which]) : code;
}

static int put_row(struct store_db *db, enum store_stmt which, const struct table *t, const void *row)
{
    int code = table_bind(t, db->stmt[which], row);

    return code == SQLITE_OK ? finish(db->stmt[which]) : code;
}

static int put_text(struct store_db *db, enum store_stmt put, enum store_stmt del, const struct table *t,
                    const struct store_text *row)
{
    if (row->value)
        return put_row(db, put, t, row);
    sqlite3_bind_text(db->stmt[del], 1, row->key, -1, SQLITE_STATIC);
    return finish(db->stmt[del]);
}

static int reset(struct store_db *db)
{
    static const enum store_stmt all[] = {STMT_RESET_APPS, STMT_RESET_PROCESSES, STMT_RESET_SAVED,
                                          STMT_RESET_SETTINGS};
    int code = SQLITE_OK;

    for (size_t i = 0; i < ARRAY_LEN(all) && code == SQLITE_OK; i++)
        code = finish(db->stmt[all[i]]);
    return code;
}

static int put_meta_text(struct store_db *db, const char *key, const char *value)
{
    sqlite3_stmt *stmt = db->stmt[STMT_PUT_META];

    sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 2, value, -1, SQLITE_STATIC);
    return finish(stmt);
}

static int put_meta(struct store_db *db, const struct store_meta_row *row)
{
    sqlite3_stmt *stmt = db->stmt[STMT_PUT_META];

    sqlite3_bind_text(stmt, 1, meta_names[row->key], -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, (sqlite3_int64)row->value);
    return finish(stmt);
}

static int put_process(struct store_db *db, const struct store_process *p)
{
    char boot[37];
    int code;

    /* The boot id says of which boot the pids in the rows are, so it changes with the first such row. */
    if (!db->boot_stored) {
        fs_boot_id(boot);
        code = put_meta_text(db, "boot_id", boot);
        if (code != SQLITE_OK)
            return code;
        db->boot_stored = true;
    }
    return put_row(db, STMT_PUT_PROCESS, &store_table_process, p);
}

static int put_run(struct store_db *db, const struct store_run *run)
{
    int code = put_row(db, STMT_PUT_RUN, &store_table_run, run);

    /* One run in 16 prunes, by a hash of its id: a plain counter could miss one of several processes that
     * restart in turn. */
    if (code == SQLITE_OK && (uint32_t)run->run * 2654435761u >> 28 == 0)
        code = run_with_id(db, STMT_PRUNE_RUNS, run->process);
    return code;
}

static int put_event(struct store_db *db, const struct store_event *ev)
{
    int code = put_row(db, STMT_PUT_EVENT, &store_table_event, ev);
    uint64_t id = (uint64_t)sqlite3_last_insert_rowid(db->h);

    return code == SQLITE_OK && id % 256 == 0 ? run_with_id(db, STMT_PRUNE_EVENTS, id) : code;
}

static int apply(struct store_db *db, const struct store_op *op)
{
    int code;

    switch (op->kind) {
    case OP_PUT_APP:
        return put_row(db, STMT_PUT_APP, &store_table_app, &op->app);
    case OP_DEL_APP:
        return run_with_id(db, STMT_DEL_APP, op->app.id);
    case OP_PUT_PROCESS:
        return put_process(db, &op->process);
    case OP_DEL_PROCESS:
        code = run_with_id(db, STMT_DEL_PROCESS, op->process.id);
        return code == SQLITE_OK ? run_with_id(db, STMT_DEL_PROCESS_RUNS, op->process.id) : code;
    case OP_PUT_RUN:
        return put_run(db, &op->run);
    case OP_PUT_EVENT:
        return put_event(db, &op->event);
    case OP_PUT_SAVED:
        return put_text(db, STMT_PUT_SAVED, STMT_DEL_SAVED, &store_table_saved, &op->text);
    case OP_PUT_SETTING:
        return put_text(db, STMT_PUT_SETTING, STMT_DEL_SETTING, &store_table_setting, &op->text);
    case OP_META:
        return put_meta(db, &op->meta);
    case OP_RESET:
        return reset(db);
    case OP_COMMIT:
    case OP_GET_RUNS:
    case OP_GET_EVENTS:
        break;
    }
    return SQLITE_OK;
}

void store_db_rollback(struct store_db *db)
{
    if (!sqlite3_get_autocommit(db->h))
        sqlite3_exec(db->h, "ROLLBACK", NULL, NULL, NULL);
    db->boot_stored = false; /* it may have been in what was rolled back */
}

int store_db_begin(struct store_db *db, struct err *e)
{
    int code = sqlite3_exec(db->h, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    return code == SQLITE_OK ? 0 : store_db_error(db->h, code, e, "write to it");
}

int store_db_apply(struct store_db *db, const struct store_op *op, struct err *e)
{
    int code = apply(db, op), rc;

    if (code == SQLITE_OK)
        return 0;
    rc = store_db_error(db->h, code, e, "write to it");
    /* -EINVAL is the fault of the row alone: the statement was undone, and the rest can go on, unless SQLite
     * ended the transaction. */
    if (rc != -EINVAL || sqlite3_get_autocommit(db->h)) {
        store_db_rollback(db);
        return rc == -EINVAL ? -EIO : rc;
    }
    return rc;
}

int store_db_commit(struct store_db *db, struct err *e)
{
    int code = sqlite3_exec(db->h, "COMMIT", NULL, NULL, NULL), rc;

    if (code == SQLITE_OK)
        return 0;
    rc = store_db_error(db->h, code, e, "write to it");
    store_db_rollback(db);
    return rc;
}

int store_db_get_runs(struct store_db *db, uint32_t process, unsigned limit, struct store_run **runs,
                      size_t *n, struct err *e)
{
    sqlite3_stmt *stmt = db->stmt[STMT_GET_RUNS];
    void *rows = NULL;
    int code;

    sqlite3_bind_int64(stmt, 1, process);
    sqlite3_bind_int64(stmt, 2, limit);
    code = table_read_all(&store_table_run, stmt, &rows, n);
    *runs = rows;
    return code == SQLITE_OK ? 0 : store_db_error(db->h, code, e, "read it");
}

int store_db_get_events(struct store_db *db, uint64_t since_ms, unsigned limit, struct store_event **events,
                        size_t *n, struct err *e)
{
    sqlite3_stmt *stmt = db->stmt[STMT_GET_EVENTS];
    void *rows = NULL;
    int code;

    sqlite3_bind_int64(stmt, 1, (sqlite3_int64)since_ms);
    sqlite3_bind_int64(stmt, 2, limit);
    code = table_read_all(&store_table_event, stmt, &rows, n);
    *events = rows;
    return code == SQLITE_OK ? 0 : store_db_error(db->h, code, e, "read it");
}

static void read_meta_row(struct store_image *image, const char *key, sqlite3_stmt *stmt)
{
    const char *text = (const char *)sqlite3_column_text(stmt, 1);
    uint64_t number = (uint64_t)sqlite3_column_int64(stmt, 1);

    if (strcmp(key, "home_id") == 0)
        snprintf(image->home_id, sizeof(image->home_id), "%s", text);
    else if (strcmp(key, "boot_id") == 0)
        snprintf(image->boot_id, sizeof(image->boot_id), "%s", text);
    else if (strcmp(key, meta_names[META_NEXT_RUN]) == 0)
        image->next_run = number;
    else if (strcmp(key, meta_names[META_NEXT_APP]) == 0)
        image->next_app = number;
    else if (strcmp(key, meta_names[META_LAST_RUN]) == 0)
        image->last_run = number;
    else if (strcmp(key, meta_names[META_STOPPED]) == 0)
        image->ended = number > STORE_FORGOTTEN ? STORE_NOT_ENDED : (enum store_end)number;
}

static int load_meta(sqlite3 *h, struct store_image *image)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(h, "SELECT key,value FROM meta", -1, &stmt, NULL);

    while (code == SQLITE_OK && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *key = (const char *)sqlite3_column_text(stmt, 0);

        if (key && sqlite3_column_text(stmt, 1))
            read_meta_row(image, key, stmt);
        code = SQLITE_OK;
    }
    sqlite3_finalize(stmt);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int load_table(sqlite3 *h, const struct table *t, void **rows, size_t *n)
{
    struct buf sql = {0};
    sqlite3_stmt *stmt = NULL;
    int code;

    table_get_sql(t, &sql);
    buf_puts(&sql, " ORDER BY 1");
    code = sqlite3_prepare_v2(h, sql.data, -1, &stmt, NULL);
    buf_free(&sql);
    if (code == SQLITE_OK)
        code = table_read_all(t, stmt, rows, n);
    sqlite3_finalize(stmt);
    return code;
}

/* A database of an earlier version that could only be opened for reading lacks the table. */
static int load_texts(sqlite3 *h, const struct table *t, struct store_text **texts, size_t *n)
{
    void *rows = NULL;
    int code = sqlite3_table_column_metadata(h, NULL, t->name, NULL, NULL, NULL, NULL, NULL, NULL);

    if (code == SQLITE_ERROR)
        return SQLITE_OK;
    if (code == SQLITE_OK)
        code = load_table(h, t, &rows, n);
    *texts = rows;
    return code;
}

/* The highest ids in the rows, in case that the reservation of ids is older than they are. */
static int load_highest(sqlite3 *h, struct store_image *image)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(h,
                                  "SELECT max(coalesce((SELECT max(run) FROM run),0),"
                                  "coalesce((SELECT max(run) FROM process),0)),"
                                  "coalesce((SELECT max(id) FROM app),0)",
                                  -1, &stmt, NULL);

    if (code == SQLITE_OK && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
        uint64_t run = (uint64_t)sqlite3_column_int64(stmt, 0), app = (uint64_t)sqlite3_column_int64(stmt, 1);

        image->last_run = image->last_run > run ? image->last_run : run;
        image->next_run = image->next_run > run ? image->next_run : run + 1;
        image->next_app = image->next_app > app ? image->next_app : app + 1;
        code = SQLITE_OK;
    }
    sqlite3_finalize(stmt);
    return code;
}

int store_db_load(struct store_db *db, struct store_image *image, struct err *e)
{
    void *apps = NULL, *processes = NULL;
    int code = load_meta(db->h, image), rc;

    if (code == SQLITE_OK)
        code = load_table(db->h, &store_table_app, &apps, &image->n_apps);
    image->apps = apps;
    if (code == SQLITE_OK)
        code = load_table(db->h, &store_table_process, &processes, &image->n_processes);
    image->processes = processes;
    if (code == SQLITE_OK)
        code = load_texts(db->h, &store_table_saved, &image->saved, &image->n_saved);
    if (code == SQLITE_OK)
        code = load_texts(db->h, &store_table_setting, &image->settings, &image->n_settings);
    if (code == SQLITE_OK)
        code = load_highest(db->h, image);
    if (code == SQLITE_OK && image->home_id[0] && image->next_run && image->next_app)
        return 0;
    rc = code == SQLITE_OK || code == SQLITE_ERROR
             ? err_set(e, -EBADMSG, "state.db: %s",
                       code == SQLITE_OK ? "its settings are missing" : sqlite3_errmsg(db->h))
             : store_db_error(db->h, code, e, "read it");
    store_image_free(image);
    return rc;
}

void store_image_free(struct store_image *image)
{
    table_free_rows(&store_table_app, image->apps, image->n_apps);
    table_free_rows(&store_table_process, image->processes, image->n_processes);
    table_free_rows(&store_table_saved, image->saved, image->n_saved);
    table_free_rows(&store_table_setting, image->settings, image->n_settings);
    image->apps = NULL;
    image->processes = NULL;
    image->saved = image->settings = NULL;
    image->n_apps = image->n_processes = image->n_saved = image->n_settings = 0;
}
