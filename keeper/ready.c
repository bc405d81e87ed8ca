#include "keeper/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/plog.h"

#define WAIT_MS 30000

static int await(int fd)
{
    char text[600];
    size_t len = 0;
    uint64_t end = clock_mono_ms() + WAIT_MS;

    for (;;) {
        struct pollfd p = {fd, POLLIN, 0};
        uint64_t now = clock_mono_ms();
        int rc = now >= end ? 0 : poll(&p, 1, (int)(end - now));

        if (rc < 0 && errno == EINTR)
            continue;
        if (rc <= 0) {
            fprintf(stderr, "pmd: the daemon is not up after %d s; see its log\n", WAIT_MS / 1000);
            return 1;
        }
        ssize_t n = read(fd, text + len, sizeof(text) - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
    if (len == 0) {
        fprintf(stderr, "pmd: the daemon ended while it started; see its log\n");
        return 1;
    }
    /* The first byte is the exit status, the rest the line for the user. */
    if (len > 1)
        fprintf(stderr, "pmd: %s\n", text + 1);
    return (unsigned char)text[0];
}

int ready_detach(struct keeper *k)
{
    int p[2], status;
    pid_t pid;

    if (pipe2(p, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
        fprintf(stderr, "pmd: cannot detach: %s\n", strerror(errno));
        return 1;
    }
    if (pid == 0) {
        close(p[0]);
        setsid();
        k->ready_fd = p[1];
        return -1;
    }
    close(p[1]);
    status = await(p[0]);
    close(p[0]);
    return status;
}

static void tell(struct keeper *k, int status, const char *text)
{
    char line[600];
    int len = snprintf(line, sizeof(line), "%c%s", status, text);
    ssize_t ignored;

    if (status == 0)
        len = 1;
    ignored = write(k->ready_fd, line, (size_t)len); /* a caller that went away does no harm */
    (void)ignored;
    close(k->ready_fd);
}

void ready_ok(struct keeper *k)
{
    if (k->ready_fd >= 0)
        tell(k, 0, "");
    k->ready_fd = READY_DONE;
}

void ready_fail(struct keeper *k, int status, const char *fmt, ...)
{
    char text[560];
    va_list ap;

    if (k->ready_fd == READY_DONE)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (k->ready_fd >= 0)
        tell(k, status, text);
    else if (status)
        log_error("%s", text);
    k->ready_fd = READY_DONE;
}
