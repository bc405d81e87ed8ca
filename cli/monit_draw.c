/* The title, the list, the log and the bottom line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/monit.h"
#include "cli/monit_chart.h"
#include "cli/monit_paint.h"
#include "cli/monit_screen.h"
#include "cli/text.h"
#include "cli/units.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/mem.h"

/* Columns of the list; `least`: columns of the pane from which it is shown. The name has what is left. */
enum {
    COL_STATE,
    COL_ID,
    COL_NAME,
    COL_CPU,
    COL_CPU_BAR,
    COL_MEM,
    COL_MEM_BAR,
    COL_RESTARTS,
    COL_UPTIME,
    COL_SPARK,
    COLS_N
};

static const struct list_column {
    const char *title;
    int width, least;
    bool right;
} list_columns[COLS_N] = {
    [COL_STATE] = {"status", 9, 0, false},  [COL_ID] = {"id", 4, 0, true},
    [COL_NAME] = {"name", 0, 0, false},     [COL_CPU] = {"cpu", 6, 0, true},
    [COL_CPU_BAR] = {"", 5, 66, false},     [COL_MEM] = {"memory", 8, 0, true},
    [COL_MEM_BAR] = {"", 5, 72, false},     [COL_RESTARTS] = {"rst", 4, 52, true},
    [COL_UPTIME] = {"uptime", 6, 46, true}, [COL_SPARK] = {"cpu was", 8, 78, false},
};

static int name_width(int columns)
{
    int left = columns;

    for (int i = 0; i < COLS_N; i++)
        if (i != COL_NAME && columns >= list_columns[i].least)
            left -= list_columns[i].width + 1;
    return left;
}

static void heading(struct monit *m, const struct monit_rect *r, enum monit_pane pane, const char *text)
{
    monit_put(m, r->y, r->x, r->columns, m->pane == pane ? COLOR_TITLE | PAINT_REVERSE : COLOR_TITLE, text);
}

/* The largest memory of all that are shown is a full bar. */
static double memory_share(const struct monit *m, const struct monit_row *row)
{
    uint64_t most = 1;

    for (size_t i = 0; i < m->model.n; i++)
        if (m->model.rows[i].memory > most)
            most = m->model.rows[i].memory;
    return (double)row->memory / (double)most;
}

static void cell_text(struct monit *m, const struct monit_row *row, int column, struct buf *b)
{
    char s[UNITS_MAX];
    float v[16];
    size_t n;

    switch (column) {
    case COL_STATE:
        buf_puts(b, row->status);
        break;
    case COL_ID:
        buf_printf(b, "%lld", row->id);
        break;
    case COL_NAME:
        buf_puts(b, row->name);
        break;
    case COL_CPU:
        buf_printf(b, row->cpu < 100 && row->cpu > 0 ? "%.1f%%" : "%.0f%%", row->cpu);
        break;
    case COL_CPU_BAR:
        monit_bar(b, row->cpu / 100, list_columns[column].width, m->utf8);
        break;
    case COL_MEM:
        buf_puts(b, units_size(s, row->memory));
        break;
    case COL_MEM_BAR:
        monit_bar(b, memory_share(m, row), list_columns[column].width, m->utf8);
        break;
    case COL_RESTARTS:
        buf_printf(b, "%lld", row->restarts);
        break;
    case COL_UPTIME:
        buf_puts(b, row->lives && row->since ? units_uptime(s, (int64_t)clock_wall_ms() - row->since) : "-");
        break;
    case COL_SPARK:
        n = monit_ring_last(&row->cpus, v, (size_t)list_columns[column].width);
        monit_sparkline(b, v, n, monit_scale(v, n, 1), list_columns[column].width, m->utf8);
        break;
    }
}

