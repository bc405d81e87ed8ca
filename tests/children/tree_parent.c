/*
 * tree_parent [clean]: forks a child that forks another; all sleep and die of SIGINT. With "clean" the
 * descendants replace their environment, so that only descent tells whose they are. Prints the last one's
 * pid.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "leaf") == 0) {
        if (fork() == 0) {
            printf("%d\n", (int)getpid());
            fflush(stdout);
        }
    } else if (fork() == 0) {
        char *args[] = {argv[0], "leaf", NULL};
        char *none[] = {NULL};

        if (argc > 1 && strcmp(argv[1], "clean") == 0)
            execve("/proc/self/exe", args, none);
        else
            execv("/proc/self/exe", args);
        return 1;
    }
    for (;;)
        pause();
}
