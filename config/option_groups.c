/* The rows of the keys whose value is a mapping and which have no file of their own. */
#include "config/option_groups.h"

#include "common/mem.h"
#include "config/checks.h"

/* Rows of groups: offsets within the group's struct. */
#define IN(s, member)           .offset = offsetof(struct s, member)
#define IN_STR(t, s, member)    .type = (t), .store = STORE_STRING, IN(s, member)
#define IN_NUMBER(t, s, member) .type = (t), .store = STORE_INT, IN(s, member)
#define SIZE_MAX_BYTES          ((int64_t)1 << 50)

static const char *const compressions[] = {"none", "gzip", "zstd", NULL};

static const struct option_row log_rotate_rows[] = {
    {.name = "max_size",
     IN_NUMBER(OPT_SIZE, log_rotate_options, max_size),
     .unit = "bytes",
     .max = SIZE_MAX_BYTES,
     .def = 10 << 20,
     .help = "Rotate a file that has grown to this size; 0 does not look at the size."},
    {.name = "interval",
     IN_STR(OPT_CRON, log_rotate_options, interval),
     .help = "Rotate at these times, whatever the size."},
    {.name = "max_age",
     IN_NUMBER(OPT_DURATION, log_rotate_options, max_age),
     .unit = "ms",
     .max = 100 * YEAR_MS,
     .help = "Delete rotated files that are older; 0 keeps them."},
    {.name = "retain",
     IN_NUMBER(OPT_COUNT, log_rotate_options, retain),
     .max = LOG_RETAIN_ALL,
     .def = 30,
     .help = "Number of rotated files that are kept of each file."},
    {.name = "compress",
     IN_STR(OPT_ENUM, log_rotate_options, compress),
     .words = compressions,
     .def_text = "none",
     .required = true,
     .help = "How rotated files are compressed."},
    {.name = "date_format",
     IN_STR(OPT_STRING, log_rotate_options, date_format),
     .def_text = "YYYY-MM-DD_HH-mm-ss",
     .required = true,
     .check = check_file_word,
     .help = "The time in the names of rotated files."},
};

static const struct option_row log_retention_rows[] = {
    {.name = "max_bytes",
     IN_NUMBER(OPT_SIZE, log_retention_options, max_bytes),
     .unit = "bytes",
     .max = SIZE_MAX_BYTES,
     .help = "Bytes of lines that are kept of the app in the database, the oldest go first; 0 is no limit."},
    {.name = "max_age",
     IN_NUMBER(OPT_DURATION, log_retention_options, max_age),
     .unit = "ms",
     .max = 100 * YEAR_MS,
     .help = "Lines in the database that are older are deleted; 0 is no limit."},
};

static const struct option_row log_rate_limit_rows[] = {
    {.name = "lines",
     IN_NUMBER(OPT_INT, log_rate_limit_options, lines),
     .max = 1000000000,
     .help = "Lines a second that a process may write on average; 0 is no limit."},
    {.name = "bytes",
     IN_NUMBER(OPT_SIZE, log_rate_limit_options, bytes),
     .unit = "bytes",
     .max = SIZE_MAX_BYTES,
     .help = "Bytes a second that a process may write on average; 0 is no limit."},
};

static const struct option_row max_memory_rows[] = {
    {.name = "soft",
     IN_NUMBER(OPT_SIZE, max_memory_options, soft),
     .unit = "bytes",
     .max = SIZE_MAX_BYTES,
     .help =
         "Memory above which the app is replaced, as by max_memory_restart, once it has been above it for "
         "the whole window; 0 is no limit."},
    {.name = "hard",
     IN_NUMBER(OPT_SIZE, max_memory_options, hard),
     .unit = "bytes",
     .max = SIZE_MAX_BYTES,
     .help = "Memory above which it is killed at once, and started again; 0 is no limit."},
    {.name = "window",
     IN_NUMBER(OPT_DURATION, max_memory_options, window),
     .unit = "ms",
     .max = YEAR_MS,
     .def = 10000,
     .help = "How long it may be above soft."},
};

static const struct option_row max_cpu_rows[] = {
    {.name = "percent",
     IN_NUMBER(OPT_INT, max_cpu_options, percent),
     .max = 1000000,
     .help = "CPU above which the app is replaced, in percent of one core; 0 is no limit."},
    {.name = "for",
     IN_NUMBER(OPT_DURATION, max_cpu_options, time),
     .unit = "ms",
     .max = YEAR_MS,
     .def = 60000,
     .help = "How long it may be above that."},
};

#define GROUP_OF(r, plain)                                                                                   \
    {                                                                                                        \
        .rows = (r), .n = ARRAY_LEN(r), .shorthand = (plain)                                                 \
    }

const struct option_group log_rotate_group = GROUP_OF(log_rotate_rows, "max_size");
const struct option_group log_retention_group = GROUP_OF(log_retention_rows, "max_bytes");
const struct option_group log_rate_limit_group = GROUP_OF(log_rate_limit_rows, "lines");

const struct option_group max_memory_group = GROUP_OF(max_memory_rows, NULL);
const struct option_group max_cpu_group = GROUP_OF(max_cpu_rows, "percent");
