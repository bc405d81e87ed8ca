/* What the readers of the forms of a level share. */
#ifndef PM_DAEMON_LOG_LEVEL_INT_H
#define PM_DAEMON_LOG_LEVEL_INT_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/log_level.h"

#define LOG_LEVEL_LOOK     4096u /* bytes of a line that are looked at */
#define LOG_LEVEL_WORD_MAX 13u

struct level_word {
    char word[LOG_LEVEL_WORD_MAX + 1]; /* lower case */
    unsigned char level;
    bool marked; /* too common in prose: only where a level is certain to stand */
};

/* Any case; NULL when it is none. */
const struct level_word *log_level_lookup(const char *word, size_t len);

/* A number as pino and bunyan write it: 10 trace ... 60 fatal; what lies between belongs to the lower one. */
enum log_level log_level_of_number(unsigned n);

/* The bytes of an escape sequence of colour at the start (ESC [ ... m), else 0. */
size_t log_level_sgr(const char *p, const char *end);

/* `p` is behind the brace. */
enum log_level log_level_of_json(const char *p, const char *end);
enum log_level log_level_of_logfmt(const char *p, const char *end);
enum log_level log_level_of_text(const char *p, const char *end);

static inline bool level_letter(char c)
{
    return (unsigned char)((c | 0x20) - 'a') < 26;
}

static inline bool level_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static inline bool level_upper(char c)
{
    return (unsigned char)(c - 'A') < 26;
}

#endif
