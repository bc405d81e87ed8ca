#include "cli/monit_log.h"

#include <stdlib.h>
#include <string.h>

#include "cli/jsonget.h"
#include "cli/logline.h"
#include "cli/text.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/mem.h"

void monit_log_clear(struct monit_log *l)
{
    for (size_t i = 0; i < MONIT_LOG_LINES; i++)
        free(l->lines[i].text);
    memset(l->lines, 0, sizeof(l->lines));
    l->first = l->n = l->up = 0;
    l->left = 0;
    l->follow = true;
}

static void add(struct monit_log *l, struct monit_line line)
{
    size_t at = (l->first + l->n) % MONIT_LOG_LINES;

    free(l->lines[at].text);
    l->lines[at] = line;
    if (l->n < MONIT_LOG_LINES)
        l->n++;
    else
        l->first = (l->first + 1) % MONIT_LOG_LINES;
    if (!l->follow && l->up < l->n - 1)
        l->up++; /* what one reads stays where it is */
}

static char *text_of(const json_t *line)
{
    const json_t *text = json_object_get(line, "text");
    struct buf raw = {0}, clean = {0};
    char *out;

    if (json_is_string(text))
        buf_append(&raw, json_string_value(text), json_string_length(text));
    else
        logline_base64(&raw, j_text(line, "base64"));
    if (raw.len && raw.data[raw.len - 1] == '\r')
        raw.len--;
    if (raw.len)
        text_clean(&clean, raw.data, raw.len > MONIT_LOG_BYTES ? MONIT_LOG_BYTES : raw.len, TEXT_PLAIN);
    out = buf_steal(&clean);
    for (char *p = out; *p; p++)
        if (*p == '\t')
            *p = ' ';
    buf_free(&raw);
    return out;
}

void monit_log_note(struct monit_log *l, const char *text)
{
    add(l,
        (struct monit_line){.time_us = (int64_t)clock_wall_us(), .note = true, .text = text_clean_dup(text)});
}

void monit_log_take(struct monit_log *l, const json_t *params)
{
    const json_t *lines = json_object_get(params, "lines"), *line;
    size_t i;

    if (json_object_get(params, "missed")) {
        _cleanup_free_ char *words = xasprintf(
            "(%lld lines came faster than they can be shown; pm logs has them)", j_int(params, "missed"));

        monit_log_note(l, words);
    }
    if (json_object_get(params, "failed"))
        monit_log_note(l, j_text(params, "failed"));
    json_array_foreach (lines, i, line)
        add(l, (struct monit_line){.time_us = j_int(line, "time"),
                                   .error = strcmp(j_text(line, "stream"), "err") == 0,
                                   .text = text_of(line)});
}

const struct monit_line *monit_log_line(const struct monit_log *l, size_t i)
{
    return &l->lines[(l->first + i) % MONIT_LOG_LINES];
}

void monit_log_scroll(struct monit_log *l, long by, size_t height)
{
    long most = l->n > height ? (long)(l->n - height) : 0, up = (long)l->up + by;

    l->up = (size_t)(up < 0 ? 0 : up > most ? most : up);
    l->follow = l->up == 0;
}

bool monit_log_find(struct monit_log *l, bool up)
{
    long at = (long)l->n - 1 - (long)l->up;

    if (!*l->search)
        return false;
    for (at += up ? -1 : 1; at >= 0 && at < (long)l->n; at += up ? -1 : 1) {
        if (!strcasestr(monit_log_line(l, (size_t)at)->text, l->search))
            continue;
        l->up = l->n - 1 - (size_t)at;
        l->follow = false;
        return true;
    }
    return false;
}
