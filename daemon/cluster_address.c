/* From a worker's queryServer to a socket of the daemon: which one it is, and how it is to be bound. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "daemon/cluster_int.h"

#define UDP_REUSE_ADDRESS 4
#define IPV6_ONLY         1

/* Sockets of `listen`; see engine_listen.c. */
#define CONFIGURED      "listen "
#define CONFIGURED_SLOT "slot "

static int64_t number(const json_t *msg, const char *key, int64_t otherwise)
{
    const json_t *v = json_object_get(msg, key);

    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

/* An abstract name arrives behind the worker's folder: from the NUL on it is the name. */
static int want_unix(struct wanted *d, json_t *msg)
{
    const json_t *address = json_object_get(msg, "address");
    const char *text = json_string_value(address), *nul;
    size_t len = json_string_length(address);
    unsigned mode = 0;

    if (!text)
        return -EINVAL;
    nul = memchr(text, '\0', len);
    if (nul) {
        size_t rest = len - (size_t)(nul - text) - 1;

        if (!rest || memchr(nul + 1, '\0', rest))
            return -EINVAL;
        buf_putc(&d->path, '@');
        buf_append(&d->path, nul + 1, rest);
    } else {
        if (*text != '/')
            return -EINVAL;
        buf_append(&d->path, text, len);
    }
    if (json_is_true(json_object_get(msg, "readableAll")))
        mode |= 0444;
    if (json_is_true(json_object_get(msg, "writableAll")))
        mode |= 0222;
    d->r.kind = SOCK_UNIX;
    d->r.path = d->path.data;
    d->r.mode = mode;
    d->r.add_mode = true;
    buf_printf(&d->key, "node unix %s", d->path.data);
    return 0;
}

static int want_port(struct wanted *d, const struct worker *w, json_t *msg, const char *udp)
{
    const char *host = json_string_value(json_object_get(msg, "address"));
    int64_t port = number(msg, "port", -1), flags = number(msg, "flags", 0);
    int64_t type = number(msg, "addressType", 0);

    if (port < 0 || port > 65535)
        return -EINVAL;
    d->r.kind = udp ? SOCK_UDP : SOCK_TCP;
    d->r.port = (int)port;
    d->r.v6only = flags & IPV6_ONLY;
    d->r.host = host;
    if (udp) {
        d->r.reuse_address = flags & UDP_REUSE_ADDRESS;
        if (!host)
            d->r.host = strcmp(udp, "udp6") == 0 ? "::" : "0.0.0.0";
    }
    /* A port that the kernel chooses is one for all; each slot choosing its own would be many. */
    if (w->schedule == CLUSTER_SLOTS && !udp && port > 0) {
        d->r.reuse_port = true;
        buf_printf(&d->key, "node-slot %u ", w->instance);
    } else {
        buf_puts(&d->key, "node ");
    }
    buf_printf(&d->key, "%s %s:%lld",
               udp         ? udp
               : type == 6 ? "tcp6"
                           : "tcp4",
               host ? host : "null", (long long)port);
    if (port == 0)
        buf_printf(&d->key, ":%lld", (long long)number(msg, "index", 0));
    return 0;
}

struct match {
    const struct worker *w;
    const struct sock_request *r;
    uint64_t token; /* of `listen` */
    bool taken;     /* this slot has another socket there, which SO_REUSEPORT would only join */
};

static bool same_path(const struct sockaddr_un *have, socklen_t len, const char *path)
{
    size_t n = len - offsetof(struct sockaddr_un, sun_path);

    if (*path == '@')
        return n == strlen(path) && have->sun_path[0] == '\0' &&
               memcmp(have->sun_path + 1, path + 1, n - 1) == 0;
    return strncmp(have->sun_path, path, sizeof(have->sun_path)) == 0;
}

/* Is it bound to what is asked for? Without a host any address that stands for all will do. */
static bool same_address(int fd, const struct sock_request *r)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    } a = {0};
    socklen_t len = sizeof(a);
    struct in_addr v4;
    struct in6_addr v6;

    if (getsockname(fd, &a.any, &len) < 0)
        return false;
    if (r->kind == SOCK_UNIX)
        return a.any.sa_family == AF_UNIX && same_path(&a.un, len, r->path);
    if (a.any.sa_family == AF_INET6 && ntohs(a.v6.sin6_port) == r->port)
        return r->host
                   ? inet_pton(AF_INET6, r->host, &v6) == 1 && memcmp(&v6, &a.v6.sin6_addr, sizeof(v6)) == 0
                   : IN6_IS_ADDR_UNSPECIFIED(&a.v6.sin6_addr);
    if (a.any.sa_family == AF_INET && ntohs(a.v4.sin_port) == r->port)
        return r->host ? inet_pton(AF_INET, r->host, &v4) == 1 && v4.s_addr == a.v4.sin_addr.s_addr
                       : a.v4.sin_addr.s_addr == htonl(INADDR_ANY);
    return false;
}

static void match_one(void *arg, struct sock *s)
{
    struct match *m = arg;
    const char *key = sock_key(s);
    char slot[32];

    snprintf(slot, sizeof(slot), CONFIGURED_SLOT "%u ", m->w->instance);
    if (m->token || sock_kind(s) != m->r->kind)
        return;
    if (m->r->reuse_port && strcmp(key, m->r->key) != 0 && strncmp(key, "node-", 5) == 0 &&
        strncmp(key + 5, slot, strlen(slot)) == 0 && same_address(sock_fd(s), m->r))
        m->taken = true;
    if (strncmp(key, CONFIGURED, strlen(CONFIGURED)) != 0 && strncmp(key, slot, strlen(slot)) != 0)
        return;
    if (same_address(sock_fd(s), m->r))
        m->token = sock_token(s);
}

int wanted_init(struct wanted *d, struct worker *w, json_t *msg)
{
    struct match m = {.w = w, .r = &d->r};
    const json_t *type = json_object_get(msg, "addressType"), *data = json_object_get(msg, "data");
    const char *word = json_string_value(type);
    int64_t fd = number(msg, "fd", -1);
    int rc;

    *d = (struct wanted){.r = {.app = w->app,
                               .uid = w->uid,
                               .gid = w->gid,
                               .backlog = (int)number(msg, "backlog", 0),
                               .extra = json_is_object(data) ? (json_t *)(uintptr_t)data : NULL}};
    if (fd >= 0) {
        d->token = fd <= INT32_MAX ? w->set->hooks.given(w->set->hooks.arg, w->run, (int)fd) : 0;
        return d->token ? 0 : -EBADF;
    }
    if (word && (strcmp(word, "udp4") == 0 || strcmp(word, "udp6") == 0))
        rc = want_port(d, w, msg, word);
    else if (json_is_integer(type) && json_integer_value(type) == -1)
        rc = want_unix(d, msg);
    else if (json_is_integer(type))
        rc = want_port(d, w, msg, NULL);
    else
        rc = -EINVAL;
    if (rc < 0)
        return rc;
    d->r.key = d->key.data;
    if (d->r.kind == SOCK_UNIX || d->r.port > 0)
        sockets_each(w->set->sockets, w->app, match_one, &m);
    d->token = m.token;
    return m.taken && !m.token ? -EADDRINUSE : 0;
}

void wanted_deinit(struct wanted *d)
{
    buf_free(&d->key);
    buf_free(&d->path);
}
