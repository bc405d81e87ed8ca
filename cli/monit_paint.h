/* Text in places of the screen: cut and padded by columns, in colours where there are any. What draws needs
 * no curses.h, which has names that are ours. */
#ifndef PM_CLI_MONIT_PAINT_H
#define PM_CLI_MONIT_PAINT_H

#include "cli/color.h"

struct monit;

/* To be or-ed to an enum color. */
enum { PAINT_COLOR = 0xff, PAINT_BOLD = 0x100, PAINT_DIM = 0x200, PAINT_REVERSE = 0x400 };

/* Looks up colours; after initscr. */
void monit_paint_init(struct monit *m);

/* Writes the text into exactly `columns`, padded with blanks; negative `columns`: at the right of them. The
 * text must be harmless (text_clean). */
void monit_put(const struct monit *m, int y, int x, int columns, int paint, const char *text);
void monit_putf(const struct monit *m, int y, int x, int columns, int paint, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

#endif
