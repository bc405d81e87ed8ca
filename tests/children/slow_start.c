/* slow_start MS: says "up" after so many milliseconds, then stays. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    usleep((useconds_t)(argc > 1 ? atoi(argv[1]) : 1000) * 1000);
    puts("up");
    fflush(stdout);
    for (;;)
        pause();
}
