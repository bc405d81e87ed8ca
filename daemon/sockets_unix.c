/*
 * Unix sockets. The path is the app's, and so are the rights with which it is made: the thread takes the
 * app's ids for access to files meanwhile. That is done by the bare calls, as those of the C library change
 * all threads. What only root can do (another owner) is done on the very file that was made, never on its
 * name, which the app could have put something else under.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/mem.h"
#include "daemon/sockets_int.h"

static struct sock_file file_in(int folder, const char *name)
{
    const int flags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
    struct sock_file file = {0, 0};
    struct statx st;

    /* A far server need not be asked: what it does with the file is nothing that a bind would notice. */
    if (statx(folder, name, flags, STATX_TYPE | STATX_INO, &st) == 0 && S_ISSOCK(st.stx_mode)) {
        file.dev = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor;
        file.ino = st.stx_ino;
    }
    return file;
}

struct sock_file sock_file_at(const char *path)
{
    return file_in(AT_FDCWD, path);
}

static bool same_file(struct sock_file a, struct sock_file b)
{
    return a.ino && a.dev == b.dev && a.ino == b.ino;
}

/*
 * With the daemon's rights. The folder is held, so that the one which was looked into is the one from which
 * the file is removed: who owns a part of the path could put a symbolic link there in between.
 */
void sock_file_remove(const char *path, struct sock_file file)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *name = slash ? xstrndup(path, (size_t)(slash - path) + 1) : NULL;
    _cleanup_close_ int folder = name && file.ino ? open(name, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

    if (folder >= 0 && slash[1] && same_file(file_in(folder, slash + 1), file))
        unlinkat(folder, slash + 1, 0);
}

struct rights {
    gid_t groups[NGROUPS_MAX > 4096 ? 4096 : NGROUPS_MAX];
    long ngroups;
    bool taken;
};

static int take_rights(const struct sock_bind *b, struct rights *old)
{
    const struct user_ids *ids = &b->ids;

    old->taken = false;
    if (!b->as_user || geteuid() != 0)
        return 0; /* who is not root is the app's user anyway, or could not become it */
    old->ngroups = syscall(SYS_getgroups, (long)ARRAY_LEN(old->groups), old->groups);
    if (old->ngroups < 0 || syscall(SYS_setgroups, (long)ids->ngroups, ids->groups) < 0)
        return -errno;
    old->taken = true;
    syscall(SYS_setfsgid, (long)ids->gid);
    syscall(SYS_setfsuid, (long)ids->uid);
    return 0;
}

static void give_back_rights(struct rights *old)
{
    if (!old->taken)
        return;
    syscall(SYS_setfsuid, (long)geteuid());
    syscall(SYS_setfsgid, (long)getegid());
    syscall(SYS_setgroups, old->ngroups, old->groups);
    old->taken = false;
}

static int make_address(struct sock_bind *b, struct sockaddr_un *a, socklen_t *len)
{
    size_t n = strlen(b->path);

    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (b->path[0] != '@' && b->path[0] != '/')
        return sock_bind_fail(b, -EINVAL, "listen on the relative path");
    if (n >= sizeof(a->sun_path) || n < 2) {
        b->error = n < 2 ? -EINVAL : -ENAMETOOLONG;
        return err_set(
            &b->err, b->error,
            "cannot listen on unix:%.300s: the path of a socket has 2 to %zu bytes, this one has %zu",
            b->path, sizeof(a->sun_path) - 1, n);
    }
    memcpy(a->sun_path, b->path, n);
    if (b->path[0] == '@')
        a->sun_path[0] = '\0';
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (b->path[0] == '/'));
    return 0;
}

/*
 * The name is taken. Is it a file that nobody listens on any more? Then it goes: 0. A socket that is
 * connected to for this sees a client that leaves at once.
 */
static int remove_stale(struct sock_bind *b, const struct sockaddr_un *a, socklen_t len)
{
    struct sock_file before = sock_file_at(b->path);
    struct ucred cred = {0};
    socklen_t cred_len = sizeof(cred);
    int fd, rc;

    if (b->path[0] == '@')
        return sock_bind_fail(b, -EADDRINUSE, "listen on");
    if (!before.ino) {
        b->error = -EADDRINUSE;
        return err_set(&b->err, -EADDRINUSE,
                       "cannot listen on unix:%.300s: something is there that is no socket; take another "
                       "path, or move it away",
                       b->path);
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return sock_bind_fail(b, -errno, "listen on");
    rc = connect(fd, (const struct sockaddr *)a, len) < 0 ? -errno : 0;
    if (rc == 0)
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len);
    close(fd);
    if (rc == -ECONNREFUSED && same_file(sock_file_at(b->path), before)) {
        if (unlink(b->path) == 0 || errno == ENOENT)
            return 0;
        return sock_bind_fail(b, -errno, "remove the stale");
    }
    if (rc == -ENOENT)
        return 0;
    sock_bind_fail(b, -EADDRINUSE, "listen on");
    if (cred.pid > 0) {
        size_t used = strlen(b->err.msg);

        snprintf(b->err.msg + used, sizeof(b->err.msg) - used, " (by pid %d)", (int)cred.pid);
    }
    return -EADDRINUSE;
}

