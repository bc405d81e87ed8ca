/* Reading rows, on a connection of its own that never writes and never checkpoints. */
#ifndef PM_DAEMON_LOG_READ_H
#define PM_DAEMON_LOG_READ_H

#include "daemon/log_int.h"

struct log_reader {
    sqlite3 *handle;
    unsigned generation; /* of the file that is open */
    sqlite3_stmt *batches, *lines;
};

/*
 * The last `filter->lines` lines with a row id up to `boundary`, in order of time. 0, or negative errno; what
 * was found until then is in `out`.
 */
int log_read_last(struct log_reader *r, const char *path, unsigned generation,
                  const struct log_filter *filter, uint64_t boundary, struct log_block *out);
void log_reader_close(struct log_reader *r);

#endif