static int cell_color(const struct monit_row *row, int column)
{
    if (column == COL_STATE)
        return (int)color_of_status(row->status);
    if (column == COL_CPU_BAR || column == COL_CPU)
        return row->cpu >= 90   ? COLOR_RED
               : row->cpu >= 50 ? COLOR_YELLOW
               : row->lives     ? COLOR_NONE
                                : COLOR_DIM;
    if (column == COL_MEM_BAR || column == COL_SPARK)
        return COLOR_CYAN;
    return row->lives || column == COL_NAME || column == COL_RESTARTS ? COLOR_NONE : COLOR_DIM;
}

static void draw_row(struct monit *m, const struct monit_rect *r, int y, const struct monit_row *row)
{
    bool selected = row->id == m->model.selected;
    int x = r->x, name = name_width(r->columns);

    if (selected)
        monit_put(m, y, r->x, r->columns, PAINT_REVERSE, "");
    for (int i = 0; i < COLS_N; i++) {
        int width = i == COL_NAME ? name : list_columns[i].width;
        struct buf b = {0};

        if (r->columns < list_columns[i].least)
            continue;
        cell_text(m, row, i, &b);
        /* Reversed colours are hard to read, and differ from line to line. */
        monit_put(m, y, x, list_columns[i].right ? -width : width,
                  selected ? PAINT_REVERSE : cell_color(row, i), b.data ? b.data : "");
        buf_free(&b);
        x += width + 1;
    }
}

static void draw_list(struct monit *m)
{
    const struct monit_rect *r = &m->layout.list;
    size_t height = r->rows > 1 ? (size_t)r->rows - 1 : 0;
    int x = r->x;

    if (!r->rows)
        return;
    heading(m, r, MONIT_LIST, "");
    for (int i = 0; i < COLS_N; i++) {
        int width = i == COL_NAME ? name_width(r->columns) : list_columns[i].width;

        if (r->columns < list_columns[i].least)
            continue;
        monit_put(m, r->y, x, list_columns[i].right ? -width : width,
                  m->pane == MONIT_LIST ? COLOR_TITLE | PAINT_REVERSE : COLOR_TITLE, list_columns[i].title);
        x += width + 1;
    }
    monit_model_reveal(&m->model, height);
    for (size_t i = 0; i < height && m->model.top + i < m->model.n_shown; i++)
        draw_row(m, r, r->y + 1 + (int)i, &m->model.rows[m->model.shown[m->model.top + i]]);
    if (!m->model.n_shown)
        monit_put(m, r->y + 1, r->x, r->columns, COLOR_DIM,
                  *m->model.filter   ? "no process matches the filter; / changes it, Esc clears it"
                  : m->client.was_up ? "the list is empty: pm start adds a process"
                                     : "connecting …");
}

/* The text from a column on. */
static const char *from_column(const char *text, int left)
{
    return text + text_cut(text, left);
}

static void draw_line(struct monit *m, const struct monit_rect *r, int y, const struct monit_line *line)
{
    time_t t = (time_t)(line->time_us / 1000000);
    int x = r->x, room = r->columns;
    const char *text = from_column(line->text, m->log.left), *at;
    size_t len = strlen(m->log.search);
    char clock[16] = "";
    struct tm tm;

    if (room >= 60 && localtime_r(&t, &tm) && strftime(clock, sizeof(clock), "%H:%M:%S", &tm)) {
        monit_put(m, y, x, 8, COLOR_DIM, clock);
        x += 9;
        room -= 9;
    }
    monit_put(m, y, x, room, line->note ? COLOR_YELLOW : line->error ? COLOR_RED : COLOR_NONE, text);
    for (at = text; len && (at = strcasestr(at, m->log.search)); at += len) {
        _cleanup_free_ char *before = xstrndup(text, (size_t)(at - text)), *word = xstrndup(at, len);
        int begin = text_width(before), width = text_width(word);

        if (begin + width > room)
            break;
        monit_put(m, y, x + begin, width, PAINT_REVERSE, word);
    }
}

