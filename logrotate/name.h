/*
 * The names of rotated files, as pm2-logrotate makes them: api-out.log becomes api-out__<date>.log, and
 * api-out__<date>.log.gz or .zst when it is compressed. Should that be there already, "-2" follows the date,
 * and so on. A file whose name does not end in .log gets "__<date>" behind all of it.
 */
#ifndef PM_LOGROTATE_NAME_H
#define PM_LOGROTATE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/log_date.h"
#include "logrotate/policy.h"

struct zone;

/* The date in that format by the zone's clock. */
void log_name_date(const char *format, const struct zone *z, uint64_t time_us, char out[LOG_DATE_MAX]);

/* Is all of the text a date in that format? */
bool log_name_is_date(const char *format, const char *text);

/* The base name (heap) that a file of base name `base` gets; `taken` tells which are in use, compressed or
 * not. */
char *log_name_make(const char *base, const char *date, bool (*taken)(void *arg, const char *name),
                    void *arg);

struct log_name {
    enum log_compress compress;
    unsigned number; /* 1 without one */
    bool unfinished; /* a compression that did not come to its end */
};

/*
 * Is `name` a rotated file of the file `base` (both base names)? Exactly of this one: "app-out" has nothing
 * to do with "myapp-out", nor with "app-out__x". Dates in `format` and in pm2-logrotate's own are known.
 */
bool log_name_read(const char *base, const char *format, const char *name, struct log_name *out);

const char *log_compress_suffix(enum log_compress c); /* ".gz"; "" for none */

#define LOG_NAME_UNFINISHED ".pm-tmp" /* behind the whole name */

#endif
