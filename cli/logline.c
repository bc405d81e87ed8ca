#include "cli/logline.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/color.h"
#include "cli/jsonget.h"
#include "cli/text.h"
#include "cli/units.h"
#include "common/buf.h"
#include "common/mem.h"

static int sextet(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

void logline_base64(struct buf *out, const char *text)
{
    uint32_t bits = 0;
    int n = 0;

    for (; *text; text++) {
        int v = sextet(*text);

        if (v < 0)
            return;
        bits = bits << 6 | (uint32_t)v;
        n += 6;
        if (n >= 8) {
            n -= 8;
            buf_putc(out, (char)(bits >> n & 0xff));
        }
    }
}

/* "id|name", clean. The caller frees. */
static char *label_of(const json_t *line)
{
    _cleanup_free_ char *name = text_clean_dup(j_text(line, "name"));

    return xasprintf("%lld|%s", j_int(line, "id"), name);
}

int logline_label_width(const json_t *line)
{
    _cleanup_free_ char *label = label_of(line);
    int w = text_width(label);

    return w > LOGLINE_LABEL_MAX ? LOGLINE_LABEL_MAX : w;
}

static void append_bytes(struct buf *out, const json_t *line)
{
    const json_t *text = json_object_get(line, "text");

    if (json_is_string(text))
        buf_append(out, json_string_value(text), json_string_length(text));
    else
        logline_base64(out, j_text(line, "base64"));
}

static void append_prefix(struct buf *out, const json_t *line, const struct logline_style *s)
{
    bool error = strcmp(j_text(line, "stream"), "err") == 0;
    enum color color = error ? COLOR_RED : color_of_process(j_int(line, "id"));
    _cleanup_free_ char *label = label_of(line);
    char time[UNITS_MAX];

    buf_printf(out, "%s%s", color_on(s->color, color), label);
    for (int i = text_width(label); i < s->label_width; i++)
        buf_putc(out, ' ');
    buf_printf(out, " | %s", color_off(s->color, color));
    if (s->timestamp)
        buf_printf(out, "%s%s%s ", color_on(s->color, COLOR_DIM), units_time_us(time, j_int(line, "time")),
                   color_off(s->color, COLOR_DIM));
}

static void append_text(struct buf *out, const json_t *line, const struct logline_style *s)
{
    struct buf bytes = {0};

    append_bytes(&bytes, line);
    /* Programs that end lines with CR LF mean no more by the CR. */
    if (bytes.len && bytes.data[bytes.len - 1] == '\r')
        bytes.len--;
    /* A colour that the app left switched on shall not run into the next line. */
    if (bytes.len && text_clean(out, bytes.data, bytes.len, s->color ? TEXT_KEEP_SGR : TEXT_PLAIN))
        buf_puts(out, "\033[0m");
    buf_free(&bytes);
}

static void append_json(struct buf *out, const json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);

    buf_puts(out, text ? text : "{}");
    free(text);
}

void logline_render(struct buf *out, const json_t *line, const struct logline_style *s)
{
    if (s->form == LOGLINE_JSON) {
        append_json(out, line);
    } else {
        if (s->form == LOGLINE_PREFIXED)
            append_prefix(out, line, s);
        if (s->form == LOGLINE_PREFIXED && s->terminal)
            append_text(out, line, s);
        else
            append_bytes(out, line);
    }
    buf_putc(out, '\n');
}
