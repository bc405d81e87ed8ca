/*
 * crash_after MS code N | crash_after MS signal N: writes a line on both streams, waits, writes its last
 * words on stderr, and ends so.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int ms = argc > 1 ? atoi(argv[1]) : 0;
    int value = argc > 3 ? atoi(argv[3]) : 1;
    struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
    printf("begin %d\n", (int)getpid());
    fflush(stdout);
    usleep((useconds_t)ms * 1000);
    fprintf(stderr, "last words of %d\n", (int)getpid());
    if (argc > 2 && strcmp(argv[2], "signal") == 0) {
        signal(value, SIG_DFL);
        raise(value);
    }
    return value;
}
