/*
 * Both daemons died, and with them their copies of the sockets: a child that lives on has its own. It is
 * taken from there, or the port would stay in use without anybody who could give it to the next worker.
 */
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/plog.h"
#include "daemon/engine.h"
#include "daemon/sockets_int.h"

#define LOOKED_AT_MAX 1024 /* descriptors of the child */

bool sock_any_host(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET)
        return ((const struct sockaddr_in *)a)->sin_addr.s_addr == htonl(INADDR_ANY);
    return a->ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

static int port_of(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)a)->sin_port);
    return a->ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)a)->sin6_port) : 0;
}

bool sock_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET)
        return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)b)->sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&((const struct sockaddr_in6 *)a)->sin6_addr,
                              &((const struct sockaddr_in6 *)b)->sin6_addr);
}

static bool is_path(const struct sockaddr_storage *a, socklen_t len, const char *path)
{
    const struct sockaddr_un *un = (const void *)a;
    size_t n =
        len > offsetof(struct sockaddr_un, sun_path) ? len - offsetof(struct sockaddr_un, sun_path) : 0;

    if (a->ss_family != AF_UNIX || !n)
        return false;
    if (path[0] == '@')
        return n == strlen(path) && !un->sun_path[0] && memcmp(un->sun_path + 1, path + 1, n - 1) == 0;
    return strncmp(un->sun_path, path, n) == 0 && strnlen(un->sun_path, n) == strlen(path);
}

/* Is it what was asked for? Fills the address and the port of `b` then. */
static bool matches(int fd, struct sock_bind *b)
{
    struct sockaddr_storage a = {0}, want;
    socklen_t len = sizeof(a), want_len, size = sizeof(int);
    int listens = 0, type = 0, reuse = 0;

    if (getsockname(fd, (struct sockaddr *)&a, &len) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &reuse, &size) < 0)
        return false;
    if (type != (b->kind == SOCK_UDP ? SOCK_DGRAM : SOCK_STREAM) || (b->kind != SOCK_UDP && !listens))
        return false;
    if (b->kind == SOCK_UNIX) {
        if (!is_path(&a, len, b->path))
            return false;
        b->address = xasprintf("unix:%s", b->path);
        /* Another user could have made the path lead to any file, which would be removed as ours: then the
         * file is nobody's, and goes when somebody binds there. */
        if (!b->as_user || geteuid() != 0)
            b->file = sock_file_at(b->path);
        return true;
    }
    if ((a.ss_family != AF_INET && a.ss_family != AF_INET6) || (b->port && port_of(&a) != b->port) ||
        (bool)reuse != b->reuse_port)
        return false;
    if (b->host ? !sock_address_of(b, AF_UNSPEC, &want, &want_len) || !sock_same_host(&a, &want)
                : !sock_any_host(&a))
        return false;
    b->address = sock_address_text(b->kind, (struct sockaddr *)&a, &b->real_port);
    return true;
}

/* A copy of the child's descriptor if it is the one that is wanted; else -1, with *denied set when the kernel
 * does not let us have any. */
static int take(int pidfd, int number, struct sock_bind *b, bool *denied)
{
    int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);

    if (fd < 0) {
        *denied = errno == EPERM || errno == ENOSYS;
        return -1;
    }
    if (matches(fd, b))
        return fd;
    close(fd);
    return -1;
}

static int find_in_child(pid_t pid, int pidfd, struct sock_bind *b)
{
    char path[40], link[64];
    struct dirent *entry;
    int fd = -1, left = LOOKED_AT_MAX;
    bool denied = false;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    while (dir && fd < 0 && !denied && left-- && (entry = readdir(dir))) {
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

        if (n > 7 && memcmp(link, "socket:", 7) == 0)
            fd = take(pidfd, atoi(entry->d_name), b, &denied);
    }
    if (dir)
        closedir(dir);
    return fd;
}

struct sock *sockets_take_back(struct sockets *s, const struct sock_request *r, pid_t pid, int pidfd)
{
    struct sock *k = sockets_find(s, r->app, r->key);
    struct sock_bind b;
    int error = 0;

    if (k)
        return k;
    sock_bind_init(&b, r);
    b.as_user = r->uid || r->gid;
    b.fd = find_in_child(pid, pidfd, &b);
    if (b.fd >= 0)
        k = sock_new(s, r, &b, &error);
    if (k)
        log_info("took back the socket %s from pid %d, which outlived the last daemon", k->address, (int)pid);
    else if (error)
        log_error("the socket %s of pid %d cannot be kept: %s", b.address ? b.address : "", (int)pid,
                  strerror(-error));
    sock_bind_deinit(&b);
    return k;
}
