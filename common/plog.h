/*
 * The daemon's own log: one line a call on stderr, which is PM_HOME/pmd.log or, under --no-daemon, the
 * terminal or the journal. One write(2) a line, so that keeper and engine never tear each other's lines.
 */
#ifndef PM_COMMON_PLOG_H
#define PM_COMMON_PLOG_H

enum plog_level { PLOG_ERROR, PLOG_WARN, PLOG_INFO, PLOG_DEBUG };

/* `who` is "keeper" or "engine"; a literal. PM_DEBUG in the environment shows PLOG_DEBUG lines. */
void plog_init(const char *who);
void plog(enum plog_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) plog(PLOG_ERROR, __VA_ARGS__)
#define log_warn(...)  plog(PLOG_WARN, __VA_ARGS__)
#define log_info(...)  plog(PLOG_INFO, __VA_ARGS__)
#define log_debug(...) plog(PLOG_DEBUG, __VA_ARGS__)

#endif
