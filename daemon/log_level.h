/*
 * How serious a line says it is. Only the line itself is looked at: objects of JSON (pino, bunyan, winston,
 * zap, slog, structlog, ...), logfmt, and plain text by the forms that loggers and runtimes begin a line
 * with. A level in the middle of a sentence is none: "no error here".
 */
#ifndef PM_DAEMON_LOG_LEVEL_H
#define PM_DAEMON_LOG_LEVEL_H

#include <stddef.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_NONE, /* the line does not say */
    LOG_LEVEL_TRACE,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_FATAL,
};

/* The level's place in the flags of a line and a row. */
#define LOG_F_LEVEL_SHIFT 4
#define LOG_F_LEVEL       (0x7u << LOG_F_LEVEL_SHIFT)

static inline unsigned log_level_flags(enum log_level level)
{
    return (unsigned)level << LOG_F_LEVEL_SHIFT;
}

static inline enum log_level log_level_in(unsigned flags)
{
    return (enum log_level)((flags & LOG_F_LEVEL) >> LOG_F_LEVEL_SHIFT);
}

/* Any bytes are fine. Looks at the first 4 KiB at most, allocates nothing, keeps no state. */
enum log_level log_level_of(const char *text, size_t len);

/* "trace" ... "fatal"; NULL for LOG_LEVEL_NONE. */
const char *log_level_word(enum log_level level);

/* The level that a user names by its word or one of the usual ones ("warning"), any case; else
 * LOG_LEVEL_NONE. */
enum log_level log_level_parse(const char *word, size_t len);

#endif
