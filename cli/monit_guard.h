/*
 * A small process beside pm monit that gives the terminal back when pm cannot: killed, crashed, out of
 * memory. It waits on a socket; when that ends without a farewell, it restores what was there before.
 */
#ifndef PM_CLI_MONIT_GUARD_H
#define PM_CLI_MONIT_GUARD_H

#include <sys/types.h>
#include <termios.h>

struct monit_guard {
    int fd; /* -1: there is none */
    pid_t pid;
};

/* Before the terminal is changed. `tty` is the terminal, `leave` what is to be written to it. 0 or -errno. */
int monit_guard_start(struct monit_guard *g, int tty, const char *leave);

/* Which settings the screen has. When others are found later, they are somebody else's, and stay. */
void monit_guard_tell(const struct monit_guard *g, const struct termios *screen);

/* The terminal was given back: the guard ends. */
void monit_guard_end(struct monit_guard *g);

#endif
