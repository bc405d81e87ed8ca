#include "daemon/log_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"

int log_spool_new(void)
{
    int fd = memfd_create("pm-spool", MFD_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

int64_t log_spool_taken(int fd)
{
    off_t at = lseek(fd, 0, SEEK_CUR);

    return at < 0 ? -errno : at;
}

uint64_t log_spool_inode(int fd)
{
    struct stat st;

    return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

ssize_t log_spool_take(int fd, int pipe, size_t max)
{
    ssize_t n;

    do
        n = splice(pipe, NULL, fd, NULL, max, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t log_spool_read(int fd, char *out, size_t n, uint64_t at)
{
    size_t got = 0;

    while (got < n) {
        ssize_t r = pread(fd, out + got, n - got, (off_t)(at + got));

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

void log_spool_release(int fd, uint64_t from, uint64_t upto)
{
    /* A failure only means that the memory stays until the stream's end. */
    from &= ~(uint64_t)4095;
    if (upto > from)
        (void)!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(upto - from));
}

uint64_t log_spool_first(int fd, uint64_t taken, uint64_t *page)
{
    char path[32], bytes[4096];
    _cleanup_close_ int own = -1;
    off_t at;
    ssize_t n, zero = 0;

    *page = 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    own = open(path, O_RDWR | O_CLOEXEC);
    if (own < 0)
        return 0;
    at = lseek(own, 0, SEEK_DATA);
    if (at < 0 && errno != ENXIO)
        return 0;
    if (at < 0 || (uint64_t)at >= taken) { /* a hole up to the end */
        *page = taken;
        return taken;
    }
    *page = (uint64_t)at;
    n = pread(own, bytes, sizeof bytes, at);
    while (zero < n && bytes[zero] == '\0')
        zero++;
    return *page + (uint64_t)zero < taken ? *page + (uint64_t)zero : taken;
}
