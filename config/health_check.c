#include "config/health_check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/checks.h"
#include "config/options.h"
#include "config/spec.h"
#include "config/values.h"

#define HTTP    "http://"
#define HOUR_MS 3600000
#define YEAR_MS 31536000000

static int take_port(const char *text, int *port, struct err *e)
{
    int64_t n;

    if (!*text || strspn(text, "0123456789") != strlen(text) || !value_int(text, &n) || n < 1 || n > 65535)
        return err_set(e, -EINVAL, "\"%.20s\" is no port from 1 to 65535", text);
    *port = (int)n;
    return 0;
}

/* Names would have to be looked up, and the answer may take as long as a dead name server wishes. */
static int take_host(const char *text, struct health_address *out, struct err *e)
{
    unsigned char bytes[sizeof(struct in6_addr)];

    if (strcmp(text, "localhost") == 0)
        text = "127.0.0.1";
    if (strlen(text) >= sizeof(out->host) ||
        (inet_pton(AF_INET, text, bytes) != 1 && inet_pton(AF_INET6, text, bytes) != 1))
        return err_set(e, -EINVAL, "\"%.60s\" is neither localhost nor a numeric address", text);
    strcpy(out->host, text);
    return 0;
}

/* "127.0.0.1:80", "[::1]:80", "localhost:80", "80"; without a port `port` stays as it is. */
static int take_authority(const char *text, bool port_alone, struct health_address *out, struct err *e)
{
    _cleanup_free_ char *copy = xstrdup(text);
    char *host = copy, *port;

    if (port_alone && *text && strspn(text, "0123456789") == strlen(text)) {
        strcpy(out->host, "127.0.0.1");
        return take_port(text, &out->port, e);
    }
    if (*host == '[') {
        char *end = strchr(++host, ']');

        if (!end || (end[1] && end[1] != ':'))
            return err_set(e, -EINVAL, "an IPv6 address is written [::1]:port, found \"%.60s\"", text);
        *end = '\0';
        port = end[1] ? end + 2 : NULL;
    } else {
        port = strchr(host, ':');
        if (port && strchr(port + 1, ':'))
            return err_set(e, -EINVAL, "put an IPv6 address into brackets, as in [::1]:3000");
        if (port)
            *port++ = '\0';
    }
    if (port && take_port(port, &out->port, e) < 0)
        return -EINVAL;
    return take_host(host, out, e);
}

/* It stands in the first line of the request. */
static int take_path(const char *text, struct health_address *out, struct err *e)
{
    if (strlen(text) > HEALTH_URL_PATH_MAX)
        return err_set(e, -EINVAL, "the path is longer than %d bytes", HEALTH_URL_PATH_MAX);
    for (const char *p = text; *p; p++)
        if (*p <= ' ' || *p == 0x7f || (*p & 0x80))
            return err_set(e, -EINVAL,
                           "the path has a blank or another character that must be written as %%XX");
    strcpy(out->url_path, *text ? text : "/");
    out->url_path[strcspn(out->url_path, "#")] = '\0';
    return 0;
}

static int parse_http(const char *text, struct health_address *out, struct err *e)
{
    _cleanup_free_ char *authority = NULL;
    size_t len;

    if (text[0] == '/')
        return take_path(text, out, e);
    if (strncasecmp(text, "https://", 8) == 0)
        return err_set(
            e, -EINVAL,
            "https is not spoken here; check a plain http address, or use exec with a client such as "
            "curl");
    if (strncasecmp(text, HTTP, strlen(HTTP)) != 0)
        return err_set(e, -EINVAL, "expected http://address:port/path or /path, found \"%.60s\"", text);
    text += strlen(HTTP);
    len = strcspn(text, "/?#");
    authority = xstrndup(text, len);
    if (strchr(authority, '@'))
        return err_set(e, -EINVAL, "a user in the URL is not sent; use exec with a client such as curl");
    if (text[len] == '?' || text[len] == '#')
        return err_set(e, -EINVAL, "expected a path after the address, as in http://127.0.0.1:80/?x");
    out->port = 80;
    if (take_authority(authority, false, out, e) < 0)
        return -EINVAL;
    return take_path(text + len, out, e);
}

static int parse_tcp(const char *text, struct health_address *out, struct err *e)
{
    if (take_authority(text, true, out, e) < 0)
        return -EINVAL;
    return out->port ? 0 : err_set(e, -EINVAL, "expected host:port, found \"%.60s\"", text);
}

static int check_http(const char *text, struct err *e)
{
    struct health_address scratch = {0};

    return parse_http(text, &scratch, e);
}

