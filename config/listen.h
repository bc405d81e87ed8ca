/*
 * `listen`: the sockets that an app gets from the daemon, already bound and listening. The list's order is
 * that of the descriptors: the first entry is descriptor 3 of each child, the next one 4, and so on.
 */
#ifndef PM_CONFIG_LISTEN_H
#define PM_CONFIG_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct option_group;

#define LISTEN_FD_FIRST 3   /* descriptor of the first socket, by the convention of LISTEN_FDS */
#define LISTEN_HOST_MAX 46  /* bytes of a numeric address with its NUL, INET6_ADDRSTRLEN */
#define LISTEN_PATH_MAX 107 /* bytes of a socket's path */

enum listen_kind { LISTEN_TCP, LISTEN_UDP, LISTEN_UNIX };

struct listen_options {
    char *name; /* never NULL once the list is read, unique in it */

    /* As given; exactly one of them is not NULL. */
    char *tcp, *tcp6, *udp;
    char *path; /* of `unix`; absolute once the app is resolved */

    int64_t mode;        /* of the socket's file; 0 = as the umask leaves it */
    char *owner, *group; /* of the socket's file, name or number; NULL = the app's */
    int64_t backlog;
    bool adopt; /* for a program that knows nothing of LISTEN_FDS: a preloaded shim hands it the socket */
    bool slots; /* a socket for each instance, with a queue of its own (SO_REUSEPORT) */

    /* Follows from the address. */
    enum listen_kind kind;
    char host[LISTEN_HOST_MAX]; /* numeric; empty = all addresses, IPv4 and IPv6. Not for LISTEN_UNIX */
    int port;                   /* 0 = any free one, which is kept as long as the socket lives */
    bool v6only;
};

/* Has the shape of struct option_list (option_fields.h). */
struct listen_list {
    struct listen_options *v;
    unsigned n;
};

extern const struct option_group listen_group; /* the rows of one entry */

/* Number of the entry with this name, or -1. */
int listen_index(const struct listen_list *l, const char *name);

/* Paths relative to the app's folder become absolute: 0, or -EINVAL when one is too long then. Private to
 * config/, as is the next one. */
int listen_resolve(struct listen_list *l, const char *cwd, char *const *env, struct err *e);

#endif
