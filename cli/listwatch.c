#include "cli/listwatch.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/interrupt.h"
#include "cli/proclist.h"
#include "cli/session.h"
#include "cli/units.h"
#include "common/buf.h"
#include "common/clock.h"

#define PACE_MS     900
#define PACE_MAX_MS (3600 * 1000)

#define ALTERNATE_ON                                                                                         \
    "\033[?1049h\033[?25l" /* a screen of its own, without a cursor: what was there stays                    \
                            */
#define ALTERNATE_OFF "\033[?25h\033[?1049l"
#define HOME          "\033[H"
#define CLEAR_LINE    "\033[K"
#define CLEAR_BELOW   "\033[J"

/* Lines of the terminal. */
static int terminal_height(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 2 ? size.ws_row : 24;
}

/* The whole picture in one write, each line cleared behind its end: nothing flickers. What is below the
 * terminal's end is left out, since it would scroll. */
static void draw(struct cli *c, const json_t *records)
{
    struct buf picture = {0}, screen = {0};
    int64_t now = (int64_t)clock_wall_ms();
    int room = terminal_height() - 2;
    char time[UNITS_MAX];

    out_measure(&c->out);
    proclist_render(&c->out, &c->view, records, now, &picture);
    buf_printf(&screen, HOME "%zu processes, %s, Ctrl-C ends" CLEAR_LINE "\n", json_array_size(records),
               units_time(time, now));
    for (size_t i = 0; i < picture.len && room > 0; i++) {
        if (picture.data[i] == '\n' && --room >= 0)
            buf_puts(&screen, CLEAR_LINE);
        buf_putc(&screen, picture.data[i]);
    }
    buf_puts(&screen, CLEAR_BELOW);
    out_data(&screen);
    fflush(stdout);
    buf_free(&picture);
    buf_free(&screen);
}

static int watch(struct cli *c, long ms)
{
    struct pollfd interrupt = {.fd = interrupt_fd(), .events = POLLIN};
    int code = EXIT_DONE;

    while (!interrupted() && code == EXIT_DONE) {
        json_t *records = NULL;

        code = session_call(c, "list", NULL, &records);
        if (code == EXIT_DONE)
            draw(c, records);
        json_decref(records);
        if (code == EXIT_DONE && !interrupted())
            poll(&interrupt, 1, (int)ms);
    }
    return interrupted() ? EXIT_DONE : code;
}

int listwatch_run(struct cli *c, const char *seconds)
{
    char *end;
    double pace = strtod(seconds, &end);
    int code;

    if (*seconds && (*end || !(pace >= 0.1) || pace * 1000 > PACE_MAX_MS)) {
        out_error(&c->out, "--watch wants seconds from 0.1 to %d, not \"%s\"", PACE_MAX_MS / 1000, seconds);
        return EXIT_USAGE;
    }
    if (!c->out.tty)
        return out_error(&c->out, "--watch draws on a terminal; for a program: pm list --json");
    if (!c->connected)
        return session_no_daemon(c);
    interrupt_catch();
    fputs(ALTERNATE_ON, stdout);
    code = watch(c, *seconds ? (long)(pace * 1000) : PACE_MS);
    fputs(ALTERNATE_OFF, stdout);
    /* What was said on the other screen is gone with it. */
    if (code != EXIT_DONE)
        out_error(&c->out, "the daemon for %s does not answer any more", c->home_path);
    return code;
}
