/*
 * tree_respawner: a tree in which everybody who loses a child forks another at once and ignores the polite
 * signals. Plain SIGKILL in any order leaves survivors. Prints one line when the tree has had time to stand.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEVELS 3
#define WIDTH  2

int main(void)
{
    int depth = LEVELS, kids = 0, root = 1, told = 0;

    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    for (;;) {
        while (depth > 0 && kids < WIDTH) {
            pid_t pid = fork();

            if (pid == 0) {
                depth--;
                kids = 0;
                root = 0;
            } else if (pid > 0) {
                kids++;
            }
        }
        if (root && !told) {
            usleep(50000);
            told = write(1, "up\n", 3) == 3;
        }
        if (depth == 0)
            pause();
        else if (wait(NULL) > 0)
            kids--;
    }
}
