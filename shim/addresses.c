#include "shim/addresses.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static void map_v4(struct in6_addr *out, const struct in_addr *in)
{
    memset(out, 0, sizeof(*out));
    out->s6_addr[10] = out->s6_addr[11] = 0xff;
    memcpy(out->s6_addr + 12, in, sizeof(*in));
}

static bool is_any(const struct place *p)
{
    struct in6_addr any4;

    map_v4(&any4, &(struct in_addr){INADDR_ANY});
    return memcmp(&p->ip, p->family == AF_INET ? &any4 : &in6addr_any, sizeof(p->ip)) == 0;
}

bool place_of(const struct sockaddr *sa, socklen_t len, struct place *out)
{
    /* Copied, as what a program passes need not be aligned for its type. */
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    *out = (struct place){0};
    if (!sa || len < sizeof(sa->sa_family))
        return false;
    memcpy(&in.sin_family, sa, sizeof(in.sin_family));
    out->family = in.sin_family;
    if (out->family == AF_INET && len >= sizeof(in)) {
        memcpy(&in, sa, sizeof(in));
        map_v4(&out->ip, &in.sin_addr);
        out->port = ntohs(in.sin_port);
    } else if (out->family == AF_INET6 && len >= sizeof(in6)) {
        memcpy(&in6, sa, sizeof(in6));
        out->ip = in6.sin6_addr;
        out->port = ntohs(in6.sin6_port);
    } else {
        return false;
    }
    out->any = is_any(out);
    return true;
}

bool place_parse(const char *text, const char *end, struct place *out)
{
    const char *colon = memrchr(text, ':', (size_t)(end - text)), *ip_end = colon;
    char ip[INET6_ADDRSTRLEN], *zone, *rest;
    struct in_addr v4;

    *out = (struct place){.family = AF_INET};
    if (!colon || colon == text)
        return false;
    if (*text == '[' && colon[-1] == ']') {
        out->family = AF_INET6;
        text++;
        ip_end--;
    }
    if ((size_t)(ip_end - text) >= sizeof(ip))
        return false;
    memcpy(ip, text, (size_t)(ip_end - text));
    ip[ip_end - text] = '\0';
    zone = strchr(ip, '%');
    if (zone)
        *zone = '\0';
    if (out->family == AF_INET6 && inet_pton(AF_INET6, ip, &out->ip) != 1)
        return false;
    if (out->family == AF_INET && inet_pton(AF_INET, ip, &v4) != 1)
        return false;
    if (out->family == AF_INET)
        map_v4(&out->ip, &v4);
    out->any = is_any(out);
    out->port = (int)strtol(colon + 1, &rest, 10);
    return rest == end && rest != colon + 1 && out->port > 0 && out->port <= 65535;
}

static bool serves_v4(const struct place *p)
{
    return p->family == AF_INET || (p->any && !p->v6only) || IN6_IS_ADDR_V4MAPPED(&p->ip);
}

static bool serves_v6(const struct place *p)
{
    return p->family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&p->ip);
}

enum match place_match(const struct place *given, const struct place *wanted)
{
    if (given->port != wanted->port)
        return MATCH_NONE;
    if (memcmp(&given->ip, &wanted->ip, sizeof(given->ip)) == 0 && given->any == wanted->any &&
        (!given->any || given->v6only == wanted->v6only))
        return MATCH_EXACT;
    if (!given->any && !wanted->any)
        return MATCH_NONE;
    /* Who asks for IPv6 alone will bind IPv4 apart from it: that is not to be taken by the first. */
    if (wanted->any && wanted->v6only && serves_v4(given))
        return MATCH_NONE;
    if ((serves_v4(given) && serves_v4(wanted)) || (serves_v6(given) && serves_v6(wanted)))
        return MATCH_LOOSE;
    return MATCH_NONE;
}
