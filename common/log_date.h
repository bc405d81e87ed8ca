/* Dates before log lines, in files and on the screen, in dayjs' tokens and the local time zone. */
#ifndef PM_COMMON_LOG_DATE_H
#define PM_COMMON_LOG_DATE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define LOG_DATE_MAX 128 /* bytes of a rendered date, with its NUL; longer ones are cut */

struct log_date {
    const char *format; /* the caller's; must outlive this */
    int64_t second;     /* the one that `tm` is for: localtime is looked up once a second */
    struct tm tm;
};

void log_date_init(struct log_date *d, const char *format);

/*
 * Renders `time_us` (UTC, microseconds) and returns the length. Tokens: YY YYYY M MM MMM MMMM D DD d dd ddd
 * dddd H HH h hh a A m mm s ss SSS Z ZZ and [literal]; all else stands for itself.
 */
size_t log_date_render(struct log_date *d, uint64_t time_us, char out[LOG_DATE_MAX]);

#endif
