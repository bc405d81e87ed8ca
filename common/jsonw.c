#include "common/jsonw.h"

#include <math.h>
#include <string.h>

static void separate(struct jsonw *w)
{
    if (w->comma)
        buf_putc(w->out, ',');
    w->comma = true;
}

static void begin(struct jsonw *w, char bracket)
{
    separate(w);
    buf_putc(w->out, bracket);
    w->comma = false;
}

static void end(struct jsonw *w, char bracket)
{
    buf_putc(w->out, bracket);
    w->comma = true;
}

void jsonw_obj_begin(struct jsonw *w)
{
    begin(w, '{');
}

void jsonw_obj_end(struct jsonw *w)
{
    end(w, '}');
}

void jsonw_arr_begin(struct jsonw *w)
{
    begin(w, '[');
}

void jsonw_arr_end(struct jsonw *w)
{
    end(w, ']');
}

static bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* The second byte's range rules out overlong forms, surrogates and what is beyond U+10FFFF. */
static bool second_fits(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return is_tail(second);
    }
}

size_t jsonw_utf8_len(const unsigned char *s, size_t avail)
{
    size_t need;

    if (avail == 0)
        return 0;
    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    need = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (avail < need || !second_fits(s[0], s[1]))
        return 0;
    for (size_t i = 2; i < need; i++)
        if (!is_tail(s[i]))
            return 0;
    return need;
}

static void escape(struct buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char u[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    const char *word = NULL;

    switch (c) {
    case '"':
        word = "\\\"";
        break;
    case '\\':
        word = "\\\\";
        break;
    case '\n':
        word = "\\n";
        break;
    case '\r':
        word = "\\r";
        break;
    case '\t':
        word = "\\t";
        break;
    default:
        break;
    }
    if (word)
        buf_append(out, word, 2);
    else
        buf_append(out, u, sizeof(u));
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

/* Nearly every text is plain ASCII to its end, or for long: copied while it is looked at. */
static size_t put_ascii(struct buf *out, const char *text, size_t len)
{
    char *to = out->data + out->len;
    size_t i = 0;

    for (; i < len && is_plain((unsigned char)text[i]) && (unsigned char)text[i] < 0x80; i++)
        to[i] = text[i];
    out->len += i;
    return i;
}

static void quoted(struct buf *out, const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t start, i;

    buf_reserve(out, len + 2);
    buf_putc(out, '"');
    start = i = put_ascii(out, text, len);
    while (i < len) {
        size_t n = s[i] < 0x80 ? is_plain(s[i]) : jsonw_utf8_len(s + i, len - i);

        if (n) {
            i += n;
            continue;
        }
        buf_append(out, text + start, i - start);
        if (s[i] < 0x80)
            escape(out, s[i]);
        else
            buf_append(out, "\xef\xbf\xbd", 3);
        start = ++i;
    }
    buf_append(out, text + start, len - start);
    buf_putc(out, '"');
}

void jsonw_key(struct jsonw *w, const char *key)
{
    separate(w);
    quoted(w->out, key, strlen(key));
    buf_putc(w->out, ':');
    w->comma = false;
}

void jsonw_strn(struct jsonw *w, const char *s, size_t len)
{
    separate(w);
    quoted(w->out, s, len);
}

void jsonw_str(struct jsonw *w, const char *s)
{
    if (s)
        jsonw_strn(w, s, strlen(s));
    else
        jsonw_null(w);
}

static void digits(struct buf *out, uint64_t v)
{
    char text[20];
    size_t at = sizeof(text);

    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    buf_append(out, text + at, sizeof(text) - at);
}

void jsonw_uint(struct jsonw *w, uint64_t v)
{
    separate(w);
    digits(w->out, v);
}

void jsonw_int(struct jsonw *w, int64_t v)
{
    separate(w);
    if (v < 0)
        buf_putc(w->out, '-');
    digits(w->out, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void jsonw_bool(struct jsonw *w, bool v)
{
    separate(w);
    buf_puts(w->out, v ? "true" : "false");
}

void jsonw_null(struct jsonw *w)
{
    separate(w);
    buf_append(w->out, "null", 4);
}

/* By integers, because printf's decimal point follows the locale. */
void jsonw_real1(struct jsonw *w, double v)
{
    uint64_t tenths;

    if (isnan(v) || v >= 1e17 || v <= -1e17) {
        jsonw_null(w);
        return;
    }
    separate(w);
    tenths = (uint64_t)((v < 0 ? -v : v) * 10 + 0.5);
    if (v < 0 && tenths)
        buf_putc(w->out, '-');
    digits(w->out, tenths / 10);
    buf_putc(w->out, '.');
    buf_putc(w->out, (char)('0' + tenths % 10));
}

void jsonw_raw(struct jsonw *w, const char *json, size_t len)
{
    separate(w);
    buf_append(w->out, json, len);
}

void jsonw_kstr(struct jsonw *w, const char *key, const char *val)
{
    jsonw_key(w, key);
    jsonw_str(w, val);
}

void jsonw_kint(struct jsonw *w, const char *key, int64_t val)
{
    jsonw_key(w, key);
    jsonw_int(w, val);
}

void jsonw_kuint(struct jsonw *w, const char *key, uint64_t val)
{
    jsonw_key(w, key);
    jsonw_uint(w, val);
}

void jsonw_kbool(struct jsonw *w, const char *key, bool val)
{
    jsonw_key(w, key);
    jsonw_bool(w, val);
}
