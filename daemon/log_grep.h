/* Patterns (PCRE2) for lines. Time and memory of a match are bounded, whatever the pattern is. */
#ifndef PM_DAEMON_LOG_GREP_H
#define PM_DAEMON_LOG_GREP_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct log_grep;

#define LOG_GREP_MAX     16u   /* patterns of one question */
#define LOG_GREP_PATTERN 1024u /* bytes of one */

/*
 * Compiles; lines match when all patterns do, or not with `invert`. NULL with one line in `e` that names the
 * pattern and where in it the mistake is (bytes, from 1). The loop's thread may call it.
 */
struct log_grep *log_grep_new(const char *const *patterns, size_t n, bool ignore_case, bool invert,
                              struct err *e);
/* 1 match, 0 none, negative errno with the reason: the pattern needs more work than is allowed for a line.
 * One thread at a time. */
int log_grep_match(struct log_grep *g, const char *text, size_t len, struct err *e);
void log_grep_free(struct log_grep *g); /* accepts NULL */

#endif
