/*
 * leak MB_PER_SECOND MAX_MB [now]: has a child that, from SIGUSR1 to the parent on (or at once), takes so
 * much more memory each second, up to the most. Both sleep otherwise and die of SIGINT.
 *
 * leak share MB CHILDREN: takes the memory, and has so many children that share it.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STEPS_PER_SECOND 50

static volatile sig_atomic_t told;

static void on_usr1(int sig)
{
    (void)sig;
    told = 1;
}

static void take(size_t bytes)
{
    char *p = malloc(bytes);

    if (!p)
        _exit(3);
    memset(p, 1, bytes);
}

/* By the clock, so that a busy machine does not make it slower. */
static void leak(size_t per_second, size_t most)
{
    const struct timespec step = {.tv_nsec = 1000000000 / STEPS_PER_SECOND};
    size_t taken = 0, due;
    struct timespec begin, now;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    while (taken < most) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        due = (size_t)(((double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) / 1e9) *
                       (double)per_second);
        if (due > most)
            due = most;
        if (due > taken) {
            take(due - taken);
            taken = due;
        }
        nanosleep(&step, NULL);
    }
}

int main(int argc, char **argv)
{
    const struct sigaction usr1 = {.sa_handler = on_usr1};
    bool share = argc == 4 && strcmp(argv[1], "share") == 0;
    size_t mb = 1 << 20;
    sigset_t block, old;
    pid_t child;

    if (argc < 3)
        return 2;
    if (share) {
        take((size_t)atoi(argv[2]) * mb);
        for (int i = 0; i < atoi(argv[3]); i++)
            if (fork() == 0)
                break;
        for (;;)
            pause();
    }
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    sigprocmask(SIG_BLOCK, &block, &old);
    sigaction(SIGUSR1, &usr1, NULL);
    child = fork();
    told = argc > 3;
    while (!told)
        sigsuspend(&old);
    if (child == 0)
        leak((size_t)atoi(argv[1]) * mb, (size_t)atoi(argv[2]) * mb);
    else
        kill(child, SIGUSR1);
    for (;;)
        sigsuspend(&old);
}
