#include "keeper/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/plog.h"

int files_lock(struct keeper *k, struct err *e)
{
    int fd = openat(k->home.dirfd, HOME_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return err_errno(e, "cannot open %s/%s", k->home.path, HOME_LOCK);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int rc = err_errno(e, "cannot lock %s/%s", k->home.path, HOME_LOCK);

        close(fd);
        return rc;
    }
    return fd;
}

/* A listening socket in the home, or negative errno. What is there under its name is of a daemon that died.
 */
static int bind_one(struct keeper *k, const char *name, int type, struct err *e)
{
    struct sockaddr_un addr;
    socklen_t len = home_sockaddr(&k->home, name, &addr);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;
    mode_t old;

    if (fd < 0)
        return err_errno(e, "cannot create a socket");
    if (unlinkat(k->home.dirfd, name, 0) < 0 && errno != ENOENT) {
        rc = err_errno(e, "cannot remove the stale %s/%s", k->home.path, name);
        close(fd);
        return rc;
    }
    old = umask(0177); /* so that it is never open to others, not even for a moment */
    rc = bind(fd, (struct sockaddr *)&addr, len);
    umask(old);
    if (rc < 0 || listen(fd, SOMAXCONN) < 0) {
        rc = err_errno(e, "cannot listen on %s/%s", k->home.path, name);
        close(fd);
        return rc;
    }
    return fd;
}

int files_bind(struct keeper *k, int lock_fd, struct err *e)
{
    struct record *self = &k->table.self;
    int fd;

    record_hold(self, KW_FD_LOCK, lock_fd);
    fd = bind_one(k, HOME_ATTACH, SOCK_SEQPACKET, e);
    if (fd < 0)
        return fd;
    record_hold(self, KW_FD_ATTACH, fd);
    fd = bind_one(k, HOME_SOCKET, SOCK_STREAM, e);
    if (fd < 0)
        return fd;
    record_hold(self, KW_FD_LISTEN, fd);
    return 0;
}

void files_write_pid(struct keeper *k)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    int fd = openat(k->home.dirfd, HOME_PID, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    /* It is for people only, so a full disk must not keep the daemon from running. */
    if (fd < 0 || write(fd, text, (size_t)len) != len)
        log_warn("cannot write %s/%s: %s", k->home.path, HOME_PID, strerror(errno));
    if (fd >= 0)
        close(fd);
}

int files_read_pid(struct keeper *k)
{
    char text[16] = "";
    int fd = openat(k->home.dirfd, HOME_PID, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), pid = 0;
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9' && pid < 100000000; i++)
        pid = pid * 10 + (text[i] - '0');
    if (fd >= 0)
        close(fd);
    return pid;
}

void files_remove(struct keeper *k)
{
    unlinkat(k->home.dirfd, HOME_SOCKET, 0);
    unlinkat(k->home.dirfd, HOME_ATTACH, 0);
    unlinkat(k->home.dirfd, HOME_PID, 0);
}

int files_open_log(struct keeper *k, struct err *e)
{
    int fd = openat(k->home.dirfd, HOME_LOG, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    int rc = 0;

    if (fd < 0)
        return err_errno(e, "cannot open the log %s/%s", k->home.path, HOME_LOG);
    if (dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        rc = err_errno(e, "cannot use the log %s/%s", k->home.path, HOME_LOG);
    close(fd);
    return rc;
}

#define LOG_MAX  (10 * 1000 * 1000)
#define LOG_KEEP 3

/* Is fd 2 the file of that name, rather than one that somebody else has rotated, or a terminal? */
static bool is_the_log(const struct keeper *k, struct stat *st)
{
    struct stat named;

    return fstat(2, st) == 0 && S_ISREG(st->st_mode) &&
           fstatat(k->home.dirfd, HOME_LOG, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_ino == st->st_ino &&
           named.st_dev == st->st_dev;
}

static int shift_logs(struct keeper *k, struct err *e)
{
    for (int i = LOG_KEEP; i > 0; i--) {
        char from[sizeof(HOME_LOG) + 16] = HOME_LOG, to[sizeof(from)];

        if (i > 1)
            snprintf(from, sizeof(from), HOME_LOG ".%d", i - 1);
        snprintf(to, sizeof(to), HOME_LOG ".%d", i);
        if (renameat(k->home.dirfd, from, k->home.dirfd, to) < 0 && errno != ENOENT)
            return err_errno(e, "cannot rename the log %s/%s to %s", k->home.path, from, to);
    }
    return 0;
}

bool files_rotate_log(struct keeper *k)
{
    int64_t limit = k->log_limit ? k->log_limit : LOG_MAX;
    struct err e = {0};
    struct stat st;

    if (k->foreground || fstat(2, &st) < 0 || st.st_size < limit || !is_the_log(k, &st))
        return false;
    if (shift_logs(k, &e) < 0 || files_open_log(k, &e) < 0) {
        k->log_limit = st.st_size + LOG_MAX; /* one word about it, not one a second */
        log_warn("%s", e.msg);
        return false;
    }
    k->log_limit = 0;
    return true;
}
