/*
 * stamp FILE: appends the monotonic clock in nanoseconds and its pid to FILE, then sleeps. It stands in for a
 * `sleep` that tells when its exec was done.
 */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct timespec t;
    char line[64];
    int n, fd;

    clock_gettime(CLOCK_MONOTONIC, &t);
    if (argc < 2 || (fd = open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600)) < 0)
        return 1;
    n = snprintf(line, sizeof(line), "%lld %d\n", t.tv_sec * 1000000000LL + t.tv_nsec, (int)getpid());
    if (write(fd, line, (size_t)n) != n)
        return 1;
    close(fd);
    for (;;)
        pause();
}
