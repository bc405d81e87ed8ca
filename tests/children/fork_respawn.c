/*
 * fork_respawn N: a tree that heals itself. Two guards keep N workers each and fork a new one as soon as one
 * dies; every worker has a double-forked helper. All ignore the polite signals, and the second guard is in a
 * session of its own.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void worker(void)
{
    if (fork() == 0) {
        if (fork() > 0)
            _exit(0);
        for (;;)
            pause();
    }
    for (;;)
        pause();
}

static void guard(int n)
{
    for (int i = 0; i < n; i++)
        if (fork() == 0)
            worker();
    puts("guarding");
    fflush(stdout);
    for (;;)
        if (wait(NULL) > 0 && fork() == 0)
            worker();
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 3;

    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    if (fork() == 0) {
        setsid();
        guard(n);
    }
    guard(n);
}
