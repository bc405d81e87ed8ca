#include "cli/text.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "common/buf.h"

static bool env_is_set(const char *name)
{
    const char *v = getenv(name);

    return v && *v;
}

static bool init_locale(void)
{
    bool chosen = env_is_set("LC_ALL") || env_is_set("LC_CTYPE") || env_is_set("LANG");

    if (setlocale(LC_CTYPE, "") && strcmp(nl_langinfo(CODESET), "UTF-8") == 0)
        return true;
    /* wcwidth knows no character beyond ASCII in the C locale. */
    setlocale(LC_CTYPE, "C.UTF-8");
    return !chosen;
}

bool text_utf8(void)
{
    static bool known, utf8;

    if (!known)
        utf8 = init_locale();
    known = true;
    return utf8;
}

size_t text_decode(const char *s, size_t len, uint32_t *cp)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *u = (const unsigned char *)s;
    size_t n = u[0] < 0x80             ? 1
               : (u[0] & 0xe0) == 0xc0 ? 2
               : (u[0] & 0xf0) == 0xe0 ? 3
               : (u[0] & 0xf8) == 0xf0 ? 4
                                       : 0;
    uint32_t v;

    if (n == 0 || n > len)
        return 0;
    v = n == 1 ? u[0] : u[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((u[i] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (u[i] & 0x3f);
    }
    if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return 0;
    *cp = v;
    return n;
}

static int char_width(uint32_t cp)
{
    int w;

    if (cp >= 0x20 && cp < 0x7f)
        return 1;
    text_utf8(); /* wcwidth wants the locale */
    w = wcwidth((wchar_t)cp);
    if (w >= 0)
        return w;
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) ? 0 : 1;
}

int text_width(const char *s)
{
    size_t len = strlen(s);
    int width = 0;

    while (len) {
        uint32_t cp;
        size_t n = text_decode(s, len, &cp);

        width += n ? char_width(cp) : 1;
        s += n ? n : 1;
        len -= n ? n : 1;
    }
    return width;
}

size_t text_cut(const char *s, int columns)
{
    size_t len = strlen(s), at = 0;
    int width = 0;

    while (at < len) {
        uint32_t cp;
        size_t n = text_decode(s + at, len - at, &cp);
        int w = n ? char_width(cp) : 1;

        if (width + w > columns)
            break;
        width += w;
        at += n ? n : 1;
    }
    return at;
}

/* Length of the sequence ESC [ parameters m at s, or 0 when there is another thing. */
static size_t sgr_length(const char *s, size_t len)
{
    size_t i = 2;

    if (len < 3 || s[0] != '\033' || s[1] != '[')
        return 0;
    while (i < len && ((s[i] >= '0' && s[i] <= '9') || s[i] == ';' || s[i] == ':'))
        i++;
    return i < len && s[i] == 'm' ? i + 1 : 0;
}

/* Is this a control character, or one that reorders the text around it? */
static bool is_harmful(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || (cp >= 0x202a && cp <= 0x202e) ||
           (cp >= 0x2066 && cp <= 0x2069);
}

static void append_visible(struct buf *out, uint32_t cp)
{
    if (cp < 0x20 || cp == 0x7f)
        buf_printf(out, "^%c", (char)(cp ^ 0x40));
    else if (cp < 0x100)
        buf_printf(out, "\\x%02x", (unsigned)cp);
    else
        buf_printf(out, "\\u%04x", (unsigned)cp);
}

bool text_clean(struct buf *out, const char *s, size_t len, enum text_clean mode)
{
    bool colored = false;

    while (len) {
        uint32_t cp;
        size_t n = sgr_length(s, len);

        if (n) {
            if (mode & TEXT_KEEP_SGR) {
                buf_append(out, s, n);
                colored = true;
            }
        } else if ((n = text_decode(s, len, &cp)) == 0) {
            buf_printf(out, "\\x%02x", (unsigned char)s[0]);
            n = 1;
        } else if (cp != '\t' && is_harmful(cp)) {
            append_visible(out, cp);
        } else {
            buf_append(out, s, n);
        }
        s += n;
        len -= n;
    }
    return colored;
}

char *text_clean_dup(const char *s)
{
    struct buf b = {0};
    char *out;

    text_clean(&b, s, strlen(s), TEXT_PLAIN);
    out = buf_steal(&b);
    for (char *p = out; *p; p++)
        if (*p == '\t')
            *p = ' ';
    return out;
}
