/*
 * flood COUNT [RATE [WIDTH]]: COUNT numbered lines of WIDTH bytes ("%08d ... ."), at most RATE a second (0 =
 * as fast as possible), in writes of 4,000 bytes that end in the middle of lines. Then it says "flood done"
 * on stderr and stays.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char out[4000];
static size_t used;

static void flush_out(void)
{
    for (size_t done = 0; done < used;) {
        ssize_t n = write(1, out + done, used - done);

        if (n <= 0)
            exit(9);
        done += (size_t)n;
    }
    used = 0;
}

static void put(const char *text, size_t len)
{
    while (len > 0) {
        size_t room = sizeof(out) - used;
        size_t n = len < room ? len : room;

        memcpy(out + used, text, n);
        used += n;
        text += n;
        len -= n;
        if (used == sizeof(out))
            flush_out();
    }
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 1000;
    double rate = argc > 2 ? atof(argv[2]) : 0;
    int width = argc > 3 ? atoi(argv[3]) : 48;
    double begin = now();
    char line[4096];

    if (width < 16 || width >= (int)sizeof(line))
        return 2;
    for (long i = 0; i < count; i++) {
        memset(line, 'x', (size_t)width);
        snprintf(line, sizeof(line), "%08ld", i);
        line[8] = ' ';
        memcpy(line + width - 3, " .\n", 3);
        put(line, (size_t)width);
        while (rate > 0 && (double)i / rate > now() - begin)
            usleep(2000);
    }
    flush_out();
    fputs("flood done\n", stderr);
    for (;;)
        pause();
}
