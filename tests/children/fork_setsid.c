/*
 * A tree that hides: a child, and a grandchild in a session of its own whose parent is gone, so that it is no
 * descendant of the first process any more. With "stubborn" all of them ignore the polite signals.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void stay(const char *what)
{
    printf("%s %d\n", what, (int)getpid());
    fflush(stdout);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    pid_t pid;

    if (argc > 1 && strcmp(argv[1], "stubborn") == 0) {
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
    }
    pid = fork();
    if (pid == 0) {
        setsid();
        if (fork() == 0)
            stay("grandchild");
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    if (fork() == 0)
        stay("child");
    stay("root");
}
