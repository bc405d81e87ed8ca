/*
 * Levels in plain text. A line begins with what its logger puts before the message: dates, brackets, a name,
 * and the level. The tokens are looked at one after the other, until one is the level or the message begins.
 * A word counts as a level the more readily, the more its surroundings look like such a head.
 */
#include <string.h>

#include "daemon/log_level_int.h"

#define TOKENS_MAX  10
#define TOKEN_MAX   64 /* a longer one is no part of a head */
#define BRACKET_MAX 96

struct head {
    bool anchored;  /* began with a date, a number or a bracket */
    bool time;      /* the token before looked like a time */
    bool sep;       /* the token before sets the next one off: - | : ] */
    unsigned names; /* tokens that are neither of these nor a level */
};

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

/* What may follow a level that is written in capitals. */
static bool ends_word(const char *p, const char *end)
{
    return p == end || (*p != '\0' && strchr(" \t:]-|[/(\033\r,", *p));
}

static bool all_upper(const char *p, const char *end)
{
    while (p < end && level_upper(*p))
        p++;
    return p == end;
}

static const char *letters(const char *p, const char *end)
{
    const char *from = p;

    while (p < end && p - from <= (ptrdiff_t)LOG_LEVEL_WORD_MAX && level_letter(*p))
        p++;
    return p;
}

static bool starts(const char *p, const char *end, const char *with)
{
    size_t n = strlen(with);

    return (size_t)(end - p) >= n && memcmp(p, with, n) == 0;
}

/* How runtimes and tools begin the report of a failure. */
static enum log_level phrase(const char *p, const char *end)
{
    static const struct {
        const char *text;
        enum log_level level;
    } phrases[] = {
        {"Traceback (most recent call last)", LOG_LEVEL_ERROR},
        {"npm ERR!", LOG_LEVEL_ERROR},
        {"npm error ", LOG_LEVEL_ERROR},
        {"npm WARN ", LOG_LEVEL_WARN},
        {"npm warn ", LOG_LEVEL_WARN},
        {"Uncaught ", LOG_LEVEL_ERROR},
        {"Unhandled ", LOG_LEVEL_ERROR},
        {"Exception in thread ", LOG_LEVEL_ERROR},
        {"Caused by: ", LOG_LEVEL_ERROR},
        {"fatal error: ", LOG_LEVEL_FATAL},
        {"Segmentation fault", LOG_LEVEL_FATAL},
        {"PHP Fatal error: ", LOG_LEVEL_FATAL},
        {"PHP Parse error: ", LOG_LEVEL_ERROR},
        {"PHP Warning: ", LOG_LEVEL_WARN},
        {"PHP Notice: ", LOG_LEVEL_INFO},
    };

    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (phrases[i].text[0] == *p && starts(p, end, phrases[i].text))
            return phrases[i].level;
    /* Rust: "thread 'main' panicked at", with the thread's number in between since 1.89. */
    if (*p == 't' && starts(p, end, "thread '") && memmem(p, (size_t)(end - p), " panicked at ", 13))
        return LOG_LEVEL_FATAL;
    return LOG_LEVEL_NONE;
}

/* "<3>": the priority of syslog; its lower three bits are the severity. */
static enum log_level priority(const char *p, const char *end)
{
    static const enum log_level severity[] = {LOG_LEVEL_FATAL, LOG_LEVEL_FATAL, LOG_LEVEL_FATAL,
                                              LOG_LEVEL_ERROR, LOG_LEVEL_WARN,  LOG_LEVEL_INFO,
                                              LOG_LEVEL_INFO,  LOG_LEVEL_DEBUG};
    const char *from = ++p;
    unsigned n = 0;

    for (; p < end && p - from < 3 && level_digit(*p); p++)
        n = n * 10 + (unsigned)(*p - '0');
    return p > from && p < end && *p == '>' && n <= 191 ? severity[n & 7] : LOG_LEVEL_NONE;
}

/* "E0102 10:00:00.000000", "E20260102 10:00:00": glog and klog. */
static enum log_level glog(const char *p, const char *end)
{
    int n = 1;

    while (n < 10 && p + n < end && level_digit(p[n]))
        n++;
    if ((n != 5 && n != 9) || end - p < n + 4 || p[n] != ' ' || !level_digit(p[n + 1]) || p[n + 3] != ':')
        return LOG_LEVEL_NONE;
    switch (*p) {
    case 'D':
        return LOG_LEVEL_DEBUG;
    case 'I':
        return LOG_LEVEL_INFO;
    case 'W':
        return LOG_LEVEL_WARN;
    case 'E':
        return LOG_LEVEL_ERROR;
    case 'F':
        return LOG_LEVEL_FATAL;
    default:
        return LOG_LEVEL_NONE;
    }
}

