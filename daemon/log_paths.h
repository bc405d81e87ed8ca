/* Which files the lines of a process go to: PM2's names and suffix rules. */
#ifndef PM_DAEMON_LOG_PATHS_H
#define PM_DAEMON_LOG_PATHS_H

#include <stdint.h>

#include "config/spec.h"

struct log_paths {
    char *out, *err, *both; /* absolute, on the heap; NULL = no such file */
    char *pid;
};

/*
 * Defaults are <home>/logs/<name>-out.log and -error.log; the id stands before ".log" where several processes
 * would share a file and merge_logs does not ask for that.
 */
void log_paths_init(struct log_paths *l, const struct app_spec *s, const char *home, uint32_t id);
void log_paths_deinit(struct log_paths *l);

/* The date format that goes before each line, or NULL. */
const char *log_date_format_of(const struct app_spec *s);

#endif
