#include "daemon/store_table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "daemon/store_op.h"

#define COLUMN(row, field, type)                                                                             \
    {                                                                                                        \
#field, type, offsetof(struct row, field)                                                            \
    }

static const struct column app_columns[] = {
    COLUMN(store_app, id, COL_U64),
    COLUMN(store_app, json, COL_TEXT),
};

static const struct column process_columns[] = {
    COLUMN(store_process, id, COL_U32),
    COLUMN(store_process, app, COL_U64),
    COLUMN(store_process, instance, COL_U32),
    COLUMN(store_process, state, COL_TEXT),
    COLUMN(store_process, desired, COL_TEXT),
    COLUMN(store_process, reason, COL_TEXT),
    COLUMN(store_process, fresh, COL_BOOL),
    COLUMN(store_process, run, COL_U64),
    COLUMN(store_process, pid, COL_I32),
    COLUMN(store_process, start_ticks, COL_U64),
    COLUMN(store_process, pipe_out, COL_U64),
    COLUMN(store_process, pipe_err, COL_U64),
    COLUMN(store_process, pipe_in, COL_U64),
    COLUMN(store_process, created_ms, COL_U64),
    COLUMN(store_process, started_ms, COL_U64),
    COLUMN(store_process, online_ms, COL_U64),
    COLUMN(store_process, signaled_ms, COL_U64),
    COLUMN(store_process, deadline_ms, COL_U64),
    COLUMN(store_process, restarts, COL_U32),
    COLUMN(store_process, unstable, COL_U32),
    COLUMN(store_process, backoff_delay, COL_U32),
    COLUMN(store_process, last_run, COL_U64),
    COLUMN(store_process, last_started_ms, COL_U64),
    COLUMN(store_process, last_ended_ms, COL_U64),
    COLUMN(store_process, last_reason, COL_TEXT),
    COLUMN(store_process, last_exit_code, COL_I32),
    COLUMN(store_process, last_signal, COL_I32),
    COLUMN(store_process, last_core, COL_I32),
    COLUMN(store_process, last_step, COL_I32),
    COLUMN(store_process, last_error, COL_I32),
    COLUMN(store_process, scheduled_s, COL_U64),
};

static const struct column run_columns[] = {
    COLUMN(store_run, run, COL_U64),
    COLUMN(store_run, process, COL_U32),
    COLUMN(store_run, app, COL_U64),
    COLUMN(store_run, app_name, COL_TEXT),
    COLUMN(store_run, instance, COL_U32),
    COLUMN(store_run, pid, COL_I32),
    COLUMN(store_run, started_ms, COL_U64),
    COLUMN(store_run, ended_ms, COL_U64),
    COLUMN(store_run, exit_code, COL_I32),
    COLUMN(store_run, signal, COL_I32),
    COLUMN(store_run, core, COL_BOOL),
    COLUMN(store_run, reason, COL_TEXT),
    COLUMN(store_run, detail, COL_TEXT),
    {"asked_by", COL_TEXT, offsetof(struct store_run, by)}, /* BY is a word of SQL */
    COLUMN(store_run, maxrss_bytes, COL_U64),
    COLUMN(store_run, utime_us, COL_U64),
    COLUMN(store_run, stime_us, COL_U64),
};

static const struct column event_columns[] = {
    COLUMN(store_event, time_ms, COL_U64), COLUMN(store_event, kind, COL_TEXT),
    COLUMN(store_event, process, COL_U32), COLUMN(store_event, run, COL_U64),
    COLUMN(store_event, json, COL_TEXT),
};

static const struct column text_columns[] = {
    COLUMN(store_text, key, COL_TEXT),
    COLUMN(store_text, value, COL_TEXT),
};

#define TABLE(table_name, columns, row)                                                                      \
    {                                                                                                        \
        table_name, columns, ARRAY_LEN(columns), sizeof(struct row)                                          \
    }

