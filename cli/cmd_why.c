#include "cli/why.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/help.h"
#include "cli/jsonget.h"
#include "cli/outcome.h"
#include "cli/runwords.h"
#include "cli/session.h"
#include "cli/text.h"
#include "cli/units.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/mem.h"

#define INDENT 6

static void append_clean(struct buf *out, const char *text)
{
    text_clean(out, text, strlen(text), TEXT_PLAIN);
}

/* "  16 unstable runs in a row …" in as many lines as it takes. */
static void append_wrapped(const struct out *o, struct buf *out, const char *text, int indent)
{
    _cleanup_free_ char *clean = text_clean_dup(text);

    buf_printf(out, "%*s", indent, "");
    help_wrap(out, clean, indent, indent, o->width ? o->width : 1 << 20);
}

static void append_head(const struct out *o, const json_t *r, struct buf *out)
{
    const char *status = j_text(r, "status"), *reason = j_text(r, "reason_text");
    enum color c = color_of_status(status);

    buf_puts(out, color_on(o->color, COLOR_BOLD));
    append_clean(out, j_text(r, "name"));
    buf_printf(out, "%s (id %lld)  %s%s%s\n", color_off(o->color, COLOR_BOLD), j_int(r, "id"),
               color_on(o->color, c), status, color_off(o->color, c));
    if (*reason)
        append_wrapped(o, out, reason, 2);
}

/* "exited with code 7, after 40 ms" */
static void append_ending(struct buf *words, const json_t *run, int64_t now)
{
    char span[UNITS_MAX];

    if (!j_int(run, "ended_at")) {
        buf_printf(words, "has been running for %s", units_span(span, now - j_int(run, "started_at")));
        return;
    }
    runwords_ending(words, run);
    /* A run whose exec failed has not lived. */
    if (strcmp(j_text(run, "reason"), "exec-failed") != 0 &&
        strcmp(j_text(run, "reason"), "spawn-refused") != 0)
        buf_printf(words, ", after %s", units_span(span, j_int(run, "uptime")));
}

/* "  2025-10-18 14:03:22  3 min ago  exited with code 7 after 40 ms" */
void why_append_run(const struct out *o, const json_t *run, int64_t now, struct buf *out)
{
    long long ended = j_int(run, "ended_at"), when = ended ? ended : j_int(run, "started_at");
    enum color color = ended ? runwords_is_bad(run) ? COLOR_RED : COLOR_NONE : COLOR_GREEN;
    char time[UNITS_MAX], ago[UNITS_MAX];
    struct buf words = {0};
    int width = o->width ? o->width : 1 << 20, at = 35;
    /* On a narrow terminal the words get a line of their own. */
    bool narrow = width < at + 30;

    append_ending(&words, run, now);
    _cleanup_free_ char *clean = text_clean_dup(words.data);
    buf_printf(out, narrow ? "  %s  %s\n" : "  %s  %-10s  ", units_time(time, when),
               units_ago(ago, now - when));
    if (narrow)
        buf_printf(out, "%*s", at = INDENT, "");
    buf_puts(out, color_on(o->color, color));
    help_wrap(out, clean, at, at, width);
    buf_puts(out, color_off(o->color, color));
    buf_free(&words);
}

/* "pid 4242, asked for by pm restart api (uid 0), max memory 34.1mb, cpu 120 ms" */
static void append_facts(const struct out *o, const json_t *run, struct buf *out)
{
    struct buf facts = {0};
    char s[UNITS_MAX];

    buf_printf(&facts, "run %lld", j_int(run, "run"));
    if (j_int(run, "pid") > 0)
        buf_printf(&facts, ", pid %lld", j_int(run, "pid"));
    if (*j_text(run, "by"))
        buf_printf(&facts, ", asked for by \"%s\"", j_text(run, "by"));
    if (j_int(run, "max_rss") > 0)
        buf_printf(&facts, ", memory at most %s", units_size(s, (uint64_t)j_int(run, "max_rss")));
    if (json_object_get(run, "cpu_time") && j_int(run, "ended_at"))
        buf_printf(&facts, ", CPU time %s", units_span(s, j_int(run, "cpu_time")));
    buf_puts(out, color_on(o->color, COLOR_DIM));
    append_wrapped(o, out, facts.data, INDENT);
    buf_puts(out, color_off(o->color, COLOR_DIM));
    buf_free(&facts);
}

/* A line of the error log may be an object of "logs" or plain text. */
static void append_stderr(const struct out *o, const json_t *run, struct buf *out)
{
    json_t *line;
    size_t i;

    json_array_foreach (json_object_get(run, "stderr"), i, line) {
        const char *text = json_is_string(line) ? json_string_value(line) : j_text(line, "text");

        buf_printf(out, "%*s%s%s%s ", INDENT, "", color_on(o->color, COLOR_RED), out_utf8(o) ? "│" : "|",
                   color_off(o->color, COLOR_RED));
        append_clean(out, text);
        buf_putc(out, '\n');
    }
}

void why_render(const struct out *o, const json_t *r, int64_t now, struct buf *out)
{
    const json_t *runs = json_object_get(r, "runs");
    _cleanup_free_ char *word = outcome_word(j_text(r, "name"), j_int(r, "id"));
    json_t *run;
    size_t i;

    append_head(o, r, out);
    if (json_array_size(runs) == 0)
        buf_puts(out, "\n  it has not run yet\n");
    json_array_foreach (runs, i, run) {
        buf_putc(out, '\n');
        why_append_run(o, run, now, out);
        append_facts(o, run, out);
        append_stderr(o, run, out);
    }
    if (o->tty && !o->silent && strcmp(j_text(r, "status"), "online") != 0)
        buf_printf(out, "\n  next: pm logs %s --err --lines 50, pm restart %s\n", word, word);
}

int cmd_why(struct cli *c, const struct args *a)
{
    json_t *params = session_selectors(a->words, a->n_words), *result = NULL, *record;
    struct buf b = {0};
    size_t i;
    int code;

    json_object_set_new(params, "runs", json_integer(args_number(a, "runs", 5)));
    json_object_set_new(params, "lines", json_integer(args_number(a, "lines", 10)));
    code = session_call(c, "why", params, &result);
    if (code == 0 && args_has(a, "json")) {
        json_dumpf(result, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (code == 0) {
        json_array_foreach (result, i, record) {
            if (i)
                buf_putc(&b, '\n');
            why_render(&c->out, record, (int64_t)clock_wall_ms(), &b);
        }
        out_data(&b);
    }
    buf_free(&b);
    json_decref(result);
    return code;
}
