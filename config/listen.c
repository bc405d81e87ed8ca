#include "config/listen.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "config/checks.h"
#include "config/options.h"
#include "config/path.h"
#include "config/values.h"

#define NAME_MAX_BYTES 255 /* by the convention of LISTEN_FDNAMES */

static_assert(LISTEN_HOST_MAX == INET6_ADDRSTRLEN, "an address must fit");
static_assert(offsetof(struct listen_list, n) == sizeof(void *), "the shape of struct option_list");

/* An address without its port. */
static int parse_host(const char *text, bool brackets, struct listen_options *out, struct err *e)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    bool only6 = out->v6only;

    if (!*text || strcmp(text, "*") == 0) {
        strcpy(out->host, only6 ? "::" : "");
        return 0;
    }
    if (strcmp(text, "localhost") == 0) {
        strcpy(out->host, only6 ? "::1" : "127.0.0.1");
        return 0;
    }
    if (brackets && inet_pton(AF_INET6, text, bytes) == 1) {
        inet_ntop(AF_INET6, bytes, out->host, sizeof(out->host));
        return 0;
    }
    if (!brackets && inet_pton(AF_INET, text, bytes) == 1) {
        if (only6)
            return err_set(e, -EINVAL, "\"%.60s\" is an IPv4 address; use tcp for it", text);
        inet_ntop(AF_INET, bytes, out->host, sizeof(out->host));
        return 0;
    }
    return err_set(e, -EINVAL, "\"%.60s\" is no %s address; give it as number, localhost, or * for all", text,
                   brackets ? "IPv6" : "IP");
}

static int parse_port(const char *text, int *port, struct err *e)
{
    int64_t n;

    if (!*text || strspn(text, "0123456789") != strlen(text) || !value_int(text, &n))
        return err_set(e, -EINVAL, "expected a port or host:port, found \"%.60s\"", text);
    if (n > 65535)
        return err_set(e, -EINVAL, "port %.60s is over 65535", text);
    *port = (int)n;
    return 0;
}

/* "3000", ":3000", "127.0.0.1:3000", "[::1]:3000", "localhost:3000", "*:3000". out->v6only is set before. */
static int parse_inet(const char *text, struct listen_options *out, struct err *e)
{
    _cleanup_free_ char *copy = xstrdup(text);
    char *colon = strrchr(copy, ':'), *host = copy, *port = copy;
    bool brackets = copy[0] == '[' && colon && colon > copy && colon[-1] == ']';
    int r;

    if (copy[0] == '[' && !brackets)
        return err_set(e, -EINVAL, "expected a port after the address, as in [::1]:3000, found \"%.60s\"",
                       text);
    if (!colon) {
        host = "";
    } else {
        *colon = '\0';
        port = colon + 1;
        if (brackets) {
            colon[-1] = '\0';
            host++;
        } else if (strchr(copy, ':')) {
            return err_set(e, -EINVAL, "put an IPv6 address into brackets, as in [::1]:3000");
        }
    }
    r = parse_port(port, &out->port, e);
    return r < 0 ? r : parse_host(host, brackets, out, e);
}

static int check_inet(const char *text, struct err *e)
{
    struct listen_options scratch = {0};

    return parse_inet(text, &scratch, e);
}

static int check_inet6(const char *text, struct err *e)
{
    struct listen_options scratch = {.v6only = true};

    return parse_inet(text, &scratch, e);
}

static int check_path(const char *text, struct err *e)
{
    if (text[0] == '@')
        return err_set(e, -EINVAL, "abstract sockets have no path and no rights; give a path");
    if (text[0] == '/' && strlen(text) > LISTEN_PATH_MAX)
        return err_set(e, -EINVAL, "is %zu bytes long, a socket's path has at most %d", strlen(text),
                       LISTEN_PATH_MAX);
    return check_word(text, e);
}

