#include "cli/table.h"

#include <stdlib.h>
#include <string.h>

#include "cli/text.h"
#include "common/buf.h"
#include "common/mem.h"

/* What a rendering works with: which columns are shown and how wide they are. */
struct layout {
    int *width; /* by column; -1 = not shown */
    const struct table *t;
    const struct table_style *style;
};

void table_init(struct table *t, const struct column *columns, size_t n)
{
    *t = (struct table){.columns = columns, .n_columns = n};
}

void table_deinit(struct table *t)
{
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i].text);
    free(t->cells);
    *t = (struct table){0};
}

void table_add(struct table *t, enum color color, const char *text)
{
    /* Grows by doubling: a power of two that is full. */
    if ((t->n_cells & (t->n_cells - 1)) == 0)
        t->cells = xrealloc(t->cells, (t->n_cells ? t->n_cells * 2 : 1) * sizeof(*t->cells));
    t->cells[t->n_cells++] = (struct cell){.text = text_clean_dup(text), .color = color};
}

static const char *title_of(const struct layout *l, size_t col)
{
    const struct column *c = &l->t->columns[col];

    return !l->style->utf8 && c->ascii ? c->ascii : c->title;
}

/* Box: "│ " before, " " after each cell, "│" at the end. Plain: two spaces between. */
static int total_width(const struct layout *l)
{
    int sum = 0, shown = 0;

    for (size_t i = 0; i < l->t->n_columns; i++)
        if (l->width[i] >= 0) {
            sum += l->width[i];
            shown++;
        }
    return l->style->box ? sum + 3 * shown + 1 : sum + 2 * (shown - 1);
}

/* Most expendable column that is still shown and whose `spare` is at least this, or -1. */
static int sparest(const struct layout *l, int least)
{
    int best = -1;

    for (size_t i = 0; i < l->t->n_columns; i++)
        if (l->width[i] >= 0 && l->t->columns[i].spare >= least &&
            (best < 0 || l->t->columns[i].spare > l->t->columns[best].spare))
            best = (int)i;
    return best;
}

/* By how many columns the table is too wide when all that may be cut is cut to `keep` or to `shrink`. */
static int overflow(const struct layout *l, bool keep)
{
    int over = total_width(l) - l->style->width;

    for (size_t i = 0; i < l->t->n_columns; i++) {
        const struct column *c = &l->t->columns[i];
        int least = keep && c->keep > c->shrink ? c->keep : c->shrink;

        if (l->width[i] >= 0 && c->shrink > 0 && l->width[i] > least)
            over -= l->width[i] - least;
    }
    return over;
}

/* Takes what is too much from the columns that may be cut: always from the widest, so that none suffers
 * alone. */
static void shrink_to_fit(struct layout *l)
{
    for (int over = total_width(l) - l->style->width; over > 0; over--) {
        int widest = -1;

        for (size_t i = 0; i < l->t->n_columns; i++)
            if (l->t->columns[i].shrink > 0 && l->width[i] > l->t->columns[i].shrink &&
                (widest < 0 || l->width[i] > l->width[widest]))
                widest = (int)i;
        if (widest < 0)
            return;
        l->width[widest]--;
    }
}

static void fit(struct layout *l)
{
    int victim;

    for (size_t i = 0; i < l->t->n_columns; i++)
        l->width[i] = text_width(title_of(l, i));
    for (size_t i = 0; i < l->t->n_cells; i++) {
        int w = text_width(l->t->cells[i].text);

        if (w > l->width[i % l->t->n_columns])
            l->width[i % l->t->n_columns] = w;
    }
    if (l->style->width <= 0)
        return;
    while (overflow(l, true) > 0 && (victim = sparest(l, TABLE_PLEASANT)) >= 0)
        l->width[victim] = -1;
    while (overflow(l, false) > 0 && (victim = sparest(l, 1)) >= 0)
        l->width[victim] = -1;
    shrink_to_fit(l);
}

static void append_spaces(struct buf *out, int n)
{
    while (n-- > 0)
        buf_putc(out, ' ');
}

/* The text in its colour, cut with an ellipsis if it must be, padded unless it ends the line. */
static void append_cell(const struct layout *l, struct buf *out, size_t col, const char *text,
                        enum color color, bool pad)
{
    int width = l->width[col], w = text_width(text);
    const char *ellipsis = l->style->utf8 ? "…" : "~";
    size_t bytes = strlen(text);
    bool cut = w > width;
    bool right = l->t->columns[col].right;

    if (cut) {
        bytes = text_cut(text, width - 1);
        _cleanup_free_ char *head = xstrndup(text, bytes);
        w = text_width(head) + 1;
    }
    if (right)
        append_spaces(out, width - w);
    buf_puts(out, color_on(l->style->color, color));
    buf_append(out, text, bytes);
    if (cut)
        buf_puts(out, ellipsis);
    buf_puts(out, color_off(l->style->color, color));
    if (!right && pad)
        append_spaces(out, width - w);
}

static size_t last_shown(const struct layout *l)
{
    size_t last = 0;

    for (size_t i = 0; i < l->t->n_columns; i++)
        if (l->width[i] >= 0)
            last = i;
    return last;
}

/* `row` is the row's cells, or NULL for the heads. */
static void append_row(const struct layout *l, struct buf *out, const struct cell *row)
{
    const char *bar = l->style->utf8 ? "│" : "|";
    size_t last = last_shown(l);

    for (size_t i = 0; i <= last; i++) {
        if (l->width[i] < 0)
            continue;
        if (l->style->box) {
            buf_puts(out, bar);
            buf_putc(out, ' ');
        }
        append_cell(l, out, i, row ? row[i].text : title_of(l, i), row ? row[i].color : COLOR_TITLE,
                    l->style->box || i != last);
        if (l->style->box)
            buf_putc(out, ' ');
        else if (i != last)
            buf_puts(out, "  ");
    }
    buf_puts(out, l->style->box ? bar : "");
    buf_putc(out, '\n');
}

enum edge { EDGE_TOP, EDGE_MIDDLE, EDGE_BOTTOM };

static void append_edge(const struct layout *l, struct buf *out, enum edge edge)
{
    static const char *const marks[3][3] = {{"┌", "┬", "┐"}, {"├", "┼", "┤"}, {"└", "┴", "┘"}};
    bool first = true;

    if (!l->style->box)
        return;
    for (size_t i = 0; i < l->t->n_columns; i++) {
        if (l->width[i] < 0)
            continue;
        buf_puts(out, l->style->utf8 ? marks[edge][first ? 0 : 1] : "+");
        for (int k = 0; k < l->width[i] + 2; k++)
            buf_puts(out, l->style->utf8 ? "─" : "-");
        first = false;
    }
    buf_puts(out, l->style->utf8 ? marks[edge][2] : "+");
    buf_putc(out, '\n');
}

void table_render(const struct table *t, const struct table_style *style, struct buf *out)
{
    struct layout l = {.width = xcalloc(t->n_columns, sizeof(int)), .t = t, .style = style};

    fit(&l);
    append_edge(&l, out, EDGE_TOP);
    append_row(&l, out, NULL);
    append_edge(&l, out, EDGE_MIDDLE);
    for (size_t i = 0; i + t->n_columns <= t->n_cells; i += t->n_columns)
        append_row(&l, out, t->cells + i);
    append_edge(&l, out, EDGE_BOTTOM);
    free(l.width);
}