/* A path that cannot be had is mostly a matter of its folder. */
static int bind_refused(struct sock_bind *b, int error)
{
    size_t used;

    sock_bind_fail(b, error, "listen on");
    used = strlen(b->err.msg);
    if (b->path[0] == '/' && error == -ENOENT)
        snprintf(b->err.msg + used, sizeof(b->err.msg) - used, "; its folder must exist");
    else if (error == -EACCES)
        snprintf(b->err.msg + used, sizeof(b->err.msg) - used,
                 "; the %s user, who has the id %u, must be able to write in its folder",
                 b->as_user ? "app's" : "daemon's", b->as_user ? b->ids.uid : geteuid());
    return error;
}

static int bind_path(struct sock_bind *b, int fd)
{
    struct sockaddr_un a;
    socklen_t len = 0;
    int rc = make_address(b, &a, &len);

    for (int tries = 0; rc == 0; tries++) {
        if (bind(fd, (struct sockaddr *)&a, len) == 0)
            return 0;
        if (errno != EADDRINUSE || tries > 1)
            return bind_refused(b, -errno);
        rc = remove_stale(b, &a, len);
    }
    return rc;
}

/* Mode first, by the rights of the owner; the owner last, with those of the daemon. */
static int dress(struct sock_bind *b, int file, struct rights *rights)
{
    char self[40];
    struct stat st;
    mode_t mode;
    int rc = 0;

    snprintf(self, sizeof(self), "/proc/self/fd/%d", file);
    if (fstat(file, &st) < 0)
        return sock_bind_fail(b, -errno, "listen on");
    mode = (b->add_mode ? st.st_mode | b->mode : b->mode) & 07777;
    if (b->mode && mode != (st.st_mode & 07777) && chmod(self, mode) < 0)
        rc = sock_bind_fail(b, -errno, "set the mode of");
    give_back_rights(rights);
    if (rc == 0 &&
        ((b->owner != UINT32_MAX && b->owner != st.st_uid) ||
         (b->group != UINT32_MAX && b->group != st.st_gid)) &&
        fchownat(file, "", b->owner, b->group, AT_EMPTY_PATH) < 0)
        rc = sock_bind_fail(b, -errno,
                            errno == EPERM && geteuid() != 0
                                ? "set owner and group (only a daemon of root can) of"
                                : "set owner and group of");
    return rc;
}

/* The file that bind made: it is held, so that no other can be meant from here on. */
static int open_made(struct sock_bind *b)
{
    int file = open(b->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (file >= 0 && fstat(file, &st) == 0 && S_ISSOCK(st.st_mode) &&
        (!b->as_user || geteuid() != 0 || st.st_uid == b->ids.uid)) {
        b->file = sock_file_at(b->path);
        return file;
    }
    if (file >= 0)
        close(file);
    return sock_bind_fail(b, -ENOENT, "find again");
}

int sock_unix_dress(struct sock_bind *b)
{
    _cleanup_close_ int file = open(b->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct rights none = {.taken = false};

    /* Another file: who asks for the socket will see that it is gone. */
    if (file < 0 || !same_file(file_in(file, ""), b->file))
        return 0;
    return dress(b, file, &none);
}

static int bind_with_rights(struct sock_bind *b, int fd, struct rights *rights)
{
    int rc, file;

    /* The file gets the socket's own mode less the umask: so it is never open to more than it will be. */
    if (b->mode && !b->add_mode && fchmod(fd, b->mode & 07777) < 0)
        return sock_bind_fail(b, -errno, "set the mode of");
    rc = bind_path(b, fd);
    if (rc < 0 || b->path[0] == '@')
        return rc;
    file = open_made(b);
    if (file < 0)
        return file;
    rc = dress(b, file, rights);
    close(file);
    if (rc < 0)
        sock_file_remove(b->path, b->file);
    return rc;
}

int sock_unix_bind(struct sock_bind *b)
{
    int type = SOCK_STREAM | SOCK_CLOEXEC | (b->blocking ? 0 : SOCK_NONBLOCK);
    int fd = socket(AF_UNIX, type, 0), rc;
    struct rights rights;

    if (fd < 0)
        return sock_bind_fail(b, -errno, "listen on");
    rc = take_rights(b, &rights);
    if (rc < 0)
        sock_bind_fail(b, rc, "take the rights of the app's user for");
    else
        rc = bind_with_rights(b, fd, &rights);
    give_back_rights(&rights);
    /* Listening comes last: nobody connects before mode and owner are right. */
    if (rc == 0 && listen(fd, b->backlog) < 0)
        rc = sock_bind_fail(b, -errno, "listen on");
    if (rc < 0) {
        close(fd);
        return rc;
    }
    b->fd = fd;
    b->real_port = 0;
    b->address = xasprintf("unix:%s", b->path);
    return 0;
}
