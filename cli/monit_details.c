/* The selected process in words, its charts, and the help. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/jsonget.h"
#include "cli/monit.h"
#include "cli/monit_chart.h"
#include "cli/monit_paint.h"
#include "cli/text.h"
#include "cli/units.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/mem.h"

/* Lines "key  value" of which those from `skip` on are drawn while there is room. */
struct lines {
    struct monit *m;
    const struct monit_rect *r;
    size_t skip, n;
};

static void line(struct lines *l, int paint, const char *key, const char *value)
{
    _cleanup_free_ char *k = text_clean_dup(key), *v = text_clean_dup(value);
    int key_width = l->r->columns / 3 < 18 ? l->r->columns / 3 : 18;
    size_t at = l->n++;
    int y;

    if (at < l->skip || at - l->skip + 1 >= (size_t)l->r->rows)
        return;
    y = l->r->y + 1 + (int)(at - l->skip);
    monit_put(l->m, y, l->r->x, key_width, COLOR_DIM, k);
    monit_put(l->m, y, l->r->x + key_width + 1, l->r->columns - key_width - 1, paint, v);
}

static void linef(struct lines *l, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void linef(struct lines *l, const char *key, const char *fmt, ...)
{
    _cleanup_free_ char *s = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        abort();
    va_end(ap);
    line(l, COLOR_NONE, key, s);
}

/* A value of the app's own: {value, unit?}, or bare. The caller frees. */
static char *metric_text(const json_t *metric)
{
    const json_t *value = json_is_object(metric) ? json_object_get(metric, "value") : metric;
    _cleanup_free_ char *text = json_is_string(value) ? xstrdup(json_string_value(value))
                                                      : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

    return xasprintf("%s %s", text ? text : "", j_text(metric, "unit"));
}

static void app_metrics(struct lines *l, const json_t *record)
{
    json_t *metrics = json_object_get(json_object_get(record, "pm2_env"), "axm_monitor"), *value;
    const char *name;

    json_object_foreach (metrics, name, value) {
        _cleanup_free_ char *text = metric_text(value);

        line(l, COLOR_CYAN, name, text);
    }
}

static void process_lines(struct lines *l, const struct monit_row *row, const json_t *record)
{
    const json_t *env = json_object_get(record, "pm2_env"), *own = json_object_get(record, "pm");
    const char *reason = j_text(own, "reason_text");
    char s[UNITS_MAX];

    line(l, (int)color_of_status(row->status), "status", row->status);
    if (*reason && strcmp(row->status, "online") != 0)
        line(l, COLOR_NONE, "reason", reason);
    app_metrics(l, record);
    linef(l, "cpu, memory", "%.1f%%, %s", row->cpu, units_size(s, row->memory));
    linef(l, "pid, mode", "%lld, %s %lld", row->pid, row->mode, row->instance);
    if (row->lives && row->since)
        line(l, COLOR_NONE, "up for", units_span(s, (int64_t)clock_wall_ms() - row->since));
    linef(l, "restarts", "%lld (unstable %lld)", row->restarts, j_int(env, "unstable_restarts"));
    linef(l, "namespace, user", "%s, %s", row->ns, row->user);
    if (*j_text(env, "version"))
        line(l, COLOR_NONE, "version", j_text(env, "version"));
    line(l, COLOR_NONE, "script", j_text(env, "pm_exec_path"));
    line(l, COLOR_NONE, "folder", j_text(env, "pm_cwd"));
    if (*j_text(own, "log_trouble"))
        line(l, COLOR_RED, "log trouble", j_text(own, "log_trouble"));
}

void monit_draw_details(struct monit *m, const struct monit_rect *r)
{
    const struct monit_row *row = monit_model_selected(&m->model);
    struct lines l = {.m = m, .r = r, .skip = m->detail_top};
    /* Of the process that was selected before, until the answer about this one is there: not shown. */
    const json_t *record = row && m->detail && j_int(m->detail, "pm_id") == row->id ? m->detail : NULL;

    if (!r->rows)
        return;
    monit_putf(m, r->y, r->x, r->columns,
               m->pane == MONIT_DETAILS ? COLOR_TITLE | PAINT_REVERSE : COLOR_TITLE, "%s",
               row ? row->name : "details");
    if (!row)
        return;
    process_lines(&l, row, record);
    if (m->detail_top && m->detail_top >= l.n)
        m->detail_top = l.n - 1;
}

/* One chart with its scale in the heading. */
static void chart(struct monit *m, const struct monit_rect *r, const struct monit_ring *ring, bool bytes)
{
    float v[MONIT_HISTORY];
    size_t n = monit_ring_last(ring, v, monit_chart_values(r->columns, m->utf8));
    double max = bytes ? monit_scale_bytes(v, n) : monit_scale(v, n, 1);
    char size[UNITS_MAX];

    if (r->rows < 2 || r->columns < 8)
        return;
    if (bytes)
        monit_putf(m, r->y, r->x, r->columns, COLOR_TITLE, "memory 0-%s, %zus",
                   units_size(size, (uint64_t)max), monit_chart_values(r->columns, m->utf8));
    else
        monit_putf(m, r->y, r->x, r->columns, COLOR_TITLE, "cpu 0-%.0f%%, %zus", max,
                   monit_chart_values(r->columns, m->utf8));
    for (int i = 0; i < r->rows - 1; i++) {
        struct buf b = {0};

        monit_chart_row(&b, v, n, max, r->columns, i, r->rows - 1, m->utf8);
        monit_put(m, r->y + 1 + i, r->x, r->columns, bytes ? COLOR_CYAN : COLOR_GREEN, b.data);
        buf_free(&b);
    }
}

void monit_draw_charts(struct monit *m, const struct monit_rect *r)
{
    const struct monit_row *row = monit_model_selected(&m->model);
    struct monit_rect a = *r, b = *r;

    if (!r->rows || !row)
        return;
    if (r->rows >= 8) { /* one above the other */
        a.rows = r->rows / 2;
        b.y += a.rows;
        b.rows -= a.rows;
    } else {
        a.columns = (r->columns - 1) / 2;
        b.x += a.columns + 1;
        b.columns -= a.columns + 1;
    }
    chart(m, &a, &row->cpus, false);
    chart(m, &b, &row->memories, true);
}

void monit_draw_help(struct monit *m)
{
    static const char *const text[][2] = {
        {"arrows, j k, PgUp PgDn", "move in the pane; Home, End"},
        {"Tab, mouse", "next pane; click selects, the wheel scrolls"},
        {"z, Enter", "the pane alone on the screen, and back"},
        {"/", "filter the list (name, namespace, status, id)"},
        {"s", "sort by cpu, memory, name, id, restarts, uptime"},
        {"r  R  S", "restart, reload, stop (asks) the process"},
        {"l", "to the log and back; left and right move it"},
        {"/  n  N", "in the log: search, next older match, newer one"},
        {"f", "follow the log, or hold it"},
        {"Ctrl-L", "draw all again"},
        {"Esc", "clears filter and search"},
        {"q, Ctrl-C", "quit"},
    };
    int rows = m->layout.list.rows + m->layout.log.rows + m->layout.details.rows;

    monit_put(m, 0, 0, 40, COLOR_TITLE, "pm monit: keys (any key goes back)");
    for (size_t i = 0; i < ARRAY_LEN(text) && (int)i < rows + 2; i++) {
        monit_put(m, 1 + (int)i, 0, 23, COLOR_BOLD, text[i][0]);
        monit_put(m, 1 + (int)i, 24, m->columns - 24, COLOR_NONE, text[i][1]);
    }
}
