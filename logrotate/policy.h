/* When a log file is rotated, what its rotated files are called, and how many of them stay. */
#ifndef PM_LOGROTATE_POLICY_H
#define PM_LOGROTATE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cron.h"

struct err;

#define LOG_ROTATE_ALL    UINT32_MAX
#define LOG_ROTATE_FORMAT "YYYY-MM-DD_HH-mm-ss"
#define LOG_ROTATE_WORD   64 /* bytes of a date format or zone */

enum log_compress { LOG_COMPRESS_NONE, LOG_COMPRESS_GZIP, LOG_COMPRESS_ZSTD };

/* Values only, to be copied as they are. */
struct log_rotate_policy {
    bool on;           /* rotate by size and time; a request rotates without it too */
    uint64_t max_size; /* bytes; 0 = not by size */
    bool timed;
    struct cron interval; /* when `timed` */
    uint64_t max_age_ms;  /* rotated files that are older go; 0 = none */
    uint32_t retain;      /* so many rotated files stay; LOG_ROTATE_ALL */
    enum log_compress compress;
    char date_format[LOG_ROTATE_WORD]; /* dayjs tokens */
    char zone[LOG_ROTATE_WORD];        /* of the dates and the interval; "" = the daemon's */
};

/* As pm2-logrotate begins, but off: 10 MiB, midnight, 30 files, not compressed. */
void log_rotate_defaults(struct log_rotate_policy *p);

/* Can it stand in a file's name, and is it a date at all? 0 or -EINVAL. */
int log_rotate_check_format(const char *format, struct err *e);

/* Puts the format in, which must have been checked; a longer one than fits is refused there. */
void log_rotate_set_format(struct log_rotate_policy *p, const char *format);

/*
 * One setting of pm2-logrotate: `key` is what stands behind "pm2-logrotate:". The whole of the module's keys
 * is taken; 0, or -EINVAL with words that say what is expected. `p` may be NULL: only check.
 */
int log_rotate_setting(struct log_rotate_policy *p, const char *key, const char *value, struct err *e);

#endif
