/* Binds and listens. On a worker thread: nothing here touches what the loop has. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"
#include "daemon/sockets_int.h"

#define RETRIES  50
#define RETRY_MS 10

static const char *kind_prefix(enum sock_kind kind)
{
    return kind == SOCK_UDP ? "udp:" : kind == SOCK_UNIX ? "unix:" : "";
}

char *sock_address_text(enum sock_kind kind, const struct sockaddr *a, int *port)
{
    char host[INET6_ADDRSTRLEN] = "?", scope[IF_NAMESIZE + 1] = "", name[IF_NAMESIZE];

    *port = 0;
    if (a->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)a;

        *port = ntohs(in->sin_port);
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        return xasprintf("%s%s:%d", kind_prefix(kind), host, *port);
    }
    if (a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)a;

        *port = ntohs(in->sin6_port);
        inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof(host));
        if (in->sin6_scope_id && if_indextoname(in->sin6_scope_id, name))
            snprintf(scope, sizeof(scope), "%%%s", name);
        return xasprintf("%s[%s%s]:%d", kind_prefix(kind), host, scope, *port);
    }
    return xstrdup("?");
}

/* As it was asked for: for messages about what did not come to be. */
static char *asked_address(const struct sock_bind *b)
{
    const char *prefix = kind_prefix(b->kind);

    if (b->kind == SOCK_UNIX)
        return xasprintf("%s%s", prefix, b->path);
    if (!b->host)
        return xasprintf("%s*:%d", prefix, b->port);
    return xasprintf(strchr(b->host, ':') ? "%s[%s]:%d" : "%s%s:%d", prefix, b->host, b->port);
}

int sock_bind_fail(struct sock_bind *b, int error, const char *what)
{
    _cleanup_free_ char *address = asked_address(b);

    b->error = error;
    return err_set(&b->err, error, "cannot %s %s: %s", what, address, strerror(-error));
}

/* A numeric address of that family (AF_UNSPEC: what the text is) as a socket address. */
bool sock_address_of(const struct sock_bind *b, int family, struct sockaddr_storage *out, socklen_t *len)
{
    const struct addrinfo hints = {.ai_family = family,
                                   .ai_socktype = b->kind == SOCK_UDP ? SOCK_DGRAM : SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    const char *host = b->host && strcmp(b->host, "localhost") == 0 ? "127.0.0.1" : b->host;
    struct addrinfo *found = NULL;
    char port[16];

    snprintf(port, sizeof(port), "%d", b->port);
    if (getaddrinfo(host, port, &hints, &found) != 0 || !found)
        return false;
    memcpy(out, found->ai_addr, found->ai_addrlen);
    *len = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

static int first_unprivileged_port(void)
{
    int fd = open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_RDONLY | O_CLOEXEC);
    char text[16] = "";
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    return n > 0 ? atoi(text) : 1024;
}

static int refuse_port(struct sock_bind *b, int first, const char *who, unsigned uid)
{
    _cleanup_free_ char *address = asked_address(b);

    b->error = -EACCES;
    return err_set(
        &b->err, -EACCES,
        "cannot listen on %s: ports below %d are for root, and %s has the id %u; take a higher port, or "
        "lower net.ipv4.ip_unprivileged_port_start",
        address, first, who, uid);
}

/*
 * Low ports are given by a capability, which a thread cannot lay down for one call: so it is decided here.
 * What the configuration asks for is the daemon's owner's wish, whoever the app's user is.
 */
static int check_port(struct sock_bind *b)
{
    int first;

    if (!b->by_app || !b->as_user || !b->ids.uid || !b->port ||
        b->port >= (first = first_unprivileged_port()))
        return 0;
    return refuse_port(b, first, "the app's user", b->ids.uid);
}

static bool set_flag(int fd, int level, int name, bool on)
{
    int value = on;

    return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

/* A bound socket or negative errno. */
static int bind_address(const struct sock_bind *b, const struct sockaddr *a, socklen_t len)
{
    int type = (b->kind == SOCK_UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC;
    int fd = socket(a->sa_family, b->blocking ? type : type | SOCK_NONBLOCK, 0), rc;

    if (fd < 0)
        return -errno;
    if ((a->sa_family == AF_INET6 && !set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, b->v6only)) ||
        ((b->kind == SOCK_TCP || b->reuse_address) && !set_flag(fd, SOL_SOCKET, SO_REUSEADDR, true)) ||
        (b->reuse_port && !set_flag(fd, SOL_SOCKET, SO_REUSEPORT, true)) || bind(fd, a, len) < 0 ||
        /* Only now does another listener on the address show, when both may reuse it. */
        (b->kind == SOCK_TCP && listen(fd, b->backlog) < 0)) {
        rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

static bool no_ipv6(int error)
{
    return error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL || error == -EPROTONOSUPPORT;
}

static int try_bind(const struct sock_bind *b)
{
    struct sockaddr_storage a;
    socklen_t len;
    int fd;

    if (b->host)
        return sock_address_of(b, AF_UNSPEC, &a, &len) ? bind_address(b, (struct sockaddr *)&a, len)
                                                       : -EINVAL;
    if (!sock_address_of(b, AF_INET6, &a, &len))
        return -EINVAL;
    fd = bind_address(b, (struct sockaddr *)&a, len);
    if (!no_ipv6(fd) || b->v6only || !sock_address_of(b, AF_INET, &a, &len))
        return fd;
    return bind_address(b, (struct sockaddr *)&a, len);
}

static int inet_bind(struct sock_bind *b)
{
    const struct timespec pause = {0, RETRY_MS * 1000000};
    struct sockaddr_storage a;
    socklen_t len = sizeof(a);
    char owner[96] = "";
    int fd, rc;

    if ((rc = check_port(b)) < 0)
        return rc;
    fd = try_bind(b);
    for (int i = 0; fd == -EADDRINUSE && b->may_retry && i < RETRIES; i++) {
        nanosleep(&pause, NULL);
        fd = try_bind(b);
    }
    if (fd < 0) {
        if (fd == -EINVAL && b->host && !sock_address_of(b, AF_UNSPEC, &a, &len)) {
            b->error = fd;
            return err_set(&b->err, fd, "cannot listen on \"%.200s\": not a numeric address", b->host);
        }
        if (fd == -EACCES && b->port && b->port < first_unprivileged_port())
            return refuse_port(b, first_unprivileged_port(), "the daemon's user", geteuid());
        sock_bind_fail(b, fd, b->kind == SOCK_UDP ? "bind" : "listen on");
        if (fd == -EADDRINUSE) {
            size_t used = strlen(b->err.msg);

            sock_owner_words(b->kind, b->port, owner, sizeof(owner));
            snprintf(b->err.msg + used, sizeof(b->err.msg) - used, "%s", owner);
        }
        return fd;
    }
    if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        a.ss_family = AF_UNSPEC;
    b->fd = fd;
    b->address = sock_address_text(b->kind, (struct sockaddr *)&a, &b->real_port);
    return 0;
}

void sock_bind_run(struct sock_bind *b)
{
    b->fd = -1;
    if (b->error)
        return;
    if (b->exists) {
        /* The configuration may say something else now than when it was made. */
        if (b->kind == SOCK_UNIX && !b->by_app && b->file.ino)
            sock_unix_dress(b);
    } else if (b->kind == SOCK_UNIX)
        sock_unix_bind(b);
    else
        inet_bind(b);
}

void sock_bind_deinit(struct sock_bind *b)
{
    if (b->fd >= 0)
        close(b->fd);
    b->fd = -1;
    free(b->host);
    free(b->path);
    free(b->address);
    b->host = b->path = b->address = NULL;
}