/* "TypeError: ", "java.io.IOException: ", "DeprecationWarning: ": `end` is where the word's colon stands. */
static enum log_level by_suffix(const char *p, const char *end)
{
    size_t n = (size_t)(end - p);

    if (n >= 5 && memcmp(end - 5, "Error", 5) == 0)
        return LOG_LEVEL_ERROR;
    if (n >= 9 && memcmp(end - 9, "Exception", 9) == 0)
        return LOG_LEVEL_ERROR;
    if (n >= 7 && memcmp(end - 7, "Warning", 7) == 0)
        return LOG_LEVEL_WARN;
    return LOG_LEVEL_NONE;
}

/* Node: "(node:123) Warning: ", "(node:123) [DEP0005] DeprecationWarning: ". */
static enum log_level node_warning(const char *p, const char *end)
{
    const char *at = memchr(p, ')', (size_t)(end - p > 20 ? 20 : end - p)), *colon;

    if (!at || !starts(p, end, "(node:") || end - at < 3 || at[1] != ' ')
        return LOG_LEVEL_NONE;
    at += 2;
    if (*at == '[' && (at = memchr(at, ']', (size_t)(end - at))))
        at += 1 + (at + 1 < end && at[1] == ' ');
    colon = at ? memchr(at, ':', (size_t)(end - at)) : NULL;
    return colon ? by_suffix(at, colon) : LOG_LEVEL_NONE;
}

/* What stands between brackets: "[error]", "[core:error]", "[10:00:00 INF]", "[... ERROR app]". */
static enum log_level in_brackets(const char *p, const char *end)
{
    for (const char *at = p, *stop; at < end; at = stop) {
        const struct level_word *w;

        if (!level_letter(*at)) {
            size_t n = *at == '\033' ? log_level_sgr(at, end) : 0;

            stop = at + (n ? n : 1);
            continue;
        }
        stop = letters(at, end);
        if (at > p && (level_digit(at[-1]) || at[-1] == '_')) /* "T" and "Z" of a date, too */
            continue;
        w = log_level_lookup(at, (size_t)(stop - at));
        if (!w)
            continue;
        if (all_upper(at, stop) && ends_word(stop, end))
            return (enum log_level)w->level;
        if ((stop == end || *stop == ' ' || *stop == '\033') &&
            (at == p || at[-1] == ':' || at[-1] == 'm' || at[-1] == ' ')) {
            const char *rest = stop + log_level_sgr(stop, end);

            while (rest < end && *rest == ' ')
                rest++;
            if (rest == end && (at == p || at[-1] != ' ' || p[0] == ' '))
                return (enum log_level)w->level;
        }
    }
    return LOG_LEVEL_NONE;
}

/* Whether a level that is not in capitals is set off by what follows it: "error: x", "error - x", "error\tx".
 */
static bool set_off(const char *p, const char *end)
{
    p += log_level_sgr(p, end);
    if (p == end)
        return false;
    if (*p == ':')
        return p + 1 == end || blank(p[1]);
    if (*p == '\t' || *p == '[')
        return true;
    while (p < end && *p == ' ')
        p++;
    return end - p >= 2 && (*p == '-' || *p == '|') && p[1] == ' ';
}

/* A token that begins with a letter and ends at `stop`. */
static enum log_level word(const char *p, const char *stop, const char *end, const struct head *h)
{
    const char *last = letters(p, stop);
    const struct level_word *w = log_level_lookup(p, (size_t)(last - p));
    bool first = !h->anchored && !h->names;

    if (w && ends_word(last, end)) {
        if (all_upper(p, last)) {
            if (!w->marked ? h->names <= 1 || h->sep : h->anchored && (!h->names || h->sep))
                return (enum log_level)w->level;
        } else if (!h->names || h->sep) {
            if (set_off(last, end) && (!w->marked || h->anchored))
                return (enum log_level)w->level;
            if (h->time && !w->marked && (last == end || blank(*last)))
                return (enum log_level)w->level;
        }
    }
    if (stop[-1] == ':' && !h->names) {
        const char *dot = memrchr(p, '.', (size_t)(stop - p));

        /* Monolog: "local.ERROR:" */
        if (dot && (w = log_level_lookup(dot + 1, (size_t)(stop - dot - 2))) && all_upper(dot + 1, stop - 1))
            return (enum log_level)w->level;
        return by_suffix(p, stop - 1);
    }
    /* Node: "TypeError [ERR_INVALID_ARG_TYPE]: " */
    return stop < end - 1 && stop[1] == '[' && first ? by_suffix(p, stop) : LOG_LEVEL_NONE;
}

