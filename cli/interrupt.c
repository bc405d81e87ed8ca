#include "cli/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t seen;

static void on_interrupt(int sig)
{
    seen = sig;
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
