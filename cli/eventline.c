#include "cli/eventline.h"

#include <stdlib.h>
#include <string.h>

#include "cli/color.h"
#include "cli/jsonget.h"
#include "cli/text.h"
#include "cli/units.h"
#include "common/buf.h"
#include "common/mem.h"

#define WHO_WIDTH  16
#define WHAT_WIDTH 17

static const struct {
    const char *event;
    enum color color;
} colors[] = {
    {"start", COLOR_CYAN},
    {"online", COLOR_GREEN},
    {"reload", COLOR_GREEN},
    {"restart", COLOR_YELLOW},
    {"stop", COLOR_YELLOW},
    {"delete", COLOR_YELLOW},
    {"errored", COLOR_RED},
    {"restart overlimit", COLOR_RED},
    {"ready timeout", COLOR_RED},
    {"log trouble", COLOR_RED},
    {"saved list trouble", COLOR_RED},
    {"process:exception", COLOR_RED},
    {"kill", COLOR_YELLOW},
    {"engine replaced", COLOR_YELLOW},
};

static enum color color_of(const char *event)
{
    for (size_t i = 0; i < ARRAY_LEN(colors); i++)
        if (strcmp(colors[i].event, event) == 0)
            return colors[i].color;
    return COLOR_NONE;
}

static void append_padded(struct buf *out, const char *text, int width)
{
    _cleanup_free_ char *clean = text_clean_dup(text);

    buf_puts(out, clean);
    for (int i = text_width(clean); i < width; i++)
        buf_putc(out, ' ');
    buf_puts(out, "  ");
}

static void append_clean(struct buf *out, const char *text)
{
    _cleanup_free_ char *clean = text_clean_dup(text);

    buf_puts(out, clean);
}

/* What is special about it; several things are separated by "; ". */
static void append_detail(struct buf *out, const json_t *event)
{
    const json_t *data = json_object_get(event, "data");
    char *json = data ? json_dumps(data, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    size_t begin = out->len;

    if (strcmp(j_text(event, "event"), "start") == 0)
        buf_printf(out, "pid %lld, run %lld", j_int(event, "pid"), j_int(event, "run"));
    append_clean(out, j_text(event, "text"));
    if (*j_text(event, "type"))
        append_clean(out, j_text(event, "type"));
    if (json) {
        buf_puts(out, out->len > begin ? ": " : "");
        append_clean(out, json);
    }
    append_clean(out, j_text(event, "raw"));
    if (j_int(event, "too_long"))
        buf_printf(out, "a message of %lld bytes, too long to be shown", j_int(event, "too_long"));
    if (*j_text(event, "by")) {
        buf_puts(out, out->len > begin ? "; by " : "by ");
        append_clean(out, j_text(event, "by"));
    }
    free(json);
}

void eventline_append(struct buf *out, const json_t *event, bool color)
{
    const char *word = j_text(event, "event");
    enum color c = color_of(word);
    _cleanup_free_ char *who = json_object_get(event, "id")
                                   ? xasprintf("%s (%lld)", j_text(event, "name"), j_int(event, "id"))
                                   : xstrdup("pm");
    char time[UNITS_MAX];

    buf_printf(out, "%s%s%s  ", color_on(color, COLOR_DIM), units_time_us(time, j_int(event, "time") * 1000),
               color_off(color, COLOR_DIM));
    append_padded(out, who, WHO_WIDTH);
    buf_puts(out, color_on(color, c));
    append_padded(out, word, WHAT_WIDTH);
    buf_puts(out, color_off(color, c));
    append_detail(out, event);
    while (out->len > 0 && out->data[out->len - 1] == ' ')
        out->data[--out->len] = '\0';
    buf_putc(out, '\n');
}
