/* Ignores the polite signals; only SIGKILL ends it. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    printf("stubborn %d\n", (int)getpid());
    fflush(stdout);
    for (;;)
        pause();
}
