/* Which of the sockets that the daemon gave is the one that a program wants to bind? */
#ifndef PM_SHIM_ADDRESSES_H
#define PM_SHIM_ADDRESSES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

/* An address to listen on. IPv4 is kept as IPv6 with its prefix (::ffff:a.b.c.d), so that there is one form.
 */
struct place {
    int family; /* of the socket */
    struct in6_addr ip;
    bool any;    /* all addresses of the family */
    bool v6only; /* of a socket of AF_INET6 for all addresses */
    int port;
};

enum match { MATCH_NONE, MATCH_LOOSE, MATCH_EXACT };

/* False when it is no address of TCP. `v6only` is left false. */
bool place_of(const struct sockaddr *sa, socklen_t len, struct place *out);

/* "127.0.0.1:80" or "[::1]:80", up to `end`. */
bool place_parse(const char *text, const char *end, struct place *out);

/* Exact: the same address. Loose: one of the two is for all addresses, and they have some in common. */
enum match place_match(const struct place *given, const struct place *wanted);

#endif
