#include "daemon/sample.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "daemon/engine.h"

#define SAMPLE_WINDOW_MS 1000u

/* Fields 14, 15 (user and system time in ticks) and 24 (resident pages) of /proc/PID/stat. */
static int read_stat(pid_t pid, uint64_t *ticks, uint64_t *pages)
{
    char path[64], text[1024];
    unsigned long long user = 0, sys = 0;
    long rss = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    const char *p = strrchr(text, ')');
    if (!p ||
        sscanf(p + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %*u %*u %ld",
               &user, &sys, &rss) != 3)
        return -1;
    *ticks = user + sys;
    *pages = rss > 0 ? (uint64_t)rss : 0;
    return 0;
}

void sample_process(struct process *p)
{
    struct runtime *r = runtime_of(p);
    uint64_t now = clock_wall_ms(), ticks, pages, since, before;
    const long hz = sysconf(_SC_CLK_TCK);
    bool known = r->sampled_ms > p->started_ms;

    if (known && p->pid > 0 && !p->exited && now < r->sampled_ms + SAMPLE_WINDOW_MS)
        return;
    if (p->pid <= 0 || p->exited || read_stat(p->pid, &ticks, &pages) < 0) {
        r->cpu_percent = 0;
        r->memory_bytes = 0;
        r->sampled_ms = 0;
        return;
    }
    r->memory_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    /* A look that was before this run says nothing about it. */
    since = known ? r->sampled_ms : p->started_ms;
    before = known ? r->cpu_ticks : 0;
    if (now > since && ticks >= before)
        r->cpu_percent = (double)(ticks - before) * 1000.0 * 100.0 / (double)hz / (double)(now - since);
    r->cpu_ticks = ticks;
    r->sampled_ms = now;
}
