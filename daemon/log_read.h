/* Reading rows, on a connection of its own that never writes and never checkpoints. */
#ifndef PM_DAEMON_LOG_READ_H
#define PM_DAEMON_LOG_READ_H

#include "daemon/log_int.h"

#define LOG_READ_MAX (32u * 1024 * 1024) /* bytes of one answer */

struct log_reader {
    sqlite3 *handle;
    unsigned generation; /* of the file that is open */
    bool damaged;        /* found so by the task that ran last */
    sqlite3_stmt *batches, *lines;
    sqlite3_stmt *find_batches, *find_rows, *find_text; /* of log_find.c */
};

/*
 * The last `filter->lines` lines with a row id up to `boundary`, in order of time. 0, or negative errno; what
 * was found until then is in `out`.
 */
int log_read_last(struct log_reader *r, const char *path, unsigned generation,
                  const struct log_filter *filter, uint64_t boundary, struct log_block *out);
/* Opens the file of this generation, unless it is open. An SQLite result code. */
int log_reader_open(struct log_reader *r, const char *path, unsigned generation);
/* SELECT of id, run, kind, process, instance, app, last_id of the streams asked for; kinds and instances
 * are not looked at. */
void log_read_select(const struct log_filter *f, struct buf *sql);
void log_reader_close(struct log_reader *r);

#endif
