#include "cli/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static volatile sig_atomic_t seen;
static int wake_fd = -1; /* can be read once a signal came: a wait that begins just then sees it too */

static void on_interrupt(int sig)
{
    const uint64_t one = 1;
    int saved = errno;
    ssize_t n = write(wake_fd, &one, sizeof(one));

    (void)n; /* without it the signal is seen all the same, but for that moment */
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
    if (wake_fd < 0)
        wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
}

bool interrupted(void)
{
    return seen != 0;
}

int interrupt_signal(void)
{
    return seen;
}

int interrupt_fd(void)
{
    return wake_fd;
}
