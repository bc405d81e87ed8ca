#include "daemon/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"

#define FILE_MODE   0640
#define FOLDER_MODE 0755
#define PIPE_WAIT   100 /* ms that a full terminal or FIFO may take before the write counts as failed */

bool log_file_none(const char *path)
{
    return !path || !*path || strcmp(path, "/dev/null") == 0 || strcmp(path, "NULL") == 0;
}

struct log_file *log_files_get(struct log_files *set, const char *path, int64_t uid, int64_t gid)
{
    struct log_file *f;

    for (f = set->first; f; f = f->next)
        if (strcmp(f->path, path) == 0)
            break;
    if (!f) {
        f = xcalloc(1, sizeof *f);
        f->path = xstrdup(path);
        f->uid = uid;
        f->gid = gid;
        f->fd = -1;
        f->set = set;
        f->next = set->first;
        set->first = f;
    }
    f->refs++;
    return f;
}

void log_files_put(struct log_files *set, struct log_file *f)
{
    struct log_file **p = &set->first;

    if (--f->refs)
        return;
    while (*p != f)
        p = &(*p)->next;
    *p = f->next;
    log_file_close(f);
    free(f->path);
    free(f);
}

void log_file_close(struct log_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    f->rotate_known = false;
}

static int make_parents(const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *dir = NULL;

    if (!slash || slash == path)
        return 0;
    dir = xstrndup(path, (size_t)(slash - path));
    return fs_mkdirs(dir, FOLDER_MODE, e);
}

static int open_path(const struct log_file *f)
{
    /* O_NONBLOCK: a FIFO without a reader must fail, not hang the thread that writes for all apps. */
    int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd;

    /* An app of another user may own the folder: it must not lead root's pen to a file of its choice. */
    if (f->uid >= 0 && (uid_t)f->uid != geteuid())
        flags |= O_NOFOLLOW;
    for (int i = 0; i < 8; i++) {
        fd = open(f->path, flags);
        if (fd >= 0 || errno != ENOENT)
            return fd < 0 ? -errno : fd;
        fd = open(f->path, flags | O_CREAT | O_EXCL, FILE_MODE);
        if (fd >= 0 && (f->uid >= 0 || f->gid >= 0) && fchown(fd, (uid_t)f->uid, (gid_t)f->gid) < 0) {
            int rc = -errno;

            close(fd);
            return rc;
        }
        /* EEXIST: somebody made it in between, or it is a dangling link, which O_EXCL does not follow. */
        if (fd >= 0 || errno != EEXIST)
            return fd < 0 ? -errno : fd;
    }
    return -ELOOP;
}

static struct log_file *find_twin(const struct log_file *f)
{
    for (struct log_file *g = f->set->first; g; g = g->next)
        if (g != f && g->fd >= 0 && g->regular && g->now.dev == f->now.dev && g->now.ino == f->now.ino)
            return g;
    return NULL;
}

/* Bytes behind the committed size would be written a second time by the replay. */
static int cut_back(struct log_file *f, struct err *e)
{
    if (f->used || !f->has_rec || !f->cut_ok || f->cut_never)
        return 0;
    if (f->rec.dev != f->now.dev || f->rec.ino != f->now.ino || f->now.size <= f->rec.size)
        return 0;
    if (ftruncate(f->fd, (off_t)f->rec.size) < 0)
        return err_errno(e, "cannot cut log file %s", f->path);
    f->now.size = f->rec.size;
    return 0;
}

int log_file_open(struct log_file *f, struct err *e)
{
    struct stat st;
    int rc;

    if (f->fd >= 0)
        return 0;
    rc = open_path(f);
    if (rc == -ENOENT) {
        rc = make_parents(f->path, e);
        if (rc < 0)
            return rc;
        rc = open_path(f);
    }
    if (rc < 0)
        return err_set(e, rc, "cannot open log file %s: %s", f->path, strerror(-rc));
    f->fd = rc;
    if (fstat(f->fd, &st) < 0) {
        rc = err_errno(e, "cannot use log file %s", f->path);
        log_file_close(f);
        return rc;
    }
    f->regular = S_ISREG(st.st_mode);
    f->now = (struct log_file_record){
        .dev = st.st_dev, .ino = st.st_ino, .size = f->regular ? (uint64_t)st.st_size : 0};
    f->twin = f->regular ? find_twin(f) : NULL;
    if (f->twin) {
        log_file_close(f);
        return LOG_FILE_TWIN;
    }
    /* Shorter than recorded: it was emptied, or is another file that got the inode of one that is gone. */
    if (f->has_rec && f->rec.dev == f->now.dev && f->rec.ino == f->now.ino && f->now.size < f->rec.size)
        f->has_rec = false;
    if (f->has_rec && f->rec.dev == f->now.dev && f->rec.ino == f->now.ino)
        f->now.tail = f->rec.tail;
    rc = cut_back(f, e);
    if (rc < 0) {
        log_file_close(f);
        return rc;
    }
    f->used = true;
    f->dirty = true;
    return 0;
}

int log_file_prepare(struct log_file *f, struct err *e)
{
    struct stat st;

    if (f->fd < 0 || !f->regular)
        return log_file_open(f, e);
    if (fstat(f->fd, &st) < 0)
        return err_errno(e, "cannot use log file %s", f->path);
    if (st.st_nlink == 0) {
        log_file_close(f);
        return log_file_open(f, e);
    }
    f->now.size = (uint64_t)st.st_size;
    return 0;
}

bool log_file_recorded(const struct log_file *f)
{
    return !f->regular || (f->has_rec && f->rec.dev == f->now.dev && f->rec.ino == f->now.ino);
}

/* Takes `n` written bytes off the front of the vector. */
static void advance(struct iovec **iov, int *count, size_t n)
{
    while (*count && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        (*iov)++;
        (*count)--;
    }
    if (*count) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

int log_file_append(struct log_file *f, const struct iovec *iov, int n)
{
    struct iovec copy[4], *v = copy;
    uint64_t written = 0;

    memcpy(copy, iov, sizeof *iov * (size_t)n);
    for (advance(&v, &n, 0); n;) {
        ssize_t r = writev(f->fd, v, n);
        int rc = r < 0 ? -errno : 0;

        if (rc == -EINTR)
            continue;
        if (rc == -EAGAIN && !f->regular &&
            poll(&(struct pollfd){.fd = f->fd, .events = POLLOUT}, 1, PIPE_WAIT) == 1)
            continue;
        if (rc == 0 && r == 0)
            rc = -ENOSPC;
        if (rc < 0) {
            /* A torn line must not stay. Should the cut fail too, the next attempt begins a new line. */
            if (f->regular && written && ftruncate(f->fd, (off_t)f->now.size) < 0)
                f->now.tail = UINT64_MAX;
            return rc;
        }
        written += (uint64_t)r;
        advance(&v, &n, (size_t)r);
    }
    f->now.size += written;
    f->dirty = true;
    return 0;
}
