/*
 * tree_doublefork [stay]: forks twice with a session of its own in between, so that the grandchild is
 * re-parented to the nearest subreaper, and ignores the polite signals. Prints the grandchild's pid once the
 * one in between is gone. The child itself then ends, or with "stay" sleeps on.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int grandchild(int ready)
{
    pid_t me = getpid();

    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    if (write(ready, &me, sizeof(me)) != sizeof(me))
        return 1;
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    int ready[2];
    pid_t pid;

    if (pipe(ready) < 0)
        return 1;
    pid = fork();
    if (pid < 0)
        return 1;
    if (pid == 0) {
        setsid();
        pid = fork();
        if (pid == 0)
            return grandchild(ready[1]);
        _exit(pid < 0);
    }
    if (waitpid(pid, NULL, 0) < 0 || read(ready[0], &pid, sizeof(pid)) != sizeof(pid))
        return 1;
    printf("%d\n", (int)pid);
    fflush(stdout);
    while (argc > 1 && strcmp(argv[1], "stay") == 0)
        pause();
    return 0;
}
