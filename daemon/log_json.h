/* log_type json: each line in a log file is one object, with PM2's fields. */
#ifndef PM_DAEMON_LOG_JSON_H
#define PM_DAEMON_LOG_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "common/log_date.h"

struct buf;
struct log_stream;

/* The "timestamp" of lines of this moment: in the app's date format, else ISO 8601 in UTC. */
void log_json_date(struct log_stream *s, uint64_t time_us, char out[LOG_DATE_MAX]);

/*
 * Appends {message, timestamp, type, process_id, app_name} and a newline. Unlike a file of plain text, a line
 * of more than LOG_LINE_MAX bytes is several objects, all but the last of them with "partial":true. Bytes
 * that are not UTF-8 become U+FFFD.
 */
void log_json_line(struct buf *out, const struct log_stream *s, const char *date, const char *text,
                   size_t len, unsigned flags);

#endif
