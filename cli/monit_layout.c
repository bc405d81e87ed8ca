#include "cli/monit_layout.h"

static struct monit_rect rect(int y, int x, int rows, int columns)
{
    return (struct monit_rect){y, x, rows, columns};
}

/* Details at the left, charts at the right of one strip. */
static void split_details(struct monit_layout *l, struct monit_rect r)
{
    int left = r.columns * 9 / 20;

    l->details = rect(r.y, r.x, r.rows, left);
    l->charts = rect(r.y, r.x + left + 1, r.rows, r.columns - left - 1);
}

static void narrow(struct monit_layout *l, int rows, int columns)
{
    int details = rows >= 20 ? rows / 4 : 0, list = (rows - details) * 11 / 20;

    l->list = rect(1, 0, list, columns);
    if (details)
        split_details(l, rect(1 + list, 0, details, columns));
    l->log = rect(1 + list + details, 0, rows - list - details, columns);
}

static void wide(struct monit_layout *l, int rows, int columns)
{
    int top = rows * 3 / 5, left = columns * 3 / 5, details = top / 2;

    l->list = rect(1, 0, top, left);
    l->details = rect(1, left + 1, details, columns - left - 1);
    l->charts = rect(1 + details, left + 1, top - details, columns - left - 1);
    l->log = rect(1 + top, 0, rows - top, columns);
}

struct monit_layout monit_layout(int rows, int columns, enum monit_pane zoomed)
{
    struct monit_layout l = {.fits = rows >= MONIT_LEAST_ROWS && columns >= MONIT_LEAST_COLUMNS};
    struct monit_rect all = rect(1, 0, rows - 2, columns);

    if (!l.fits)
        return l;
    if (zoomed == MONIT_LIST)
        l.list = all;
    else if (zoomed == MONIT_LOG)
        l.log = all;
    else if (zoomed == MONIT_DETAILS)
        split_details(&l, all);
    else if (columns >= MONIT_WIDE)
        wide(&l, all.rows, columns);
    else
        narrow(&l, all.rows, columns);
    return l;
}
