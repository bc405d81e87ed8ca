/* Where the panes of pm monit stand. */
#ifndef PM_CLI_MONIT_LAYOUT_H
#define PM_CLI_MONIT_LAYOUT_H

#include <stdbool.h>

enum monit_pane { MONIT_LIST, MONIT_LOG, MONIT_DETAILS, MONIT_PANES };

#define MONIT_LEAST_COLUMNS 40
#define MONIT_LEAST_ROWS    12
#define MONIT_WIDE          120 /* columns from which details stand beside the list */

struct monit_rect {
    int y, x, rows, columns; /* the first row is its heading; rows 0: not there */
};

struct monit_layout {
    bool fits; /* the terminal is large enough for anything */
    struct monit_rect list, log, details, charts;
};

/* The first row of the terminal and the last are not given to panes. `zoomed`: MONIT_PANES for none. */
struct monit_layout monit_layout(int rows, int columns, enum monit_pane zoomed);

#endif
