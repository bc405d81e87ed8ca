#include "daemon/metrics_proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/mem.h"

ssize_t metrics_read_text(int proc, const char *path, char *text, size_t size)
{
    _cleanup_close_ int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

    if (n < 0)
        return -errno;
    text[n] = '\0';
    return n;
}

/* Decimal, by hand: a thousand processes have 24,000 fields a second, and sscanf takes half of the pass. */
static uint64_t number(const char **p)
{
    uint64_t v = 0;
    bool minus = false;

    while (**p == ' ')
        (*p)++;
    if (**p == '-') {
        minus = true;
        (*p)++;
    }
    for (; **p >= '0' && **p <= '9'; (*p)++)
        v = v * 10 + (uint64_t)(**p - '0');
    return minus ? 0 : v;
}

/* Numbers as in proc(5). */
enum { PPID = 4, UTIME = 14, STIME, CUTIME, CSTIME, THREADS = 20, START = 22, RSS = 24 };

int metrics_parse_stat(char *text, struct metrics_stat *out)
{
    const char *p = strrchr(text, ')'); /* the name before it may hold anything, also ")" and spaces */
    uint64_t v[RSS + 1] = {0};
    char state;

    if (!p || p[1] != ' ' || !p[2])
        return -EBADMSG;
    state = p[2];
    p += 3;
    for (int i = PPID; i <= RSS; i++) {
        if (*p != ' ')
            return -EBADMSG;
        v[i] = number(&p);
    }
    out->ppid = (pid_t)v[PPID];
    out->start_ticks = v[START];
    out->own = v[UTIME] + v[STIME];
    out->waited = v[CUTIME] + v[CSTIME];
    out->threads = (uint32_t)v[THREADS];
    out->rss_pages = v[RSS];
    /* A program whose first thread has ended shows "Z" while its other threads run. */
    out->dead = (state == 'Z' && v[THREADS] <= 1) || state == 'X' || state == 'x';
    return 0;
}

int metrics_read_stat(int proc, pid_t pid, struct metrics_stat *out)
{
    char path[32], text[1024];
    ssize_t n;

    snprintf(path, sizeof(path), "%d/stat", (int)pid);
    n = metrics_read_text(proc, path, text, sizeof(text));
    if (n <= 0)
        return n < 0 ? (int)n : -ESRCH;
    out->pid = pid;
    return metrics_parse_stat(text, out);
}

bool metrics_field(const char *text, const char *key, uint64_t *out)
{
    size_t len = strlen(key);

    for (const char *p = text; p && *p; p = strchr(p, '\n')) {
        if (*p == '\n')
            p++;
        if (strncmp(p, key, len) == 0 && p[len] == ':') {
            *out = strtoull(p + len + 1, NULL, 10);
            return true;
        }
    }
    return false;
}

bool metrics_read_io(int proc, pid_t pid, uint64_t *read_bytes, uint64_t *written)
{
    char path[32], text[512];

    snprintf(path, sizeof(path), "%d/io", (int)pid);
    return metrics_read_text(proc, path, text, sizeof(text)) > 0 &&
           metrics_field(text, "read_bytes", read_bytes) && metrics_field(text, "write_bytes", written);
}

bool metrics_read_switches(int proc, pid_t pid, uint64_t *voluntary, uint64_t *involuntary)
{
    char path[32], text[4096];

    snprintf(path, sizeof(path), "%d/status", (int)pid);
    return metrics_read_text(proc, path, text, sizeof(text)) > 0 &&
           metrics_field(text, "voluntary_ctxt_switches", voluntary) &&
           metrics_field(text, "nonvoluntary_ctxt_switches", involuntary);
}

uint32_t metrics_count_fds(int proc, pid_t pid)
{
    char path[32];
    struct dirent *d;
    struct statfs fs;
    struct stat st;
    uint32_t n = 0;
    DIR *dir;
    int fd;

    snprintf(path, sizeof(path), "%d/fd", (int)pid);
    fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    /* Linux 6.2 and later tell the number as the folder's size. */
    if (fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC && fstat(fd, &st) == 0 && st.st_size > 0) {
        close(fd);
        return (uint32_t)st.st_size;
    }
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return 0;
    }
    while ((d = readdir(dir)))
        n += d->d_name[0] != '.';
    closedir(dir);
    return n;
}

uint64_t metrics_read_pss(int proc, pid_t pid)
{
    char path[32], text[2048];
    uint64_t kib;

    snprintf(path, sizeof(path), "%d/smaps_rollup", (int)pid);
    if (metrics_read_text(proc, path, text, sizeof(text)) <= 0 || !metrics_field(text, "Pss", &kib))
        return 0;
    return kib * 1024;
}
