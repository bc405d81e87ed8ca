/*
 * spawn_loop N PROGRAM ARGS...: what starting costs without a manager. Spawns PROGRAM N times with
 * posix_spawn, then waits for them and spawns each again at once when it ends, until it is killed; its
 * children go with it.
 */
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static pid_t spawn(char **argv)
{
    pid_t pid;
    int rc = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);

    if (rc != 0)
        exit(1);
    return pid;
}

static void end(int sig)
{
    (void)sig;
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    _exit(0);
}

int main(int argc, char **argv)
{
    int n = argc > 2 ? atoi(argv[1]) : 0;

    if (n <= 0)
        return 2;
    setpgid(0, 0);
    signal(SIGTERM, end);
    for (int i = 0; i < n; i++)
        spawn(argv + 2);
    for (;;)
        if (wait(NULL) > 0)
            spawn(argv + 2);
}