/* It stands in LISTEN_FDNAMES between colons, and in {listen.NAME}. */
static int check_name(const char *text, struct err *e)
{
    if (!*text)
        return err_set(e, -EINVAL, "must not be empty");
    if (strlen(text) > NAME_MAX_BYTES)
        return err_set(e, -EINVAL, "is longer than %d bytes", NAME_MAX_BYTES);
    for (const char *p = text; *p; p++)
        if (!isascii((unsigned char)*p) || (!isalnum((unsigned char)*p) && !strchr("._-", *p)))
            return err_set(e, -EINVAL, "may have letters, digits, \".\", \"_\" and \"-\" only");
    return 0;
}

static void put(char **field, const char *text)
{
    free(*field);
    *field = xstrdup(text);
}

/* The protocol before the address, or none for TCP. */
static int from_text(void *entry, const char *text, struct err *e)
{
    struct listen_options *o = entry;
    const struct {
        const char *prefix;
        char **field;
        int (*check)(const char *text, struct err *e);
    } kinds[] = {{"unix:", &o->path, check_path},
                 {"udp:", &o->udp, check_inet},
                 {"tcp6:", &o->tcp6, check_inet6},
                 {"tcp:", &o->tcp, check_inet}};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t len = strlen(kinds[i].prefix);

        if (strncmp(text, kinds[i].prefix, len) != 0)
            continue;
        put(kinds[i].field, text + len);
        return kinds[i].check(text + len, e);
    }
    if (text[0] == '/')
        return err_set(e, -EINVAL, "a unix socket is written unix:%.200s", text);
    put(&o->tcp, text);
    return check_inet(text, e);
}

static int derive(struct listen_options *o, struct err *e)
{
    const char *inet = o->tcp ? o->tcp : o->tcp6 ? o->tcp6 : o->udp;
    int n = (o->tcp != NULL) + (o->tcp6 != NULL) + (o->udp != NULL) + (o->path != NULL);

    if (n != 1)
        return err_set(e, -EINVAL,
                       n ? "has more than one address; each entry has one of tcp, tcp6, unix and udp"
                         : "has no address; give one of tcp, tcp6, unix and udp");
    o->kind = o->path ? LISTEN_UNIX : o->udp ? LISTEN_UDP : LISTEN_TCP;
    o->v6only = o->tcp6 != NULL;
    o->host[0] = '\0';
    o->port = 0;
    if (o->path && o->slots)
        return err_set(e, -EINVAL, "slots: a path has one socket; slots is for tcp and udp");
    if (!o->path && (o->mode || o->owner || o->group))
        return err_set(e, -EINVAL, "%s: only the file of a unix socket has it",
                       o->mode    ? "mode"
                       : o->owner ? "owner"
                                  : "group");
    if (o->adopt && o->kind != LISTEN_TCP)
        return err_set(e, -EINVAL, "adopt: only TCP sockets can be adopted");
    if (!inet)
        return check_path(o->path, e);
    if (parse_inet(inet, o, e) < 0)
        return -EINVAL;
    if (o->adopt && !o->port)
        return err_set(e, -EINVAL, "adopt: needs the port that the program listens on, not 0");
    return 0;
}

static bool same_address(const struct listen_options *a, const struct listen_options *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == LISTEN_UNIX)
        return strcmp(a->path, b->path) == 0;
    return a->port && a->port == b->port && a->v6only == b->v6only && strcmp(a->host, b->host) == 0;
}

static bool name_is_used(const struct listen_options *v, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++)
        if (v[i].name && strcmp(v[i].name, name) == 0)
            return true;
    return false;
}

/* The port, where no other entry is called so, else the number in the list. */
static void default_name(struct listen_options *v, unsigned n, unsigned i)
{
    char *name = v[i].port ? xasprintf("%d", v[i].port) : NULL;

    if (!name || name_is_used(v, n, name)) {
        free(name);
        name = xasprintf("listen%u", i);
    }
    v[i].name = name;
}

