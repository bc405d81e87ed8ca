#include "cli/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t seen;
static int ends[2] = {-1, -1}; /* of a pipe that the first signal writes to */

static void on_interrupt(int sig)
{
    int saved = errno;

    if (!seen && write(ends[1], "", 1) < 0)
        seen = sig; /* without the pipe, EINTR must do */
    seen = sig;
    errno = saved;
}

static void catch_signal(int sig)
{
    /* Without SA_RESTART, so that a wait returns; a second one ends the program whatever it is doing. */
    struct sigaction sa = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND}, old;

    sigemptyset(&sa.sa_mask);
    /* What the caller ignores stays ignored: nohup, and jobs in the background of a script. */
    if (sigaction(sig, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(sig, &sa, NULL);
}

void interrupt_catch(void)
{
    if (ends[0] < 0 && pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        ends[0] = ends[1] = -1;
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
}

int interrupt_fd(void)
{
    return ends[0];
}

bool interrupted(void)
{
    return seen != 0;
}

int interrupt_signal(void)
{
    return seen;
}
