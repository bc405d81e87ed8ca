#include "cli/monit_screen.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/monit.h"
#include "cli/monit_guard.h"
#include "cli/monit_paint.h"
#include "common/buf.h"
#include "common/err.h"

#include <curses.h>
#include <term.h>

/* Mouse reports off, in all forms that curses may have asked for: terminals without a mouse ignore it. */
#define NO_MOUSE "\033[?1006l\033[?1003l\033[?1002l\033[?1000l"

static struct monit_guard guard = {.fd = -1};
static SCREEN *screen;

/* A capability without the padding that tputs would make of it. */
static void add_capability(struct buf *b, const char *name)
{
    const char *s = tigetstr((char *)name);

    if (!s || s == (char *)-1)
        return;
    for (; *s; s++) {
        if (s[0] == '$' && s[1] == '<')
            while (s[1] && *s != '>')
                s++;
        else
            buf_putc(b, *s);
    }
}

static int start_guard(struct err *e)
{
    struct buf leave = {0};
    int rc;

    if (tigetstr("kmous") && tigetstr("kmous") != (char *)-1)
        buf_puts(&leave, NO_MOUSE);
    add_capability(&leave, "sgr0");
    add_capability(&leave, "rmkx");
    add_capability(&leave, "cnorm");
    add_capability(&leave, "rmcup");
    rc = monit_guard_start(&guard, STDOUT_FILENO, leave.data ? leave.data : "");
    buf_free(&leave);
    return rc < 0 ? err_set(e, rc, "cannot watch over the terminal") : 0;
}

static void configure(void)
{
    struct termios now;

    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(25);
    curs_set(0);
    mouseinterval(0);
    mousemask(BUTTON1_PRESSED | BUTTON1_CLICKED | BUTTON4_PRESSED | BUTTON5_PRESSED, NULL);
    if (tcgetattr(STDOUT_FILENO, &now) == 0)
        monit_guard_tell(&guard, &now);
}

int monit_screen_open(struct monit *m, struct err *e)
{
    const char *term = getenv("TERM");
    int known = 0, rc;

    if (!term || !*term || setupterm(NULL, STDOUT_FILENO, &known) != OK)
        return err_set(e, -ENOTTY,
                       "the terminal \"%s\" (TERM) is not known here; set TERM, or use pm list --watch",
                       term ? term : "");
    if (!tigetstr("cup") || tigetstr("cup") == (char *)-1)
        return err_set(e, -ENOTTY, "the terminal \"%s\" (TERM) cannot move its cursor; use pm list --watch",
                       term);
    if ((rc = start_guard(e)) < 0)
        return rc;
    del_curterm(cur_term); /* newterm looks it up again */
    screen = newterm(NULL, stdout, stdin);
    if (!screen) {
        monit_guard_end(&guard);
        return err_set(e, -ENOTTY, "the terminal \"%s\" (TERM) cannot be used; use pm list --watch", term);
    }
    configure();
    monit_paint_init(m);
    return 0;
}

void monit_screen_close(void)
{
    endwin();
    fflush(stdout);
    delscreen(screen);
    screen = NULL;
    monit_guard_end(&guard);
}

void monit_screen_suspend(void)
{
    endwin();
    fflush(stdout);
    raise(SIGSTOP); /* not SIGTSTP, which is blocked here; the shell sees a stopped job in both cases */
    monit_screen_resize();
    monit_screen_redraw();
}

void monit_screen_resize(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
        resizeterm(size.ws_row, size.ws_col);
}

void monit_screen_redraw(void)
{
    clearok(stdscr, TRUE);
}

void monit_screen_begin(int *height, int *width)
{
    getmaxyx(stdscr, *height, *width);
    erase();
}

void monit_screen_end(void)
{
    refresh();
}
