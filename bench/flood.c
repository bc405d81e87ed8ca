/*
 * flood write LINES FILE [LINES-PER-WRITE]: writes numbered lines of 100 bytes to standard output as fast as
 * they are taken, 640 of them (64,000 bytes) a write unless told otherwise. The monotonic clock in
 * nanoseconds before the first and after the last goes to FILE. Then it sleeps.
 *
 * flood check LINES FILE DATE-LENGTH: reads such lines back from a log file. A line is whole when it stands
 * there alone, behind nothing but DATE-LENGTH bytes of date. Prints "whole twice torn missing": numbers of
 * which a whole line is there, whole lines too many, lines of the file that are not whole, and numbers of
 * which there is no trace.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 100, DIGITS = 10 };

static void make_line(char out[LINE + 1], long number)
{
    memset(out, 'x', LINE);
    out[0] = '#';
    for (int i = DIGITS; i >= 1; i--, number /= 10)
        out[i] = (char)('0' + number % 10);
    out[DIGITS + 1] = ' ';
    out[LINE - 1] = '\n';
    out[LINE] = '\0';
}

static long long now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int write_all(const char *p, size_t n)
{
    while (n) {
        ssize_t r = write(STDOUT_FILENO, p, n);

        if (r <= 0)
            return -1;
        p += r;
        n -= (size_t)r;
    }
    return 0;
}

static int flood(long lines, const char *times, long at_once)
{
    char *block = malloc((size_t)at_once * LINE + 1), text[64];
    long long begin = now_ns();
    int n, fd = open(times, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (!block || fd < 0)
        return 1;
    for (long at = 0; at < lines;) {
        long k = 0;

        for (; k < at_once && at < lines; k++, at++)
            make_line(block + k * LINE, at);
        if (write_all(block, (size_t)k * LINE) < 0)
            return 1;
    }
    n = snprintf(text, sizeof(text), "%lld %lld\n", begin, now_ns());
    if (write(fd, text, (size_t)n) != n)
        return 1;
    for (;;)
        pause();
}

/* The number after the '#' at `p`; -1 when there is none. */
static long number_at(const char *p, const char *end)
{
    long number = 0;

    if (end - p < 1 + DIGITS)
        return -1;
    for (int i = 1; i <= DIGITS; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        number = number * 10 + p[i] - '0';
    }
    return number;
}

static bool is_whole(const char *line, size_t n, size_t date, long lines, long *number)
{
    char want[LINE + 1];

    if (n != date + LINE - 1)
        return false;
    *number = number_at(line + date, line + n);
    if (*number < 0 || *number >= lines)
        return false;
    make_line(want, *number);
    return memcmp(line + date, want, LINE - 1) == 0 && memchr(line, '#', date) == NULL;
}

static int check(long lines, const char *path, size_t date)
{
    unsigned char *seen = calloc((size_t)lines + 1, 1);
    long whole = 0, twice = 0, torn = 0, missing = 0, number = 0;
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    if (!f || !seen)
        return 1;
    while ((n = getline(&line, &cap, f)) > 0) {
        const char *end = line + n;

        if (line[n - 1] == '\n')
            n--;
        if (is_whole(line, (size_t)n, date, lines, &number)) {
            twice += seen[number] == 2;
            whole += seen[number] != 2;
            seen[number] = 2;
            continue;
        }
        torn++;
        for (const char *p = line; (p = memchr(p, '#', (size_t)(end - p))); p++) {
            number = number_at(p, end);
            if (number >= 0 && number < lines && !seen[number])
                seen[number] = 1;
        }
    }
    for (long i = 0; i < lines; i++)
        missing += !seen[i];
    printf("%ld %ld %ld %ld\n", whole, twice, torn, missing);
    fclose(f);
    free(line);
    free(seen);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 4 && strcmp(argv[1], "write") == 0)
        return flood(atol(argv[2]), argv[3], argc > 4 ? atol(argv[4]) : 640);
    if (argc == 5 && strcmp(argv[1], "check") == 0)
        return check(atol(argv[2]), argv[3], (size_t)atol(argv[4]));
    fprintf(stderr, "usage: flood write LINES FILE [LINES-PER-WRITE] | flood check LINES FILE DATE-LENGTH\n");
    return 2;
}
