/*
 * Lines per second through the real log path: one child floods 100-byte lines into a pipe; rows and a flat
 * file with dates are written. Usage: logpath [lines] [folder] [plain]
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/mem.h"
#include "daemon/logs.h"

struct bench {
    struct logs *logs;
    uint64_t end_us;
};

static void closed(void *arg)
{
    (void)arg;
}

static void done(void *arg, uint64_t run, enum log_stream_kind kind)
{
    struct bench *b = arg;

    (void)run;
    (void)kind;
    b->end_us = clock_wall_us();
    logs_close(b->logs, closed, NULL);
}

static void trouble(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "%s\n", text);
}

/* What a program with a buffered stdout does: 64 KiB a write. */
static void flood(int fd, long lines)
{
    char block[65600];
    size_t n = 0;

    for (long i = 0; i < lines; i++) {
        n += (size_t)sprintf(block + n, "%-98ld.\n", i);
        if (n > 65000 || i == lines - 1) {
            fs_write_all(fd, block, n);
            n = 0;
        }
    }
}

int main(int argc, char **argv)
{
    long lines = argc > 1 ? strtol(argv[1], NULL, 10) : 2000000;
    const char *dir = argc > 2 ? argv[2] : ".";
    char *db = fs_join(dir, "bench-logs.db"), *file = fs_join(dir, "bench-out.log");
    struct bench b = {0};
    const struct logs_hooks hooks = {&b, NULL, done, trouble};
    struct log_run run = {.run = 1, .app = "bench", .out_file = file, .uid = -1, .gid = -1};
    uint64_t start;
    uv_loop_t loop;
    struct rusage u;
    int fds[2];

    if (argc <= 3)
        run.date_format = "YYYY-MM-DDTHH:mm:ss";
    if (pipe2(fds, O_CLOEXEC) < 0)
        return 1;
    uv_loop_init(&loop);
    start = clock_wall_us();
    if (fork() == 0) {
        close(fds[0]);
        flood(fds[1], lines);
        _exit(0);
    }
    close(fds[1]);
    b.logs = logs_open(&loop, db, &hooks);
    logs_attach(b.logs, &run, fds[0], -1, -1, -1);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    wait(NULL);
    getrusage(RUSAGE_SELF, &u);
    printf("%ld lines in %.2f s: %.0f lines/s; cpu %.2f s, max rss %ld KiB\n", lines,
           (double)(b.end_us - start) / 1e6, (double)lines * 1e6 / (double)(b.end_us - start),
           (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6,
           u.ru_maxrss);
    unlink(db);
    unlink(file);
    free(db);
    free(file);
    return 0;
}
