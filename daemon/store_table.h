/*
 * How the structs of store.h map to the columns of state.db: one row a column. The statements that write
 * and read a table are made from it, so that the order of columns is written down once.
 */
#ifndef PM_DAEMON_STORE_TABLE_H
#define PM_DAEMON_STORE_TABLE_H

#include <sqlite3.h>
#include <stddef.h>

#include "common/buf.h"

enum column_type { COL_U64, COL_U32, COL_I32, COL_BOOL, COL_TEXT };

struct column {
    const char *name;
    enum column_type type;
    size_t offset; /* in the struct */
};

struct table {
    const char *name;
    const struct column *columns;
    size_t n_columns;
    size_t row_size; /* of the struct */
};

extern const struct table store_table_app, store_table_process, store_table_run, store_table_event;
extern const struct table store_table_saved, store_table_setting;

/* "INSERT OR REPLACE INTO t(a,b) VALUES(?,?)" */
void table_put_sql(const struct table *t, struct buf *out);
/* "SELECT a,b FROM t" */
void table_get_sql(const struct table *t, struct buf *out);

/* Binds all columns; the row must outlive the step. 0 or a code of SQLite. */
int table_bind(const struct table *t, sqlite3_stmt *stmt, const void *row);
/* Fills `row` from the current result; strings are on the heap. */
void table_read(const struct table *t, sqlite3_stmt *stmt, void *row);
/* Frees the strings of a row that table_read filled. */
void table_free_row(const struct table *t, void *row);

/* Reads all results of a statement. *rows is on the heap. 0 or a code of SQLite; nothing is left then. */
int table_read_all(const struct table *t, sqlite3_stmt *stmt, void **rows, size_t *n);
void table_free_rows(const struct table *t, void *rows, size_t n);

#endif
