#include <stdio.h>
#include <unistd.h>

#include "cli/describe.h"
#include "cli/jsonget.h"
#include "cli/outcome.h"
#include "cli/session.h"
#include "cli/spark.h"
#include "cli/units.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"

#define SPARK_WIDTH 30
#define RUNS        3 /* a glance; pm why tells more */

/* The last runs of the same processes. Who asks for a description gets it also without them. */
static json_t *last_runs(struct cli *c, const struct args *a)
{
    json_t *params = session_selectors(a->words, a->n_words), *result = NULL;
    struct err e = {0};

    json_object_set_new(params, "runs", json_integer(RUNS));
    json_object_set_new(params, "lines", json_integer(0));
    if (rpc_call(&c->rpc, "why", params, SESSION_READ_MS, &result, &e) < 0)
        out_note(&c->out, "the last runs are not known: %s", e.msg);
    return result;
}

/* "▁▂▁█▂ up to 12.3%" of the last ten minutes. */
static void add_line(const struct out *o, json_t *series, const json_t *all, enum metrics_member which)
{
    const json_t *points = json_object_get(series, "points");
    bool cpu = which == POINT_CPU_AVG;
    struct metrics_summary s;
    char size[UNITS_MAX];
    struct buf b = {0};

    metrics_summary(points, &s);
    if (!s.n)
        return;
    spark_append(&b, points, which, j_int(all, "from"), j_int(all, "to"), SPARK_WIDTH, out_utf8(o));
    if (cpu)
        buf_printf(&b, " up to %.1f%%", s.cpu_max);
    else
        buf_printf(&b, " up to %s", units_size(size, (uint64_t)s.memory_max));
    json_object_set_new(series, cpu ? "cpu_line" : "memory_line", json_stringn(b.data, b.len));
    buf_free(&b);
}

/* Adds "metrics" and "now" to each record: what its tree uses now, with PSS, and what it used. */
static void add_metrics(struct cli *c, const struct args *a, const json_t *records)
{
    json_t *params = session_selectors(a->words, a->n_words), *result = NULL, *record, *series;
    struct err e = {0};
    size_t i, k;

    json_object_set_new(params, "pss", json_true());
    if (rpc_call(&c->rpc, "metrics", params, SESSION_READ_MS, &result, &e) < 0)
        out_note(&c->out, "the metrics are not known: %s", e.msg);
    json_array_foreach (json_object_get(result, "processes"), k, series) {
        add_line(&c->out, series, result, POINT_CPU_AVG);
        add_line(&c->out, series, result, POINT_MEMORY_AVG);
        json_array_foreach (records, i, record)
            if (j_int(record, "pm_id") == j_int(series, "id")) {
                json_object_set(record, "metrics", series);
                json_object_set(record, "now", json_object_get(series, "now"));
            }
    }
    json_decref(result);
}

static const json_t *runs_of(const json_t *stories, long long id)
{
    json_t *story;
    size_t i;

    json_array_foreach (stories, i, story)
        if (j_int(story, "id") == id)
            return json_object_get(story, "runs");
    return NULL;
}

/* On a terminal: what is mostly asked next. */
static void append_next(const struct cli *c, const json_t *record, struct buf *out)
{
    long long id = j_int(record, "pm_id");
    _cleanup_free_ char *word = outcome_word(j_text(record, "name"), id);

    if (c->out.tty && !c->out.silent)
        buf_printf(out, "\n  next: pm logs %s, pm why %s, pm env %lld\n", word, word, id);
}

static void print_all(struct cli *c, const struct args *a, const json_t *records)
{
    json_t *runs = last_runs(c, a), *record;
    struct buf b = {0};
    size_t i;

    add_metrics(c, a, records);
    json_array_foreach (records, i, record) {
        const struct describe d = {.out = &c->out,
                                   .environ_ = environ,
                                   .now = (int64_t)clock_wall_ms(),
                                   .runs = runs_of(runs, j_int(record, "pm_id")),
                                   .one_of_many = json_array_size(records) > 1};

        if (i)
            buf_putc(&b, '\n');
        describe_render(&d, record, &b);
    }
    append_next(c, json_array_get(records, 0), &b);
    out_data(&b);
    buf_free(&b);
    json_decref(runs);
}

int cmd_describe(struct cli *c, const struct args *a)
{
    json_t *result = NULL;
    int code = session_call(c, "describe", session_selectors(a->words, a->n_words), &result);

    if (code == EXIT_DONE && args_has(a, "json")) {
        json_dumpf(result, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (code == EXIT_DONE) {
        print_all(c, a, result);
    }
    json_decref(result);
    return code;
}
