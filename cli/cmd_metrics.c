#include <stdio.h>
#include <stdlib.h>

#include "cli/jsonget.h"
#include "cli/out.h"
#include "cli/session.h"
#include "cli/spark.h"
#include "cli/table.h"
#include "cli/units.h"
#include "cli/when.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"

#define SINCE_MS    3600000 /* without --since */
#define POINTS      10000
#define SPARK_WIDTH 24

static const struct column columns[] = {
    {.title = "id", .right = true},
    {.title = "name", .shrink = 12, .keep = 20},
    {.title = "cpu now", .right = true, .spare = 3},
    {.title = "min", .right = true, .spare = 2},
    {.title = "avg", .right = true},
    {.title = "max", .right = true},
    {.title = "cpu over time", .spare = TABLE_PLEASANT},
    {.title = "mem now", .right = true, .spare = 3},
    {.title = "min", .right = true, .spare = 2},
    {.title = "avg", .right = true},
    {.title = "max", .right = true},
    {.title = "memory over time", .spare = TABLE_PLEASANT + 1},
};

struct range {
    int64_t from, to; /* s */
    bool utf8;
};

static void add_percent(struct table *t, bool known, double v)
{
    char text[32];

    snprintf(text, sizeof(text), "%.1f%%", v);
    table_add(t, COLOR_NONE, known ? text : "-");
}

static void add_size(struct table *t, bool known, double bytes)
{
    char text[UNITS_MAX];

    table_add(t, COLOR_NONE, known ? units_size(text, (uint64_t)bytes) : "-");
}

static void add_spark(struct table *t, const json_t *points, enum metrics_member which, const struct range *r)
{
    struct buf b = {0};

    spark_append(&b, points, which, r->from, r->to, SPARK_WIDTH, r->utf8);
    buf_putc(&b, '\0');
    table_add(t, COLOR_NONE, b.data);
    buf_free(&b);
}

static void add_row(struct table *t, const char *id, const char *name, const json_t *now, double memory,
                    const json_t *points, const struct range *r)
{
    struct metrics_summary s;

    metrics_summary(points, &s);
    table_add(t, COLOR_NONE, id);
    table_add(t, COLOR_BOLD, name);
    add_percent(t, now != NULL, j_number(now, "cpu"));
    add_percent(t, s.n, s.cpu_min);
    add_percent(t, s.n, s.cpu_avg);
    add_percent(t, s.n, s.cpu_max);
    add_spark(t, points, POINT_CPU_AVG, r);
    add_size(t, now != NULL, memory);
    add_size(t, s.n, s.memory_min);
    add_size(t, s.n, s.memory_avg);
    add_size(t, s.n, s.memory_max);
    add_spark(t, points, POINT_MEMORY_AVG, r);
}

static void print_host(const json_t *host)
{
    char in[UNITS_MAX], sent[UNITS_MAX], rd[UNITS_MAX], wr[UNITS_MAX], used[UNITS_MAX], all[UNITS_MAX];
    const json_t *load = json_object_get(host, "load");
    struct buf b = {0};

    if (!j_int(host, "time"))
        return;
    buf_printf(&b,
               "host: cpu %.1f%% of %lld, load %.2f %.2f %.2f, memory %s of %s, disk read %s/s write %s/s, "
               "network in %s/s out %s/s\n",
               j_number(host, "cpu"), j_int(host, "cpus"), json_number_value(json_array_get(load, 0)),
               json_number_value(json_array_get(load, 1)), json_number_value(json_array_get(load, 2)),
               units_size(used, (uint64_t)(j_int(host, "memory_total") - j_int(host, "memory_available"))),
               units_size(all, (uint64_t)j_int(host, "memory_total")),
               units_size(rd, (uint64_t)j_int(host, "disk_read")),
               units_size(wr, (uint64_t)j_int(host, "disk_written")),
               units_size(in, (uint64_t)j_int(host, "net_received")),
               units_size(sent, (uint64_t)j_int(host, "net_sent")));
    out_data(&b);
    buf_free(&b);
}

