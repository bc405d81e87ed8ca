/* Levels in structured lines: one object of JSON, or logfmt. A scanner, no parser: what is no valid JSON
 * gives no level or the one that stands before the fault. */
#include <string.h>

#include "daemon/log_level_int.h"

#define DEPTH_MAX 256u

/* Keys are compared in lower case. */
static bool is_level_key(const char *key, size_t len)
{
    static const char *const keys[] = {"level",         "lvl",       "severity", "levelname", "loglevel",
                                       "severity_text", "log_level", "@l",       "log.level", "severitytext"};
    char lower[16];

    if (len < 2 || len >= sizeof lower)
        return false;
    for (size_t i = 0; i < len; i++)
        lower[i] = level_upper(key[i]) ? (char)(key[i] | 0x20) : key[i];
    lower[len] = '\0';
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i][0] == lower[0] && strcmp(keys[i], lower) == 0)
            return true;
    return false;
}

/* The quote that ends the string whose text begins at `p`, else NULL. */
static const char *string_end(const char *p, const char *end)
{
    const char *from = p;

    while (p < end) {
        const char *quote = memchr(p, '"', (size_t)(end - p)), *slash;

        if (!quote)
            return NULL;
        for (slash = quote; slash > from && slash[-1] == '\\'; slash--)
            ;
        if ((quote - slash) % 2 == 0)
            return quote;
        p = quote + 1;
    }
    return NULL;
}

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

static enum log_level number_at(const char *p, const char *end)
{
    unsigned n = 0;

    for (int i = 0; i < 4 && p < end && level_digit(*p); i++, p++)
        n = n * 10 + (unsigned)(*p - '0');
    /* A fraction or more digits: no number of a level. */
    return p < end && (level_digit(*p) || *p == '.' || *p == 'e') ? LOG_LEVEL_NONE : log_level_of_number(n);
}

/* Of a word, perhaps within colours, which winston puts even into JSON, there as "\u001b[31m". */
static enum log_level word_at(const char *p, const char *end)
{
    static const char esc[] = "\\u001b[";
    const char *from;

    p += log_level_sgr(p, end);
    if ((size_t)(end - p) > sizeof esc && memcmp(p, esc, 5) == 0 && (p[5] | 0x20) == 'b' && p[6] == '[') {
        for (p += 7; p < end && (level_digit(*p) || *p == ';'); p++)
            ;
        p += p < end && *p == 'm';
    }
    if (p < end && level_digit(*p))
        return number_at(p, end);
    for (from = p; p < end && level_letter(*p); p++)
        ;
    /* "error_count" is no level. */
    return p < end && (*p == '_' || *p == '-') ? LOG_LEVEL_NONE : log_level_parse(from, (size_t)(p - from));
}

/* What follows the colon of a level's key. */
static enum log_level value_at(const char *p, const char *end)
{
    p = skip_space(p, end);
    if (p < end && *p == '"') {
        const char *close = string_end(p + 1, end);

        return close ? word_at(p + 1, close) : LOG_LEVEL_NONE;
    }
    return p < end && level_digit(*p) ? number_at(p, end) : LOG_LEVEL_NONE;
}

enum log_level log_level_of_json(const char *p, const char *end)
{
    unsigned depth = 1;

    for (; p < end && depth && depth < DEPTH_MAX; p++) {
        const char *close, *after;
        enum log_level level;

        if (*p == '{' || *p == '[')
            depth++;
        else if (*p == '}' || *p == ']')
            depth--;
        if (*p != '"')
            continue;
        close = string_end(p + 1, end);
        if (!close)
            break;
        after = skip_space(close + 1, end);
        if (depth == 1 && after < end && *after == ':' && is_level_key(p + 1, (size_t)(close - p - 1))) {
            level = value_at(after + 1, end);
            if (level)
                return level;
        }
        p = close;
    }
    return LOG_LEVEL_NONE;
}

/* The key that ends at `eq`, back to the space before it. */
static bool level_key_before(const char *start, const char *eq)
{
    const char *key = eq;

    while (key > start && eq - key < 16 && key[-1] != ' ' && key[-1] != '\t')
        key--;
    return is_level_key(key, (size_t)(eq - key));
}

enum log_level log_level_of_logfmt(const char *start, const char *end)
{
    const char *p = start;

    for (const char *eq; p < end && (eq = memchr(p, '=', (size_t)(end - p))); p = eq + 1) {
        const char *value = eq + 1;

        if (level_key_before(start, eq)) {
            enum log_level level = word_at(value + (value < end && *value == '"'), end);

            if (level)
                return level;
        }
        /* What stands in quotes is somebody's words. */
        if (value < end && *value == '"') {
            eq = string_end(value + 1, end);
            if (!eq)
                break;
        }
    }
    return LOG_LEVEL_NONE;
}
