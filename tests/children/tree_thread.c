/* tree_thread: forks from a second thread, then the first thread ends: the leader is shown as a zombie while
 * the program runs on. Prints the child's pid. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void *second(void *arg)
{
    pid_t pid = fork();

    (void)arg;
    if (pid == 0)
        for (;;)
            pause();
    usleep(20000); /* the leader is gone by now */
    printf("%d\n", (int)pid);
    fflush(stdout);
    for (;;)
        pause();
    return NULL;
}

int main(void)
{
    pthread_t t;

    if (pthread_create(&t, NULL, second, NULL) != 0)
        return 1;
    pthread_exit(NULL);
}
