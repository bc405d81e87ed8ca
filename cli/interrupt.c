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

    (void)sig;
    if (!seen && write(ends[1], "", 1) < 0)
        seen = 1; /* without the pipe, EINTR must do */
    seen = 1;
    errno = saved;
}

void interrupt_catch(void)
{
    /* Without SA_RESTART, so that a wait returns. */
    struct sigaction sa = {.sa_handler = on_interrupt};

    if (ends[0] < 0 && pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        ends[0] = ends[1] = -1;
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

int interrupt_fd(void)
{
    return ends[0];
}

bool interrupted(void)
{
    return seen != 0;
}
