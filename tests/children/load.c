/* load [-c CONNECTIONS] [-m close|keepalive] [-d SECONDS] [-r REQUESTS-PER-SECOND] [-p PATH] [-t TIMEOUT]
 * HOST:PORT|unix:PATH
 *
 * Sends HTTP/1.1 GETs and counts what fails. Ends after SECONDS, at SIGTERM or SIGINT, or (without -d) when
 * stdin closes; the requests under way are waited for, and one JSON object tells the counts. Says "flowing"
 * after the first 10 answers. A line on stdin prints the counts so far.
 *
 * A connection that the server closes between two requests is no failure; one that it closes after a request
 * was sent is. */
#include "load_http.h"
#include "load_stats.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdalign.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FLOWING    10
#define PAUSE_US   2000 /* after a failure, so that a refused connection is no busy loop */
#define TICK_MS    50   /* how often time limits are looked at */
#define SOURCES    16 /* of 127.0.0.x: each has its own local ports, which last for long runs with `close` */
#define MAX_ANSWER 65535

enum conn_state {
    C_IDLE,       /* may send the next request; connected or not */
    C_PAUSED,     /* waits for `until`, then is idle */
    C_CONNECTING, /* a request waits for the connection */
    C_SENT        /* the answer is awaited */
};

struct conn {
    enum conn_state state;
    int fd; /* -1: none */
    int64_t began, until;
    unsigned asked; /* requests on this connection so far */
    size_t have;
    char in[MAX_ANSWER + 1];
};

static struct {
    int epoll, signals;
    bool keepalive, stopping, stdin_open, flowing;
    int n_conns, n_busy, n_paused, next_idle;
    int64_t began, ends, timeout;
    double rate;
    uint64_t issued;
    char request[1024];
    size_t request_len;
    struct sockaddr_storage address;
    socklen_t address_len;
    unsigned source;
    struct conn *conns;
    struct stats stats;
} load;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void give_up(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void print_counts(void)
{
    stats_print(&load.stats, load.keepalive ? "keepalive" : "close", load.n_conns,
                (double)(now_us() - load.began) / 1e6);
}

static void conn_drop(struct conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

static void conn_pause(struct conn *c)
{
    c->state = C_PAUSED;
    c->until = now_us() + PAUSE_US;
    load.n_paused++;
}

static void conn_failed(struct conn *c, enum failure kind, const char *doing)
{
    char what[120];
    snprintf(what, sizeof(what), "%s, after %lld us and %zu bytes, request %u of its connection", doing,
             (long long)(now_us() - c->began), c->have, c->asked);
    stats_failed(&load.stats, now_us() - load.began, kind, what);
    load.n_busy--;
    conn_drop(c);
    conn_pause(c);
}

static void conn_errno(struct conn *c, int error, const char *doing)
{
    char what[100];
    snprintf(what, sizeof(what), "%s: %s", doing, strerror(error));
    conn_failed(c,
                error == ECONNREFUSED                   ? F_REFUSED
                : error == ECONNRESET || error == EPIPE ? F_RESET
                : error == ETIMEDOUT                    ? F_TIMEOUT
                                                        : F_OTHER,
                what);
}

static void conn_send(struct conn *c)
{
    c->asked++;
    ssize_t n = send(c->fd, load.request, load.request_len, MSG_NOSIGNAL);
    if (n < 0)
        conn_errno(c, errno, "send");
    else if ((size_t)n < load.request_len)
        conn_failed(c, F_OTHER, "the request did not fit into the socket");
    else
        c->state = C_SENT;
}

/* A source address of the loopback for each connection in turn: closed connections keep their ports for a
 * minute. */
static void choose_source(int fd)
{
    const struct sockaddr_in *to = (const struct sockaddr_in *)&load.address;
    if (to->sin_family != AF_INET || (ntohl(to->sin_addr.s_addr) >> 24) != 127)
        return;
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(0x7f000001 + load.source++ % SOURCES)};
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0)
        give_up("bind to a loopback address");
}