static void print_table(const struct cli *c, const json_t *result)
{
    const struct range r = {j_int(result, "from"), j_int(result, "to"), out_utf8(&c->out)};
    const json_t *host = json_object_get(result, "host");
    struct table t;
    json_t *p;
    size_t i;

    table_init(&t, columns, ARRAY_LEN(columns));
    json_array_foreach (json_object_get(result, "processes"), i, p) {
        const json_t *now = json_object_get(p, "now");
        char id[32];

        snprintf(id, sizeof(id), "%lld", j_int(p, "id"));
        add_row(&t, id, j_text(p, "name"), now, j_number(now, "memory"), json_object_get(p, "points"), &r);
    }
    add_row(&t, "", "(host)", j_int(host, "time") ? host : NULL,
            j_number(host, "memory_total") - j_number(host, "memory_available"),
            json_object_get(host, "points"), &r);
    out_table(&c->out, &t);
    table_deinit(&t);
    print_host(host);
}

/* As RFC 4180: in quotes, which are doubled. */
static void csv_text(struct buf *b, const char *text)
{
    buf_putc(b, '"');
    for (; *text; text++) {
        if (*text == '"')
            buf_putc(b, '"');
        buf_putc(b, *text);
    }
    buf_putc(b, '"');
}

static void csv_points(struct buf *b, const char *id, const char *name, long long instance,
                       const json_t *points)
{
    json_t *p;
    size_t i;

    json_array_foreach (points, i, p) {
        buf_printf(b, "%.0f,%s,", metrics_point(p, POINT_TIME), id);
        csv_text(b, name);
        buf_printf(b, ",%lld,%.0f", instance, metrics_point(p, POINT_SECONDS));
        for (int k = POINT_CPU_MIN; k <= POINT_CPU_MAX; k++)
            buf_printf(b, ",%.1f", metrics_point(p, (enum metrics_member)k));
        for (int k = POINT_MEMORY_MIN; k <= POINT_MEMORY_MAX; k++)
            buf_printf(b, ",%.0f", metrics_point(p, (enum metrics_member)k));
        buf_putc(b, '\n');
    }
}

static void print_csv(const json_t *result)
{
    struct buf b = {0};
    json_t *p;
    size_t i;

    buf_puts(&b, "time,id,name,instance,seconds,cpu_min,cpu_avg,cpu_max,memory_min,memory_avg,memory_max\n");
    json_array_foreach (json_object_get(result, "processes"), i, p) {
        char id[32];

        snprintf(id, sizeof(id), "%lld", j_int(p, "id"));
        csv_points(&b, id, j_text(p, "name"), j_int(p, "instance"), json_object_get(p, "points"));
    }
    csv_points(&b, "", "(host)", 0, json_object_get(json_object_get(result, "host"), "points"));
    out_data(&b);
    buf_free(&b);
}

int cmd_metrics(struct cli *c, const struct args *a)
{
    const char *since = args_text(a, "since");
    int64_t from = (int64_t)clock_wall_ms() - SINCE_MS;
    json_t *params, *result = NULL;
    struct err e;
    int code;

    if (args_has(a, "json") && args_has(a, "csv")) {
        out_error(&c->out, "--json and --csv cannot go together");
        return EXIT_USAGE;
    }
    if (since) {
        if (when_parse(since, (int64_t)clock_wall_us(), WHEN_EARLIER, &from, &e) < 0) {
            out_error(&c->out, "--since: %s", e.msg);
            return EXIT_USAGE;
        }
        from = from > 0 ? from / 1000 : 0;
    }
    params = a->n_words ? session_selectors(a->words, a->n_words) : json_object();
    json_object_set_new(params, "since", json_integer(from));
    json_object_set_new(params, "points", json_integer(POINTS));
    code = session_call(c, "metrics", params, &result);
    if (code == EXIT_DONE && args_has(a, "json"))
        out_json(result);
    else if (code == EXIT_DONE && args_has(a, "csv"))
        print_csv(result);
    else if (code == EXIT_DONE)
        print_table(c, result);
    json_decref(result);
    return code;
}