static void draw_log(struct monit *m)
{
    const struct monit_rect *r = &m->layout.log;
    const struct monit_row *row = monit_model_selected(&m->model);
    size_t height = r->rows > 1 ? (size_t)r->rows - 1 : 0, end, first;
    _cleanup_free_ char *title = NULL;

    if (!r->rows)
        return;
    if (m->log.up >= m->log.n)
        m->log.up = m->log.n ? m->log.n - 1 : 0;
    end = m->log.n - m->log.up;
    first = end > height ? end - height : 0;
    title = xasprintf("log of %s%s%s%s", row ? row->name : "-",
                      m->log.follow ? ", following" : ", f follows again", *m->log.search ? ", search: " : "",
                      m->log.search);
    heading(m, r, MONIT_LOG, title);
    for (size_t i = first; i < end; i++)
        draw_line(m, r, r->y + 1 + (int)(i - first), monit_log_line(&m->log, i));
    if (!m->log.n && row && height)
        monit_put(m, r->y + 1, r->x, r->columns, COLOR_DIM,
                  row->no_log ? "it keeps no log (disable_logs)" : "no lines yet");
}

static void draw_title(struct monit *m, int columns)
{
    const struct monit_model *k = &m->model;
    char size[UNITS_MAX];

    monit_putf(m, 0, 0, columns, PAINT_REVERSE,
               " pm monit  %u of %zu online  cpu %.1f%%  memory %s  by %s%s%s", k->online, k->n, k->cpu,
               units_size(size, k->memory), monit_sort_name(k->sort), *k->filter ? "  filter: " : "",
               k->filter);
}

static void draw_bottom(struct monit *m, int y, int columns)
{
    const struct monit_row *row = monit_model_selected(&m->model);

    if (m->mode == MONIT_FILTER)
        monit_putf(m, y, 0, columns, PAINT_BOLD, "filter: %s_", m->input);
    else if (m->mode == MONIT_SEARCH)
        monit_putf(m, y, 0, columns, PAINT_BOLD, "search the log: %s_", m->input);
    else if (m->mode == MONIT_ASK_STOP && row)
        monit_putf(m, y, 0, columns, COLOR_YELLOW | PAINT_BOLD, "stop %s (%lld)? y/n", row->name, row->id);
    else if (*m->message)
        monit_put(m, y, 0, columns, m->message_bad ? COLOR_RED | PAINT_BOLD : COLOR_GREEN, m->message);
    else if (*m->client.trouble)
        monit_put(m, y, 0, columns, COLOR_RED | PAINT_BOLD, m->client.trouble);
    else
        monit_put(m, y, 0, columns, COLOR_DIM,
                  columns >= 78
                      ? "? help  / filter  s sort  r restart  R reload  S stop  l log  Tab pane  q quit"
                      : "? help  / filter  s sort  Tab pane  q quit");
}

void monit_draw(struct monit *m)
{
    int rows, columns;

    monit_screen_begin(&rows, &columns);
    m->rows = rows;
    m->columns = columns;
    if (*m->message && clock_mono_ms() >= m->message_end)
        m->message[0] = '\0';
    m->layout = monit_layout(rows, columns, m->zoom ? m->pane : MONIT_PANES);
    if (!m->layout.fits) {
        monit_putf(m, 0, 0, columns, COLOR_NONE, "too small: %dx%d is needed", MONIT_LEAST_COLUMNS,
                   MONIT_LEAST_ROWS);
        monit_put(m, 1, 0, columns, COLOR_NONE, "q quits");
    } else if (m->mode == MONIT_HELP) {
        monit_draw_help(m);
    } else {
        draw_title(m, columns);
        draw_list(m);
        monit_draw_details(m, &m->layout.details);
        monit_draw_charts(m, &m->layout.charts);
        draw_log(m);
        draw_bottom(m, rows - 1, columns);
    }
    monit_screen_end();
    m->dirty = false;
}