const struct table store_table_app = TABLE("app", app_columns, store_app);
const struct table store_table_process = TABLE("process", process_columns, store_process);
const struct table store_table_run = TABLE("run", run_columns, store_run);
const struct table store_table_event = TABLE("event", event_columns, store_event);
const struct table store_table_saved = TABLE("saved", text_columns, store_text);
const struct table store_table_setting = TABLE("setting", text_columns, store_text);

static void column_names(const struct table *t, struct buf *out)
{
    for (size_t i = 0; i < t->n_columns; i++)
        buf_printf(out, "%s%s", i ? "," : "", t->columns[i].name);
}

void table_put_sql(const struct table *t, struct buf *out)
{
    buf_printf(out, "INSERT OR REPLACE INTO %s(", t->name);
    column_names(t, out);
    buf_puts(out, ") VALUES(");
    for (size_t i = 0; i < t->n_columns; i++)
        buf_puts(out, i ? ",?" : "?");
    buf_putc(out, ')');
}

void table_get_sql(const struct table *t, struct buf *out)
{
    buf_puts(out, "SELECT ");
    column_names(t, out);
    buf_printf(out, " FROM %s", t->name);
}

static int bind_column(const struct column *c, sqlite3_stmt *stmt, int at, const void *field)
{
    switch (c->type) {
    case COL_U64:
        return sqlite3_bind_int64(stmt, at, (sqlite3_int64) * (const uint64_t *)field);
    case COL_U32:
        return sqlite3_bind_int64(stmt, at, *(const uint32_t *)field);
    case COL_I32:
        return sqlite3_bind_int64(stmt, at, *(const int32_t *)field);
    case COL_BOOL:
        return sqlite3_bind_int(stmt, at, *(const bool *)field);
    case COL_TEXT:
        return sqlite3_bind_text(stmt, at, *(const char *const *)field, -1, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

int table_bind(const struct table *t, sqlite3_stmt *stmt, const void *row)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        int rc = bind_column(&t->columns[i], stmt, (int)i + 1, (const char *)row + t->columns[i].offset);

        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

void table_read(const struct table *t, sqlite3_stmt *stmt, void *row)
{
    memset(row, 0, t->row_size);
    for (size_t i = 0; i < t->n_columns; i++) {
        void *field = (char *)row + t->columns[i].offset;
        sqlite3_int64 v = sqlite3_column_int64(stmt, (int)i);

        switch (t->columns[i].type) {
        case COL_U64:
            *(uint64_t *)field = (uint64_t)v;
            break;
        case COL_U32:
            *(uint32_t *)field = (uint32_t)v;
            break;
        case COL_I32:
            *(int32_t *)field = (int32_t)v;
            break;
        case COL_BOOL:
            *(bool *)field = v != 0;
            break;
        case COL_TEXT:
            *(char **)field = xstrdup((const char *)sqlite3_column_text(stmt, (int)i));
            break;
        }
    }
}

void table_free_row(const struct table *t, void *row)
{
    for (size_t i = 0; i < t->n_columns; i++)
        if (t->columns[i].type == COL_TEXT)
            free(*(char **)((char *)row + t->columns[i].offset));
}

int table_read_all(const struct table *t, sqlite3_stmt *stmt, void **rows, size_t *n)
{
    char *list = NULL;
    size_t count = 0, cap = 0;
    int rc;

    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (count == cap) {
            cap = cap ? cap * 2 : 16;
            list = xrealloc(list, cap * t->row_size);
        }
        table_read(t, stmt, list + count++ * t->row_size);
    }
    sqlite3_reset(stmt);
    if (rc != SQLITE_DONE) {
        table_free_rows(t, list, count);
        return rc;
    }
    *rows = list;
    *n = count;
    return SQLITE_OK;
}

void table_free_rows(const struct table *t, void *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        table_free_row(t, (char *)rows + i * t->row_size);
    free(rows);
}
