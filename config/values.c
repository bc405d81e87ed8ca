#include "config/values.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/mem.h"

#define NUMBER_MAX 1000000000000000 /* 10^15: beyond what any key takes, below where products overflow */

/* Digits at *text; moves past them. False without digits or beyond NUMBER_MAX. */
static bool take_number(const char **text, int64_t *out)
{
    const char *p = *text;
    int64_t n = 0;

    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        n = n * 10 + (*p - '0');
        if (n > NUMBER_MAX)
            return false;
    }
    *text = p;
    *out = n;
    return true;
}

bool value_int(const char *text, int64_t *out)
{
    bool negative = *text == '-';
    int64_t n;

    text += *text == '-' || *text == '+';
    if (!take_number(&text, &n) || *text)
        return false;
    *out = negative ? -n : n;
    return true;
}

struct unit {
    const char *word;
    int64_t factor;
};

static bool scaled(const char *text, const struct unit *units, size_t n_units, bool fold_case, int64_t *out)
{
    int64_t n;

    if (!take_number(&text, &n))
        return false;
    for (size_t i = 0; i < n_units; i++) {
        if ((fold_case ? strcasecmp(text, units[i].word) : strcmp(text, units[i].word)) != 0)
            continue;
        return !__builtin_mul_overflow(n, units[i].factor, out);
    }
    return false;
}

bool value_duration(const char *text, int64_t *ms)
{
    static const struct unit units[] = {{"", 1},      {"ms", 1},      {"s", 1000},
                                        {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

    return scaled(text, units, ARRAY_LEN(units), false, ms);
}

bool value_size(const char *text, int64_t *bytes)
{
    static const struct unit units[] = {
        {"", 1},         {"B", 1},         {"K", 1 << 10}, {"KB", 1 << 10}, {"KiB", 1 << 10}, {"M", 1 << 20},
        {"MB", 1 << 20}, {"MiB", 1 << 20}, {"G", 1 << 30}, {"GB", 1 << 30}, {"GiB", 1 << 30},
    };

    return scaled(text, units, ARRAY_LEN(units), true, bytes);
}

bool value_signal(const char *text, int64_t *number)
{
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    int64_t n;

    if (value_int(text, &n)) {
        *number = n;
        return n >= 1 && n <= SIGRTMAX;
    }
    for (int i = 1; i < SIGRTMIN; i++) {
        const char *known = sigabbrev_np(i);

        if (known && strcasecmp(known, name) == 0) {
            *number = i;
            return true;
        }
    }
    if (strncasecmp(name, "RTMIN", 5) != 0)
        return false;
    n = 0;
    if (name[5] && (name[5] != '+' || !value_int(name + 6, &n)))
        return false;
    *number = SIGRTMIN + n;
    return n >= 0 && *number <= SIGRTMAX;
}

bool value_mode(const char *text, int64_t *mode)
{
    const char *digits = text + 1 + (text[0] == '0' && text[1] == 'o');
    size_t len;

    if (text[0] != '0')
        return false;
    len = strspn(digits, "01234567");
    if (len == 0 || len > 6 || digits[len])
        return false;
    *mode = strtoll(digits, NULL, 8);
    return true;
}

/* One word from *text into `word`, up to a blank outside quotes. False when a quote or backslash is open. */
static bool take_word(const char **text, struct buf *word)
{
    const char *p = *text;
    char quote = '\0';

    for (; *p && (quote || !strchr(" \t\r\n", *p)); p++) {
        if (quote && *p == quote) {
            quote = '\0';
        } else if (!quote && (*p == '\'' || *p == '"')) {
            quote = *p;
        } else if (*p == '\\' && (!quote || (quote == '"' && (p[1] == '"' || p[1] == '\\')))) {
            if (!p[1])
                return false;
            buf_putc(word, *++p);
        } else {
            buf_putc(word, *p);
        }
    }
    *text = p;
    return !quote;
}

char **value_split(const char *text)
{
    char **words = NULL;
    size_t n = 0, cap = 8;

    words = xcalloc(cap, sizeof(char *));
    for (;;) {
        struct buf word = {0};

        text += strspn(text, " \t\r\n");
        if (!*text)
            return words;
        if (!take_word(&text, &word)) {
            buf_free(&word);
            strv_free(words);
            return NULL;
        }
        if (n + 2 > cap) {
            cap *= 2;
            words = xrealloc(words, cap * sizeof(char *));
        }
        words[n++] = buf_steal(&word);
        words[n] = NULL;
    }
}

/* Length of the UTF-8 sequence at p, 0 when it is not one: no overlong forms, surrogates or beyond U+10FFFF.
 */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t n;

    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        n = 2;
    else if (p[0] >= 0xe0 && p[0] <= 0xef)
        n = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        n = 4;
    else
        return 0;
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    if (left < n || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

size_t value_utf8_prefix(const char *text, size_t len)
{
    size_t at = 0, n;

    while (at < len) {
        n = utf8_sequence((const unsigned char *)text + at, len - at);
        if (!n)
            break;
        at += n;
    }
    return at;
}
