#include "daemon/log_level.h"

#include "common/mem.h"
#include "daemon/log_level_int.h"

/* By first letter. Where loggers disagree on a word's rank, the higher one is taken: a line too many is
 * better than one that stays hidden. */
static const struct level_word words[26][7] = {
    ['a' - 'a'] = {{"alert", LOG_LEVEL_FATAL, true}},
    ['c' - 'a'] = {{"critical", LOG_LEVEL_FATAL, false},
                   {"crit", LOG_LEVEL_FATAL, false},
                   {"config", LOG_LEVEL_DEBUG, true}},
    ['d' - 'a'] = {{"debug", LOG_LEVEL_DEBUG, false},
                   {"dbg", LOG_LEVEL_DEBUG, false},
                   {"dbug", LOG_LEVEL_DEBUG, false},
                   {"debu", LOG_LEVEL_DEBUG, false},
                   {"dpanic", LOG_LEVEL_FATAL, false}},
    ['e' - 'a'] = {{"error", LOG_LEVEL_ERROR, false},
                   {"err", LOG_LEVEL_ERROR, false},
                   {"erro", LOG_LEVEL_ERROR, false},
                   {"emerg", LOG_LEVEL_FATAL, false},
                   {"emergency", LOG_LEVEL_FATAL, true}},
    ['f' - 'a'] = {{"fatal", LOG_LEVEL_FATAL, false},
                   {"ftl", LOG_LEVEL_FATAL, false},
                   {"fata", LOG_LEVEL_FATAL, false},
                   {"fail", LOG_LEVEL_ERROR, false},
                   {"fine", LOG_LEVEL_DEBUG, true},
                   {"finer", LOG_LEVEL_TRACE, true},
                   {"finest", LOG_LEVEL_TRACE, true}},
    ['h' - 'a'] = {{"http", LOG_LEVEL_DEBUG, true}},
    ['i' - 'a'] = {{"info", LOG_LEVEL_INFO, false},
                   {"inf", LOG_LEVEL_INFO, true},
                   {"information", LOG_LEVEL_INFO, true},
                   {"informational", LOG_LEVEL_INFO, true}},
    ['l' - 'a'] = {{"log", LOG_LEVEL_INFO, true}},
    ['n' - 'a'] = {{"notice", LOG_LEVEL_INFO, false}},
    ['p' - 'a'] = {{"panic", LOG_LEVEL_FATAL, false}},
    ['s' - 'a'] = {{"severe", LOG_LEVEL_ERROR, false}, {"silly", LOG_LEVEL_TRACE, true}},
    ['t' - 'a'] = {{"trace", LOG_LEVEL_TRACE, false},
                   {"trc", LOG_LEVEL_TRACE, false},
                   {"trce", LOG_LEVEL_TRACE, false},
                   {"trac", LOG_LEVEL_TRACE, false}},
    ['v' - 'a'] = {{"verbose", LOG_LEVEL_DEBUG, true}, {"vrb", LOG_LEVEL_TRACE, true}},
    ['w' - 'a'] = {{"warn", LOG_LEVEL_WARN, false},
                   {"warning", LOG_LEVEL_WARN, false},
                   {"wrn", LOG_LEVEL_WARN, false}},
};

static bool same(const char *lower, const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (lower[i] != (word[i] | 0x20))
            return false;
    return lower[len] == '\0';
}

const struct level_word *log_level_lookup(const char *word, size_t len)
{
    const struct level_word *row;

    if (len < 3 || len > LOG_LEVEL_WORD_MAX || !level_letter(word[0]))
        return NULL;
    row = words[(word[0] | 0x20) - 'a'];
    for (size_t i = 0; i < ARRAY_LEN(words[0]) && row[i].level; i++)
        if (same(row[i].word, word, len))
            return &row[i];
    return NULL;
}

enum log_level log_level_of_number(unsigned n)
{
    if (n < 10 || n > 100)
        return LOG_LEVEL_NONE;
    return n >= 60 ? LOG_LEVEL_FATAL : (enum log_level)(n / 10);
}

size_t log_level_sgr(const char *p, const char *end)
{
    const char *at = p;

    if (end - p < 3 || p[0] != '\033' || p[1] != '[')
        return 0;
    for (at += 2; at < end && (level_digit(*at) || *at == ';' || *at == ':'); at++)
        ;
    return at < end && *at == 'm' ? (size_t)(at + 1 - p) : 0;
}

enum log_level log_level_of(const char *text, size_t len)
{
    const char *p = text, *end = text + (len > LOG_LEVEL_LOOK ? LOG_LEVEL_LOOK : len);

    while (p < end) {
        size_t n = *p == '\033' ? log_level_sgr(p, end) : *p == ' ' || *p == '\t';

        if (n == 0)
            break;
        p += n;
    }
    if (p == end)
        return LOG_LEVEL_NONE;
    return *p == '{' ? log_level_of_json(p + 1, end) : log_level_of_text(p, end);
}

static const char *const names[] = {
    [LOG_LEVEL_TRACE] = "trace", [LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_WARN] = "warn",   [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_FATAL] = "fatal",
};

const char *log_level_word(enum log_level level)
{
    return (size_t)level < ARRAY_LEN(names) ? names[level] : NULL;
}

enum log_level log_level_parse(const char *word, size_t len)
{
    const struct level_word *w = log_level_lookup(word, len);

    return w ? (enum log_level)w->level : LOG_LEVEL_NONE;
}
