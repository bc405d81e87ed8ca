#include "logrotate/name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "common/zone.h"

const char *log_compress_suffix(enum log_compress c)
{
    static const char *const suffixes[] = {"", ".gz", ".zst"};

    return suffixes[c];
}

void log_name_date(const char *format, const struct zone *z, uint64_t time_us, char out[LOG_DATE_MAX])
{
    struct log_date d;

    log_date_init(&d, format);
    d.second = (int64_t)(time_us / 1000000);
    zone_local(z, d.second, &d.tm);
    log_date_render(&d, time_us, out);
}

/* ---- dates read back ---- */

struct token {
    const char *text;
    int min, max; /* characters that it stands for */
    int (*is)(int c);
};

/* The longer ones first, as they are read when a date is rendered. */
static const struct token tokens[] = {
    {"YYYY", 4, 4, isdigit}, {"YY", 2, 2, isdigit},  {"MMMM", 3, 9, isalpha}, {"MMM", 3, 3, isalpha},
    {"MM", 2, 2, isdigit},   {"M", 1, 2, isdigit},   {"DD", 2, 2, isdigit},   {"D", 1, 2, isdigit},
    {"dddd", 6, 9, isalpha}, {"ddd", 3, 3, isalpha}, {"dd", 2, 2, isalpha},   {"d", 1, 1, isdigit},
    {"HH", 2, 2, isdigit},   {"H", 1, 2, isdigit},   {"hh", 2, 2, isdigit},   {"h", 1, 2, isdigit},
    {"mm", 2, 2, isdigit},   {"m", 1, 2, isdigit},   {"ss", 2, 2, isdigit},   {"s", 1, 2, isdigit},
    {"SSS", 3, 3, isdigit},  {"A", 2, 2, isalpha},   {"a", 2, 2, isalpha},    {"ZZ", 5, 5, NULL},
    {"Z", 6, 6, NULL},
};

static bool is_zone(const char *text, int n)
{
    for (int i = 0; i < n; i++) {
        bool good = i == 0             ? text[i] == '+' || text[i] == '-'
                    : n == 6 && i == 3 ? text[i] == ':'
                                       : isdigit((unsigned char)text[i]);

        if (!good)
            return false;
    }
    return true;
}

static const struct token *find_token(const char *format)
{
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++)
        if (strncmp(format, tokens[i].text, strlen(tokens[i].text)) == 0)
            return &tokens[i];
    return NULL;
}

/* `end` is the end of the text. Formats are short, and a token stands for a few characters: no depth to fear.
 */
static bool matches(const char *format, const char *text, const char *end)
{
    const char *close = *format == '[' ? strchr(format + 1, ']') : NULL;
    const struct token *t;
    size_t n;

    if (!*format)
        return text == end;
    if (close && close > format + 1) {
        n = (size_t)(close - format - 1);
        return (size_t)(end - text) >= n && memcmp(text, format + 1, n) == 0 &&
               matches(close + 1, text + n, end);
    }
    t = find_token(format);
    if (!t)
        return text < end && *text == *format && matches(format + 1, text + 1, end);
    format += strlen(t->text);
    if (!t->is)
        return end - text >= t->max && is_zone(text, t->max) && matches(format, text + t->max, end);
    for (int i = 0; i < t->max && text + i < end && t->is((unsigned char)text[i]); i++)
        if (i + 1 >= t->min && matches(format, text + i + 1, end))
            return true;
    return false;
}

bool log_name_is_date(const char *format, const char *text)
{
    return matches(format, text, text + strlen(text));
}

/* ---- names ---- */

static bool ends_in(const char *text, size_t len, const char *suffix)
{
    size_t n = strlen(suffix);

    return len >= n && memcmp(text + len - n, suffix, n) == 0;
}

/* The length of the part before "__<date>"; the rest comes behind it again. */
static size_t stem(const char *base)
{
    size_t n = strlen(base);

    return n > 4 && ends_in(base, n, ".log") ? n - 4 : n;
}

char *log_name_make(const char *base, const char *date, bool (*taken)(void *arg, const char *name), void *arg)
{
    size_t n = stem(base);
    char *name = xasprintf("%.*s__%s%s", (int)n, base, date, base + n);

    for (unsigned i = 2; taken(arg, name); i++) {
        free(name);
        name = xasprintf("%.*s__%s-%u%s", (int)n, base, date, i, base + n);
    }
    return name;
}

/* "-2" at the end of the date. */
static bool read_number(const char *text, const char *end, const char **date_end, unsigned *number)
{
    const char *p = end;
    unsigned n = 0;

    while (p > text && isdigit((unsigned char)p[-1]))
        p--;
    if (p == end || end - p > 9 || p <= text || p[-1] != '-' || *p == '0')
        return false;
    for (const char *q = p; q < end; q++)
        n = n * 10 + (unsigned)(*q - '0');
    *date_end = p - 1;
    *number = n;
    return n >= 2;
}

bool log_name_read(const char *base, const char *format, const char *name, struct log_name *out)
{
    const char *const formats[] = {format, LOG_ROTATE_FORMAT};
    size_t n = stem(base), len = strlen(name);
    const char *date = name + n + 2, *end, *date_end;
    unsigned number;

    *out = (struct log_name){.number = 1};
    if (strncmp(name, base, n) != 0 || strncmp(name + n, "__", 2) != 0)
        return false;
    if (ends_in(name, len, LOG_NAME_UNFINISHED)) {
        out->unfinished = true;
        len -= strlen(LOG_NAME_UNFINISHED);
    }
    for (enum log_compress c = LOG_COMPRESS_GZIP; c <= LOG_COMPRESS_ZSTD; c++)
        if (out->compress == LOG_COMPRESS_NONE && ends_in(name, len, log_compress_suffix(c))) {
            out->compress = c;
            len -= strlen(log_compress_suffix(c));
        }
    if (len < n + 2 + strlen(base + n) || !ends_in(name, len, base + n))
        return false;
    end = name + len - strlen(base + n);
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (matches(formats[i], date, end))
            return true;
        if (read_number(date, end, &date_end, &number) && matches(formats[i], date, date_end)) {
            out->number = number;
            return true;
        }
    }
    return false;
}