static void conn_connect(struct conn *c)
{
    c->fd = socket(load.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        give_up("socket");
    if (load.address.ss_family != AF_UNIX) {
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        choose_source(c->fd);
    }
    c->state = C_CONNECTING;
    c->asked = 0;
    if (connect(c->fd, (struct sockaddr *)&load.address, load.address_len) == 0) {
        load.stats.connects++;
        conn_send(c);
    } else if (errno == EAGAIN) {
        /* A unix socket whose queue is full: there is nothing to wait for but time. The request began
         * already. */
        conn_drop(c);
        c->until = now_us() + PAUSE_US;
        return;
    } else if (errno != EINPROGRESS) {
        conn_errno(c, errno, "connect");
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    if (c->fd >= 0 && epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        give_up("epoll_ctl");
}

/* Has the server closed a connection on which nothing was asked? */
static bool closed_meanwhile(struct conn *c)
{
    char byte;
    ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK);
    return n >= 0 || errno != EAGAIN;
}

/* Begins the next request on an idle connection. */
static void conn_issue(struct conn *c)
{
    load.issued++;
    load.n_busy++;
    c->have = 0;
    c->began = now_us();
    if (c->fd >= 0 && closed_meanwhile(c)) {
        load.stats.idle_closes++;
        conn_drop(c);
    }
    if (c->fd >= 0)
        conn_send(c);
    else
        conn_connect(c);
}

static bool may_issue(int64_t now)
{
    return !load.stopping &&
           (load.rate <= 0 || (double)load.issued < (double)(now - load.began) / 1e6 * load.rate);
}

static void conn_idle(struct conn *c)
{
    c->state = C_IDLE;
    if (load.rate <= 0 && may_issue(0))
        conn_issue(c);
}

static void conn_answered(struct conn *c, const struct answer *a)
{
    if (a->status != 200) {
        char what[64];
        snprintf(what, sizeof(what), "status %d", a->status);
        conn_failed(c, F_BAD_STATUS, what);
        return;
    }
    stats_ok(&load.stats, a->body, now_us() - c->began);
    if (!load.flowing && load.stats.ok >= FLOWING) {
        load.flowing = true;
        puts("flowing");
        fflush(stdout);
    }
    load.n_busy--;
    if (!load.keepalive || a->close)
        conn_drop(c);
    conn_idle(c);
}

static void conn_read(struct conn *c)
{
    for (;;) {
        ssize_t n = recv(c->fd, c->in + c->have, MAX_ANSWER - c->have, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            conn_errno(c, errno, "recv");
            return;
        }
        c->have += (size_t)n;
        c->in[c->have] = '\0';
        struct answer a;
        switch (answer_parse(c->in, c->have, n == 0, &a)) {
        case ANSWER_WHOLE:
            conn_answered(c, &a);
            return;
        case ANSWER_BAD:
            conn_failed(c, F_BAD_STATUS, a.wrong);
            return;
        case ANSWER_PARTIAL:
            break;
        }
        if (n == 0) {
            conn_failed(c, F_EOF, "end of the connection");
            return;
        }
        if (c->have == MAX_ANSWER) {
            conn_failed(c, F_BAD_STATUS, "an answer that is too long");
            return;
        }
    }
}

static void conn_event(struct conn *c)
{
    switch (c->state) {
    case C_CONNECTING: {
        int error = 0;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)});
        if (error != 0) {
            conn_errno(c, error, "connect");
            return;
        }
        load.stats.connects++;
        conn_send(c);
        return; /* an answer comes with an event of its own */
    }
    case C_SENT:
        conn_read(c);
        return;
    case C_IDLE:
        if (c->fd >= 0 && closed_meanwhile(c)) {
            load.stats.idle_closes++;
            conn_drop(c);
        }
        return;
    case C_PAUSED:
        return;
    }
}

/* Pauses that are over, connections of full unix sockets to try again, and requests out of time. */
static void look_at_times(int64_t now)
{
    for (int i = 0; i < load.n_conns; i++) {
        struct conn *c = &load.conns[i];
        if (c->state == C_PAUSED && now >= c->until) {
            load.n_paused--;
            conn_idle(c);
        } else if ((c->state == C_CONNECTING || c->state == C_SENT) && now - c->began > load.timeout) {
            conn_failed(c, F_TIMEOUT, c->state == C_SENT ? "no answer" : "no connection");
        } else if (c->state == C_CONNECTING && c->fd < 0 && now >= c->until) {
            conn_connect(c);
        }
    }
}

/* With a rate: as many requests as are due, on the connections in turn. */
static void issue_due(int64_t now)
{
    for (int tried = 0; tried < load.n_conns && may_issue(now); tried++) {
        struct conn *c = &load.conns[load.next_idle];
        load.next_idle = (load.next_idle + 1) % load.n_conns;
        if (c->state == C_IDLE)
            conn_issue(c);
    }
}