static int complete(void *entries, unsigned n, unsigned *at, struct err *e)
{
    struct listen_options *v = entries;
    unsigned i, k;
    int r = 0;

    for (i = 0; i < n && r == 0; i++) {
        *at = i;
        r = derive(&v[i], e);
        for (k = 0; k < i && r == 0; k++)
            if (same_address(&v[k], &v[i]))
                r = err_set(e, -EINVAL, "is the same address as listen[%u]", k);
    }
    for (i = 0; i < n && r == 0; i++)
        if (!v[i].name)
            default_name(v, n, i);
    for (i = 0; i < n && r == 0; i++) {
        *at = i;
        if (name_is_used(v, i, v[i].name))
            r = err_set(e, -EINVAL, "the name \"%.60s\" is used by another entry", v[i].name);
    }
    return r;
}

int listen_index(const struct listen_list *l, const char *name)
{
    for (unsigned i = 0; i < l->n; i++)
        if (strcmp(l->v[i].name, name) == 0)
            return (int)i;
    return -1;
}

int listen_resolve(struct listen_list *l, const char *cwd, char *const *env, struct err *e)
{
    unsigned at = 0;
    int r;

    for (unsigned i = 0; i < l->n; i++) {
        _cleanup_free_ char *expanded = l->v[i].path ? path_expand_home(env, l->v[i].path) : NULL;

        if (!expanded)
            continue;
        free(l->v[i].path);
        l->v[i].path = fs_absolute(cwd, expanded);
    }
    r = complete(l->v, l->n, &at, e); /* two ways to write one path */
    if (r < 0)
        err_wrap(e, "listen[%u]", at);
    return r;
}

#define IN(member)        .offset = offsetof(struct listen_options, member)
#define TEXT(t, member)   .type = (t), .store = STORE_STRING, IN(member)
#define NUMBER(t, member) .type = (t), .store = STORE_INT, IN(member)
#define BOOL(member)      .type = OPT_BOOL, .store = STORE_BOOL, IN(member), .max = 1

static const struct option_row rows[] = {
    {.name = "name",
     TEXT(OPT_STRING, name),
     .check = check_name,
     .help = "Name in LISTEN_FDNAMES and {listen.NAME}; by default the port, else listen and the number "
             "in the list from 0."},
    {.name = "tcp",
     TEXT(OPT_ADDRESS, tcp),
     .check = check_inet,
     .help = "TCP address; a port alone is all addresses of IPv4 and IPv6, port 0 any free one."},
    {.name = "tcp6", TEXT(OPT_ADDRESS, tcp6), .check = check_inet6, .help = "The same for IPv6 alone."},
    {.name = "unix",
     TEXT(OPT_PATH, path),
     .check = check_path,
     .help = "Path of a unix socket; relative to cwd."},
    {.name = "udp", TEXT(OPT_ADDRESS, udp), .check = check_inet, .help = "UDP address, as tcp."},
    {.name = "mode",
     NUMBER(OPT_MODE, mode),
     .max = 0777,
     .help = "Permissions of the unix socket's file, with a leading 0; in JSON and JavaScript in quotes. By "
             "default as the umask leaves them."},
    {.name = "owner",
     TEXT(OPT_USER, owner),
     .check = check_word,
     .help = "Owner of the unix socket's file; by default the app's user."},
    {.name = "group",
     TEXT(OPT_USER, group),
     .check = check_word,
     .help = "Group of the unix socket's file; by default the app's group."},
    {.name = "backlog",
     NUMBER(OPT_INT, backlog),
     .min = 1,
     .max = 65535,
     .def = 511,
     .help = "Connections that may wait to be accepted; the kernel's net.core.somaxconn bounds it too."},
    {.name = "adopt",
     BOOL(adopt),
     .help = "For programs that do not know LISTEN_FDS: a preloaded shim gives them the socket when they "
             "listen on its address themselves. TCP only."},
    {.name = "slots",
     BOOL(slots),
     .help = "A socket for each instance instead of one for all: the kernel spreads connections over them."},
};

const struct option_group listen_group = {
    .rows = rows,
    .n = ARRAY_LEN(rows),
    .size = sizeof(struct listen_options),
    .from_text = from_text,
    .text_expected = "a port, host:port, unix:/path, udp:host:port",
    .complete = complete,
};
