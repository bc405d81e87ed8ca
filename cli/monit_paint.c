#include "cli/monit_paint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/monit.h"
#include "cli/text.h"
#include "common/mem.h"

/* Last, since it takes the names of our colours for numbers of its own. */
#include <curses.h>
#undef COLOR_RED
#undef COLOR_GREEN
#undef COLOR_YELLOW
#undef COLOR_BLUE
#undef COLOR_MAGENTA
#undef COLOR_CYAN

/* By the numbers that terminals have for them; -1: the colour of all text. */
static const short numbers[COLOR_COUNT] = {
    [COLOR_NONE] = -1,  [COLOR_BOLD] = -1, [COLOR_DIM] = -1,    [COLOR_RED] = 1,  [COLOR_GREEN] = 2,
    [COLOR_YELLOW] = 3, [COLOR_BLUE] = 4,  [COLOR_MAGENTA] = 5, [COLOR_CYAN] = 6, [COLOR_TITLE] = 6};

void monit_paint_init(struct monit *m)
{
    m->color = m->c->out.color && has_colors();
    if (!m->color)
        return;
    start_color();
    use_default_colors();
    for (int i = 1; i < COLOR_COUNT; i++)
        init_pair((short)i, numbers[i], -1);
}

static chtype attribute(const struct monit *m, int paint)
{
    enum color c = (enum color)(paint & PAINT_COLOR);
    chtype a = A_NORMAL;

    if (paint & PAINT_BOLD || c == COLOR_BOLD || c == COLOR_TITLE)
        a |= A_BOLD;
    if (paint & PAINT_DIM || c == COLOR_DIM)
        a |= A_DIM;
    if (paint & PAINT_REVERSE)
        a |= A_REVERSE;
    if (m->color && numbers[c] >= 0)
        a |= (chtype)COLOR_PAIR(c);
    return a;
}

/* A terminal without UTF-8 is sent none. The caller frees. */
static char *for_terminal(const struct monit *m, const char *text, size_t len)
{
    char *s = xstrndup(text, len), *to = s;

    if (m->utf8)
        return s;
    for (const char *p = s; *p; p++)
        if ((*p & 0xc0) != 0x80)
            *to++ = (char)(*p & 0x80 ? '?' : *p);
    *to = '\0';
    return s;
}

void monit_put(const struct monit *m, int y, int x, int columns, int paint, const char *text)
{
    int room = columns < 0 ? -columns : columns, width;
    chtype a = attribute(m, paint);
    _cleanup_free_ char *s = NULL;

    if (room <= 0 || y < 0 || y >= LINES || x < 0 || x + room > COLS)
        return;
    s = for_terminal(m, text, text_cut(text, room));
    width = m->utf8 ? text_width(s) : (int)strlen(s);
    mvhline(y, x, ' ' | a, room);
    attrset((int)a);
    mvaddstr(y, columns < 0 ? x + room - width : x, s);
    attrset(A_NORMAL);
}

void monit_putf(const struct monit *m, int y, int x, int columns, int paint, const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        abort();
    va_end(ap);
    monit_put(m, y, x, columns, paint, s);
    free(s);
}
