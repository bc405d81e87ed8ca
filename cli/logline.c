#include "cli/logline.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/color.h"
#include "cli/jsonget.h"
#include "cli/text.h"
#include "cli/units.h"
#include "common/buf.h"
#include "common/log_date.h"
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

/* Local time of the line. */
static const char *date_of(const json_t *line, const char *format, char out[LOG_DATE_MAX])
{
    struct log_date d;

    log_date_init(&d, format);
    log_date_render(&d, (uint64_t)j_int(line, "time"), out);
    return out;
}

static void append_prefix(struct buf *out, const json_t *line, const struct logline_style *s)
{
    bool error = strcmp(j_text(line, "stream"), "err") == 0;
    enum color color = error ? COLOR_RED : color_of_process(j_int(line, "id"));
    _cleanup_free_ char *label = label_of(line);
    char time[LOG_DATE_MAX];

    if (s->label_max && text_width(label) > s->label_max) {
        label[text_cut(label, s->label_max - 1)] = '\0';
        _cleanup_free_ char *cut = xasprintf("%s~", label);

        free(label);
        label = xstrdup(cut);
    }
    buf_printf(out, "%s%s", color_on(s->color, color), label);
    for (int i = text_width(label); i < s->label_width; i++)
        buf_putc(out, ' ');
    buf_printf(out, " | %s", color_off(s->color, color));
    if (s->time_format)
        buf_printf(out, "%s%s%s ", color_on(s->color, COLOR_DIM), date_of(line, s->time_format, time),
                   color_off(s->color, COLOR_DIM));
}

/* The bytes with every occurrence of the word in reverse video; what the line's own colours were before goes
 * on behind it, since only the reversal is switched off. */
static void mark_word(struct buf *bytes, const char *word)
{
    struct buf marked = {0};
    size_t len = strlen(word), i = 0;

    while (i < bytes->len) {
        const char *at = len ? memmem(bytes->data + i, bytes->len - i, word, len) : NULL;
        size_t before = at ? (size_t)(at - bytes->data) - i : bytes->len - i;

        buf_append(&marked, bytes->data + i, before);
        i += before;
        if (!at)
            break;
        buf_printf(&marked, "\033[7m%s\033[27m", word);
        i += len;
    }
    buf_free(bytes);
    *bytes = marked;
}

static void append_text(struct buf *out, const json_t *line, const struct logline_style *s)
{
    struct buf bytes = {0};

    append_bytes(&bytes, line);
    /* Programs that end lines with CR LF mean no more by the CR. */
    if (bytes.len && bytes.data[bytes.len - 1] == '\r')
        bytes.len--;
    if (s->highlight && s->color)
        mark_word(&bytes, s->highlight);
    /* A colour that the app left switched on shall not run into the next line. */
    if (bytes.len && text_clean(out, bytes.data, bytes.len, s->color ? TEXT_KEEP_SGR : TEXT_PLAIN))
        buf_puts(out, "\033[0m");
    buf_free(&bytes);
}

/* UTC, as PM2 prints it: "2025-10-18T14:03:22.123Z". */
static const char *iso_time(char out[UNITS_MAX], int64_t us)
{
    time_t t = (time_t)(us / 1000000);
    char seconds[24];
    struct tm tm;

    if (!gmtime_r(&t, &tm) || strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        return "";
    snprintf(out, UNITS_MAX, "%s.%03dZ", seconds, (int)(us / 1000 % 1000));
    return out;
}

static const char *time_of(const json_t *line, const struct logline_style *s, char out[LOG_DATE_MAX])
{
    char iso[UNITS_MAX];

    if (s->time_format)
        return date_of(line, s->time_format, out);
    snprintf(out, LOG_DATE_MAX, "%s", iso_time(iso, j_int(line, "time")));
    return out;
}

static void append_json(struct buf *out, const json_t *line, const struct logline_style *s)
{
    const json_t *text = json_object_get(line, "text"), *base64 = json_object_get(line, "base64");
    char time[LOG_DATE_MAX];
    json_t *o = json_pack("{s:s, s:s, s:I, s:s, s:I, s:I, s:I}", "timestamp", time_of(line, s, time), "type",
                          j_text(line, "stream"), "process_id", (json_int_t)j_int(line, "id"), "app_name",
                          j_text(line, "name"), "instance", (json_int_t)j_int(line, "instance"), "run",
                          (json_int_t)j_int(line, "run"), "time", (json_int_t)j_int(line, "time"));
    char *dump;

    if (json_object_get(line, "level"))
        json_object_set(o, "level", json_object_get(line, "level"));
    if (json_is_true(json_object_get(line, "context")))
        json_object_set_new(o, "context", json_true());
    json_object_set(o, text ? "message" : "base64", (json_t *)(text ? text : base64));
    dump = json_dumps(o, JSON_COMPACT);
    buf_puts(out, dump ? dump : "{}");
    free(dump);
    json_decref(o);
}

static void append_words(struct buf *out, const json_t *line, const struct logline_style *s)
{
    bool error = strcmp(j_text(line, "stream"), "err") == 0;
    _cleanup_free_ char *name = text_clean_dup(j_text(line, "name"));
    char time[LOG_DATE_MAX];

    buf_printf(out, "timestamp=%s app=%s id=%lld type=%s message=", time_of(line, s, time), name,
               j_int(line, "id"), error ? "error" : "out");
}

void logline_render(struct buf *out, const json_t *line, const struct logline_style *s)
{
    if (s->form == LOGLINE_JSON) {
        append_json(out, line, s);
    } else {
        if (s->form == LOGLINE_PREFIXED)
            append_prefix(out, line, s);
        if (s->form == LOGLINE_WORDS)
            append_words(out, line, s);
        if (s->form != LOGLINE_RAW && (s->terminal || (s->highlight && s->color)))
            append_text(out, line, s);
        else
            append_bytes(out, line);
    }
    buf_putc(out, '\n');
}