static void stdin_event(void)
{
    char text[256];
    ssize_t n = read(STDIN_FILENO, text, sizeof(text));
    if (n <= 0) {
        epoll_ctl(load.epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
        load.stopping = true;
    }
    for (ssize_t i = 0; i < n; i++)
        if (text[i] == '\n')
            print_counts();
}

static int wait_ms(void)
{
    bool unix_full = load.address.ss_family == AF_UNIX;
    return load.rate > 0 && !load.stopping ? 1 : load.n_paused > 0 || unix_full ? PAUSE_US / 1000 : TICK_MS;
}

static void run(void)
{
    int64_t looked = now_us();
    for (int i = 0; i < load.n_conns; i++)
        conn_idle(&load.conns[i]);
    while (!load.stopping || load.n_busy > 0) {
        struct epoll_event events[256];
        int wait = wait_ms();
        int n = epoll_wait(load.epoll, events, 256, wait);
        if (n < 0 && errno != EINTR)
            give_up("epoll_wait");
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &load.signals)
                load.stopping = true;
            else if (events[i].data.ptr == &load.stdin_open)
                stdin_event();
            else
                conn_event(events[i].data.ptr);
        }
        int64_t now = now_us();
        if (load.ends > 0 && now >= load.ends)
            load.stopping = true;
        if (now - looked >= wait * 1000) {
            looked = now;
            look_at_times(now);
        }
        if (load.rate > 0)
            issue_due(now);
    }
}

/* ---- the command line */

static void parse_address(char *text)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&load.address;
    struct sockaddr_in *in = (struct sockaddr_in *)&load.address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&load.address;
    if (strncmp(text, "unix:", 5) == 0 && strlen(text + 5) < sizeof(un->sun_path)) {
        un->sun_family = AF_UNIX;
        strcpy(un->sun_path, text + 5);
        load.address_len = sizeof(*un);
        return;
    }
    char *colon = strrchr(text, ':');
    if (colon != NULL && colon > text) {
        *colon = '\0';
        in_port_t port = htons((uint16_t)atoi(colon + 1));
        if (text[0] == '[' && colon[-1] == ']') {
            colon[-1] = '\0';
            if (inet_pton(AF_INET6, text + 1, &in6->sin6_addr) == 1) {
                in6->sin6_family = AF_INET6;
                in6->sin6_port = port;
                load.address_len = sizeof(*in6);
                return;
            }
        } else if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
            in->sin_family = AF_INET;
            in->sin_port = port;
            load.address_len = sizeof(*in);
            return;
        }
    }
    fprintf(stderr, "load: %s: want IPV4:PORT, [IPV6]:PORT or unix:PATH\n", text);
    exit(2);
}

static void usage(void)
{
    fprintf(stderr,
            "usage: load [-c CONNECTIONS] [-m close|keepalive] [-d SECONDS] [-r RATE] [-p PATH] [-t TIMEOUT] "
            "HOST:PORT|unix:PATH\n");
    exit(2);
}

static void parse_arguments(int argc, char **argv)
{
    const char *path = "/";
    double seconds = 0, timeout = 10;
    load.n_conns = 8;
    for (int opt; (opt = getopt(argc, argv, "c:m:d:r:p:t:")) != -1;) {
        switch (opt) {
        case 'c':
            load.n_conns = atoi(optarg);
            break;
        case 'm':
            load.keepalive = strcmp(optarg, "keepalive") == 0;
            if (!load.keepalive && strcmp(optarg, "close") != 0)
                usage();
            break;
        case 'd':
            seconds = atof(optarg);
            break;
        case 'r':
            load.rate = atof(optarg);
            break;
        case 'p':
            path = optarg;
            break;
        case 't':
            timeout = atof(optarg);
            break;
        default:
            usage();
        }
    }
    if (optind != argc - 1 || load.n_conns < 1 || strlen(path) > 800)
        usage();
    parse_address(argv[optind]);
    load.request_len =
        (size_t)snprintf(load.request, sizeof(load.request), "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
                         path, load.keepalive ? "" : "Connection: close\r\n");
    load.timeout = (int64_t)(timeout * 1e6);
    load.began = now_us();
    load.ends = seconds > 0 ? load.began + (int64_t)(seconds * 1e6) : 0;
}

static void watch(int fd, void *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    /* EPERM: stdin is a file or /dev/null, and says nothing. */
    if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, fd, &event) != 0 && errno != EPERM)
        give_up("epoll_ctl");
}

int main(int argc, char **argv)
{
    parse_arguments(argc, argv);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    load.signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    load.conns = calloc((size_t)load.n_conns, sizeof(*load.conns));
    if (load.signals < 0 || load.epoll < 0 || load.conns == NULL)
        give_up("start");
    for (int i = 0; i < load.n_conns; i++)
        load.conns[i].fd = -1;
    watch(load.signals, &load.signals);
    if (load.ends == 0)
        watch(STDIN_FILENO, &load.stdin_open);
    run();
    print_counts();
    return 0;
}