/* Names of days, months and zones, AM and PM: part of a date. */
static bool date_word(const char *p, const char *stop)
{
    size_t n = (size_t)(stop - p) - (stop[-1] == ',');

    if (n == 3 && level_upper(p[0]))
        return level_letter(p[1]) && level_letter(p[2]);
    return (n == 2 || n == 4) && all_upper(p, p + n);
}

static bool looks_like_time(const char *p, const char *stop)
{
    return stop - p >= 5 && level_digit(*p) &&
           (memchr(p, ':', (size_t)(stop - p)) || (stop - p >= 8 && (p[4] == '-' || p[4] == '/')));
}

/* One token; false when the message begins here, or with the level in `level`. */
static bool token(const char *p, const char *stop, const char *end, struct head *h, enum log_level *level)
{
    bool letter = level_letter(*p), start = !h->anchored && !h->names;

    if (letter && (*level = word(p, stop, end, h)))
        return false;
    h->sep = stop[-1] == ':' || stop[-1] == '-' || stop[-1] == '|' || stop[-1] == ']';
    if (letter) {
        /* Ruby: "E, [2026-01-02T10:00:00 #123] ERROR -- : x" */
        bool ruby = stop - p == 2 && p[1] == ',';

        h->time = false;
        if (start && !ruby &&
            !(date_word(p, stop) && end - stop > 1 && (level_digit(stop[1]) || blank(stop[1]))))
            return false;
        if (!ruby && !date_word(p, stop))
            h->names++;
        h->anchored = true;
        return h->names <= 1 || h->sep;
    }
    if (*p == '"' || *p == '\'')
        return false;
    h->time = looks_like_time(p, stop);
    /* A cross or another sign in front of all counts, too. */
    h->anchored = h->anchored || level_digit(*p) || ((unsigned char)*p >= 0x80 && stop - p <= 8);
    return h->anchored;
}

static const char *token_end(const char *p, const char *end)
{
    const char *most = end - p > TOKEN_MAX ? p + TOKEN_MAX : end, *near = most - p > 16 ? p + 16 : most;

    while (p < near && !blank(*p) && *p != '\033')
        p++;
    if (p < near || p == most)
        return p;
    /* Long ones are rare in heads and common in messages. */
    for (const char *c = " \t\033"; *c; c++) {
        const char *at = memchr(p, *c, (size_t)(most - p));

        if (at)
            most = at;
    }
    return most;
}

/* From the first token on. */
static enum log_level walk(const char *p, const char *end)
{
    struct head h = {0};

    for (int i = 0; i < TOKENS_MAX && p < end; i++) {
        enum log_level level = LOG_LEVEL_NONE;
        const char *stop;

        if (*p == '[') {
            size_t look = end - p > BRACKET_MAX ? BRACKET_MAX : (size_t)(end - p);

            stop = memchr(p, ']', look);
            if (!stop)
                return LOG_LEVEL_NONE;
            level = in_brackets(p + 1, stop);
            h.time = memchr(p, ':', (size_t)(stop - p)) && p + 1 < stop && level_digit(p[1]);
            h.anchored = h.sep = true;
            stop++;
            if (stop < end && *stop == ':')
                stop++;
        } else {
            stop = token_end(p, end);
            if (stop == p || stop - p == TOKEN_MAX || !token(p, stop, end, &h, &level))
                return level;
        }
        if (level)
            return level;
        for (p = stop; p < end; p++) {
            size_t n = *p == '\033' ? log_level_sgr(p, end) : 0;

            if (n)
                p += n - 1;
            else if (!blank(*p))
                break;
        }
        if (p == stop && p < end && *p != '[')
            return LOG_LEVEL_NONE;
    }
    return LOG_LEVEL_NONE;
}

/* Logfmt begins with a key, or a date. */
static bool maybe_logfmt(const char *p, const char *end)
{
    size_t look = end - p > 48 ? 48 : (size_t)(end - p);
    const char *eq, *space;

    if (level_digit(*p) || *p == '[')
        return true;
    if (!level_letter(*p))
        return false;
    eq = memchr(p, '=', look);
    space = eq ? memchr(p, ' ', (size_t)(eq - p)) : NULL;
    return eq && !space;
}

enum log_level log_level_of_text(const char *p, const char *end)
{
    enum log_level level = LOG_LEVEL_NONE;

    switch (*p) {
    case '<':
        return priority(p, end);
    case '(':
        level = node_warning(p, end);
        break;
    case 'D':
    case 'I':
    case 'W':
    case 'E':
    case 'F':
        level = glog(p, end);
        break;
    default:
        break;
    }
    if (!level)
        level = phrase(p, end);
    if (!level)
        level = walk(p, end);
    if (!level && maybe_logfmt(p, end))
        level = log_level_of_logfmt(p, end);
    return level;
}
