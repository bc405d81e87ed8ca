#include "cli/proclist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/jsonget.h"
#include "cli/session.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/units.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/mem.h"

#define TABLE_LEAST 34 /* columns of a terminal; below them not even id, name and status fit */

/* In the order of the table, which is PM2's; what can be spared first on a narrow terminal has the highest
 * number. */
static const struct column columns[] = {
    {.title = "id", .right = true},
    {.title = "name", .shrink = 8, .keep = 24},
    {.title = "namespace", .spare = 12, .shrink = 9, .keep = 12},
    {.title = "version", .spare = 13, .shrink = 7, .keep = 10},
    {.title = "mode", .spare = 11},
    {.title = "pid", .right = true, .spare = 6},
    {.title = "uptime", .right = true, .spare = 4},
    {.title = "↺", .ascii = "restarts", .right = true, .spare = 3},
    {.title = "status",
     .shrink = 9,
     .keep = 15}, /* "waiting restart" is long, and understood from its beginning */
    {.title = "cpu", .right = true, .spare = 2},
    {.title = "mem", .right = true, .spare = 1},
    {.title = "user", .spare = 14, .shrink = 8},
    {.title = "watching", .spare = 15},
};

static const char *number(char out[UNITS_MAX], long long v)
{
    snprintf(out, UNITS_MAX, "%lld", v);
    return out;
}

static bool is_alive(const char *status)
{
    return strcmp(status, "online") == 0 || strcmp(status, "launching") == 0 ||
           strcmp(status, "stopping") == 0;
}

static void add_mode(struct table *t, const char *mode)
{
    _cleanup_free_ char *word = xstrndup(mode, strcspn(mode, "_"));

    table_add(t, COLOR_NONE, word);
}

/* A tenth is enough, and of large values none; what is idle stands out by its short "0%". */
static const char *percent(char out[UNITS_MAX], double v)
{
    snprintf(out, UNITS_MAX, v == 0 || v >= 100 ? "%.0f%%" : "%.1f%%", v);
    return out;
}

/* A health check is told of here only when it fails: the columns are PM2's. */
static void add_status(struct table *t, const char *status, const char *health)
{
    if (strcmp(health, "unhealthy") == 0 && strcmp(status, "online") == 0)
        table_add(t, color_of_status("errored"), "online, unhealthy");
    else
        table_add(t, color_of_status(status), status);
}

static void add_row(struct table *t, const json_t *r, int64_t now)
{
    const char *status = j_text(r, "status");
    bool lives = is_alive(status);
    /* Zeros of what does not run are there for the eye that looks for a number, not to be read. */
    enum color c = lives ? COLOR_NONE : COLOR_DIM;
    long long since = j_int(r, "uptime_since"), restarts = j_int(r, "restarts");
    char s[UNITS_MAX];

    table_add(t, COLOR_TITLE, number(s, j_int(r, "id")));
    table_add(t, COLOR_NONE, j_text(r, "name"));
    table_add(t, COLOR_NONE, j_text(r, "namespace"));
    table_add(t, COLOR_NONE, j_text(r, "version"));
    add_mode(t, j_text(r, "mode"));
    table_add(t, c, number(s, lives ? j_int(r, "pid") : 0));
    table_add(t, c, lives && since > 0 ? units_uptime(s, now - since) : "0");
    table_add(t, COLOR_NONE, number(s, restarts));
    add_status(t, status, j_text(r, "health"));
    table_add(t, c, percent(s, lives ? j_number(r, "cpu") : 0.0));
    table_add(t, c, units_size(s, lives ? (uint64_t)j_number(r, "memory") : 0));
    table_add(t, COLOR_NONE, j_text(r, "user"));
    table_add(t, COLOR_NONE, json_is_true(json_object_get(r, "watch")) ? "enabled" : "disabled");
}

static void mini_line(const struct out *o, struct buf *out, const char *key, enum color color,
                      const char *text)
{
    _cleanup_free_ char *clean = text_clean_dup(text);

    buf_printf(out, "  %-9s : %s%s%s\n", key, color_on(o->color, color), clean, color_off(o->color, color));
}

/* One process as PM2's mini list has it: keys and values, for screens where no table fits. */
static void append_mini(const struct out *o, const json_t *r, int64_t now, struct buf *out)
{
    const char *status = j_text(r, "status");
    bool lives = is_alive(status);
    long long since = j_int(r, "uptime_since");
    _cleanup_free_ char *name = text_clean_dup(j_text(r, "name"));
    _cleanup_free_ char *mode = xstrndup(j_text(r, "mode"), strcspn(j_text(r, "mode"), "_"));
    char s[UNITS_MAX];

    buf_printf(out, "+--- %s%s%s\n", color_on(o->color, COLOR_BOLD), name, color_off(o->color, COLOR_BOLD));
    mini_line(o, out, "namespace", COLOR_NONE, j_text(r, "namespace"));
    mini_line(o, out, "version", COLOR_NONE, j_text(r, "version"));
    mini_line(o, out, "id", COLOR_TITLE, number(s, j_int(r, "id")));
    mini_line(o, out, "pid", COLOR_NONE, number(s, lives ? j_int(r, "pid") : 0));
    mini_line(o, out, "status", color_of_status(status), status);
    mini_line(o, out, "mode", COLOR_NONE, mode);
    mini_line(o, out, "restarts", COLOR_NONE, number(s, j_int(r, "restarts")));
    mini_line(o, out, "uptime", COLOR_NONE, lives && since > 0 ? units_uptime(s, now - since) : "0");
    mini_line(o, out, "cpu", COLOR_NONE, percent(s, lives ? j_number(r, "cpu") : 0.0));
    mini_line(o, out, "memory", COLOR_NONE, units_size(s, lives ? (uint64_t)j_number(r, "memory") : 0));
}

void proclist_render(const struct out *o, const struct list_view *view, const json_t *records, int64_t now,
                     struct buf *out)
{
    struct table_style style = {.box = o->tty, .utf8 = out_utf8(o), .color = o->color, .width = o->width};
    bool mini = view->mini || (o->width > 0 && o->width < TABLE_LEAST);
    size_t n;
    const json_t **sorted = list_view_order(view, records, &n);
    struct table t;

    table_init(&t, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < n; i++) {
        if (mini)
            append_mini(o, sorted[i], now, out);
        else
            add_row(&t, sorted[i], now);
    }
    if (!mini)
        table_render(&t, &style, out);
    table_deinit(&t);
    free(sorted);
}

/* On a terminal: how to learn more about what has gone wrong. */
static void print_hint(const struct cli *c, const json_t *records)
{
    const char *name = NULL;
    unsigned errored = 0;
    json_t *r;
    size_t i;

    json_array_foreach (records, i, r) {
        if (strcmp(j_text(r, "status"), "errored") != 0)
            continue;
        errored++;
        if (!name)
            name = j_text(r, "name");
    }
    if (errored)
        out_note(&c->out, "%u errored; the reason: pm why %s", errored, name);
}

int proclist_print(struct cli *c)
{
    json_t *records = NULL;
    struct buf b = {0};
    int code = session_call(c, "list", NULL, &records);

    if (code == 0) {
        proclist_render(&c->out, &c->view, records, (int64_t)clock_wall_ms(), &b);
        out_data(&b);
        if (c->out.tty)
            print_hint(c, records);
    }
    buf_free(&b);
    json_decref(records);
    return code;
}