static int check_tcp(const char *text, struct err *e)
{
    struct health_address scratch = {0};

    return parse_tcp(text, &scratch, e);
}

/* An address to listen on as one to connect to. */
static int from_listen(const struct listen_options *l, struct health_address *out, struct err *e)
{
    if (l->kind == LISTEN_UDP)
        return err_set(e, -EINVAL, "http: the app's first listening socket is a UDP one; give a whole URL");
    if (l->kind == LISTEN_UNIX) {
        out->host[0] = '\0';
        strcpy(out->unix_path, l->path && strlen(l->path) <= LISTEN_PATH_MAX ? l->path : "");
        return 0;
    }
    if (!l->port)
        return err_set(e, -EINVAL, "http: the app listens on any free port; give listen a port");
    strcpy(out->host, l->host);
    if (!*l->host || strcmp(l->host, "0.0.0.0") == 0)
        strcpy(out->host, "127.0.0.1");
    else if (strcmp(l->host, "::") == 0)
        strcpy(out->host, "::1");
    out->port = l->port;
    return 0;
}

bool health_check_is_set(const struct app_spec *s)
{
    const struct health_check_options *h = &s->health_check;

    return h->http || h->tcp || h->exec;
}

int health_address(const struct app_spec *s, struct health_address *out, struct err *e)
{
    const struct health_check_options *h = &s->health_check;

    *out = (struct health_address){0};
    if (h->tcp)
        return parse_tcp(h->tcp, out, e);
    if (parse_http(h->http, out, e) < 0)
        return -EINVAL;
    if (h->http[0] != '/')
        return 0;
    if (s->listen.n)
        return from_listen(&s->listen.v[0], out, e);
    strcpy(out->host, "127.0.0.1");
    if (!env_get(s->env, "PORT") && (!s->increment_var || strcmp(s->increment_var, "PORT") != 0))
        return err_set(e, -EINVAL,
                       "http: a path alone needs \"port\", PORT in env or \"listen\"; or give a whole URL");
    return 0;
}

int health_check_app(const struct app_spec *s, struct err *e)
{
    const struct health_check_options *h = &s->health_check;
    struct health_address scratch;
    int n = (h->http != NULL) + (h->tcp != NULL) + (h->exec != NULL), r = 0;

    if (n > 1)
        r = err_set(e, -EINVAL, "has more than one kind of check; give one of http, tcp and exec");
    else if (n == 1 && !h->exec)
        r = health_address(s, &scratch, e);
    if (r < 0)
        err_wrap(e, "health_check");
    return r;
}

#define IN(member)        .offset = offsetof(struct health_check_options, member)
#define TEXT(t, member)   .type = (t), .store = STORE_STRING, IN(member)
#define NUMBER(t, member) .type = (t), .store = STORE_INT, IN(member)

static const struct option_row rows[] = {
    {.name = "http",
     TEXT(OPT_STRING, http),
     .check = check_http,
     .help =
         "URL that must answer 2xx or 3xx: http://, localhost or a numeric address; or a path alone, on the "
         "app's first listen socket or its PORT."},
    {.name = "tcp",
     TEXT(OPT_ADDRESS, tcp),
     .check = check_tcp,
     .help = "Address that must accept a connection: a port, or host:port with a numeric host."},
    {.name = "exec",
     TEXT(OPT_STRING, exec),
     .check = check_word,
     .help =
         "Command for sh, run as the app's user in its cwd with its environment; exit code 0 is healthy."},
    {.name = "interval",
     NUMBER(OPT_DURATION, interval),
     .unit = "ms",
     .min = 100,
     .max = HOUR_MS * 24,
     .def = 10000,
     .help = "Time from one check to the next."},
    {.name = "timeout",
     NUMBER(OPT_DURATION, timeout),
     .unit = "ms",
     .min = 10,
     .max = HOUR_MS,
     .def = 5000,
     .help = "A check that takes longer has failed."},
    {.name = "retries",
     NUMBER(OPT_INT, retries),
     .min = 1,
     .max = 1000,
     .def = 3,
     .help = "Failures in a row after which the process is unhealthy and restarted."},
    {.name = "start_period",
     NUMBER(OPT_DURATION, start_period),
     .unit = "ms",
     .max = YEAR_MS,
     .def = 30000,
     .help =
         "Time that a new process has to become healthy (listen_timeout, if that is longer); failures until "
         "then do not count."},
};

const struct option_group health_check_group = {.rows = rows, .n = ARRAY_LEN(rows), .shorthand = "http"};
