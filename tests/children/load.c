// load [options] HOST:PORT | PORT | unix:PATH: an HTTP/1.1 client that counts what fails, and how.
//
//   -c N        connections (10)             -k        keep-alive (else a connection per request)
//   -d SECONDS  how long (else until SIGTERM, or until standard input ends)
//   -r RATE     requests a second at most, over all connections      -t MS  limit for one request (10000)
//   -p PATH     path of the request (/)      -a        any body (else words of letters and digits are wanted)
//
// A line on standard input asks for the counters so far, one line of JSON; the same comes at the end, when
// what was under way has been answered. The different bodies are counted, so that a server which answers "PID
// VERSION" shows who served.
//
// With keep-alive, the end of an idle connection is the server's right and no failure; a reset or an end
// after a byte of a request was sent is one. Exit code: 0 when nothing failed, 1 when something did, 2 for
// wrong usage.
#include "load_count.h"
#include "load_http.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 4096, MAX_ANSWER = 64 * 1024 };
enum { ID_STDIN = MAX_CONNECTIONS, ID_SIGNAL };

// IDLE: waits for its turn, open or not. PAUSED: tries again at `due_ns`, after a failure or a full backlog.
enum state { IDLE, PAUSED, CONNECTING, WAITING };

struct conn {
    int fd;
    enum state state;
    bool begun; // PAUSED: within a request, whose clock runs
    uint64_t started_ns, due_ns;
    unsigned answered; // on this connection
    size_t len;
    char *buf;
};

static struct {
    int connections;
    bool keepalive, any_body;
    double seconds, rate;
    uint64_t timeout_ns;
    const char *path;
    struct sockaddr_storage addr;
    socklen_t addr_len;
    char request[512];
    size_t request_len;
} opt = {.connections = 10, .path = "/", .timeout_ns = 10000000000};

static struct conn conns[MAX_CONNECTIONS];
static int idle_ring[MAX_CONNECTIONS], idle_first, idle_count, paused, under_way;
static int epfd;
static uint64_t end_ns;
static bool stopping;

// ---- one connection

// What a test can print: when, which, and how far the request had come.
static void note_failure(const struct conn *c, enum failure kind, const char *detail)
{
    counters.failures[kind]++;
    if (counters.n_notes == MAX_NOTES)
        return;
    char text[256];
    uint64_t now = now_ns();
    snprintf(text, sizeof(text),
             "%.3f s: %s after %.1f ms: connection %d, request %u on it, %zu bytes of answer: %s",
             (double)(now - begin_ns) / 1e9, failure_names[kind], (double)(now - c->started_ns) / 1e6,
             (int)(c - conns), c->answered + 1, c->len, detail);
    counters.notes[counters.n_notes++] = strdup(text);
}

static void set_idle(struct conn *c)
{
    c->state = IDLE;
    c->begun = false;
    idle_ring[(idle_first + idle_count++) % MAX_CONNECTIONS] = (int)(c - conns);
}

static void set_paused(struct conn *c, bool begun, uint64_t ns)
{
    c->state = PAUSED;
    c->begun = begun;
    c->due_ns = now_ns() + ns;
    paused++;
}

static void close_conn(struct conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->answered = 0;
    c->len = 0;
}

// Ends the request as a failure. A server that refuses must not make this a loop.
static void fail(struct conn *c, enum failure kind, const char *detail)
{
    note_failure(c, kind, detail);
    close_conn(c);
    under_way--;
    set_paused(c, false, 5000000);
}

static void fail_errno(struct conn *c, int err)
{
    enum failure kind = err == ECONNREFUSED || (err == ENOENT && c->state == CONNECTING) ? FAIL_REFUSED
                        : err == ETIMEDOUT                                               ? FAIL_TIMEOUT
                        : c->state == CONNECTING                                         ? FAIL_CONNECT
                                                                                         : FAIL_RESET;
    fail(c, kind, strerror(err));
}

static void open_conn(struct conn *c)
{
    c->fd = socket(opt.addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    c->state = CONNECTING;
    if (c->fd < 0) {
        fail_errno(c, errno);
        return;
    }
    int one = 1;
    if (opt.addr.ss_family != AF_UNIX)
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    int rc = connect(c->fd, (struct sockaddr *)&opt.addr, opt.addr_len);
    if (rc != 0 && errno == EAGAIN) { // the backlog of a unix socket is full: a blocking client would wait
        close_conn(c);
        set_paused(c, true, 1000000);
        return;
    }
    if (rc != 0 && errno != EINPROGRESS) {
        fail_errno(c, errno);
        return;
    }
    counters.connects++;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                             .data.u32 = (uint32_t)(c - conns)};
    epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &ev);
}

static void send_request(struct conn *c)
{
    c->len = 0;
    ssize_t n = send(c->fd, opt.request, opt.request_len, MSG_NOSIGNAL);
    if (n < 0 && c->answered > 0) { // nothing of the request was sent
        counters.idle_ends++;
        close_conn(c);
        open_conn(c);
        return;
    }
    c->state = WAITING;
    if (n < 0)
        fail_errno(c, errno);
    else if ((size_t)n < opt.request_len)
        fail(c, FAIL_BAD, "the request did not fit into the socket");
}

static void begin_request(struct conn *c)
{
    c->started_ns = now_ns();
    counters.started++;
    under_way++;
    if (c->fd >= 0) {
        char byte;
        ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        if (n > 0) {
            fail(c, FAIL_BAD, "bytes that nobody asked for");
            return;
        }
        if (n < 0 && errno == EAGAIN) {
            send_request(c);
            return;
        }
        counters.idle_ends++;
        close_conn(c);
    }
    open_conn(c);
}

// The body must look like the answer of a test server: torn or mixed answers would not.
static bool good_body(const char *text)
{
    for (; *text != '\0'; text++) {
        if (!isalnum((unsigned char)*text) && strchr(" .:_-", *text) == NULL)
            return false;
    }
    return true;
}

static void answered(struct conn *c, struct answer *a)
{
    size_t end = strcspn(a->body, "\r\n");
    a->body[end] = '\0';
    if (a->status != 200) {
        fail(c, FAIL_STATUS, a->body);
        return;
    }
    if (!opt.any_body && (a->body_len == 0 || !good_body(a->body))) {
        fail(c, FAIL_BODY, a->body);
        return;
    }
    uint64_t now = now_ns(), took = now - c->started_ns;
    counters.ok++;
    counters.latency[bucket_of(took / 1000)]++;
    if (took > counters.longest_ns)
        counters.longest_ns = took;
    if (now - counters.last_ok_ns > counters.gap_ns)
        counters.gap_ns = now - counters.last_ok_ns;
    counters.last_ok_ns = now;
    count_body(opt.any_body ? "" : a->body);
    c->answered++;
    c->len = 0;
    under_way--;
    if (opt.keepalive && a->close)
        counters.asked_to_close++;
    if (a->close || !opt.keepalive)
        close_conn(c);
    set_idle(c);
}

static void read_answer(struct conn *c)
{
    if (c->buf == NULL)
        c->buf = malloc(MAX_ANSWER + 1);
    for (;;) {
        ssize_t n = recv(c->fd, c->buf + c->len, MAX_ANSWER - c->len, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            fail_errno(c, errno);
            return;
        }
        c->len += (size_t)n;
        c->buf[c->len] = '\0';
        struct answer a;
        switch (answer_parse(c->buf, c->len, n == 0, &a)) {
        case ANSWER_WHOLE:
            answered(c, &a);
            return;
        case ANSWER_BAD:
            fail(c, FAIL_BAD, a.wrong);
            return;
        case ANSWER_PARTIAL:
            if (n == 0) {
                fail(c, FAIL_EOF, "the connection ended");
                return;
            }
            if (c->len == MAX_ANSWER) {
                fail(c, FAIL_BAD, "the answer is too long");
                return;
            }
        }
    }
}

static void on_event(struct conn *c, uint32_t events)
{
    if (c->fd < 0)
        return;
    if (c->state == CONNECTING) {
        int err = 0;
        socklen_t len = sizeof(err);
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
        if (err != 0)
            fail_errno(c, err);
        else if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
            send_request(c);
    } else if (c->state == WAITING) {
        if (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
            read_answer(c);
    } else if (events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP)) {
        counters.idle_ends++;
        close_conn(c); // it stays in the ring, and opens a new one at its turn
    }
}

// ---- all of them

static void start_due(void)
{
    uint64_t allowed = UINT64_MAX;
    if (opt.rate > 0)
        allowed = (uint64_t)((double)(now_ns() - begin_ns) / 1e9 * opt.rate) + 1;
    while (!stopping && idle_count > 0 && counters.started < allowed) {
        struct conn *c = &conns[idle_ring[idle_first]];
        idle_first = (idle_first + 1) % MAX_CONNECTIONS;
        idle_count--;
        begin_request(c);
    }
}

static void wake_paused(uint64_t now)
{
    for (int i = 0; paused > 0 && i < opt.connections; i++) {
        struct conn *c = &conns[i];
        if (c->state != PAUSED || c->due_ns > now)
            continue;
        paused--;
        if (c->begun)
            open_conn(c);
        else
            set_idle(c);
    }
}

static void expire(uint64_t now)
{
    for (int i = 0; i < opt.connections; i++) {
        struct conn *c = &conns[i];
        bool running = c->state == CONNECTING || c->state == WAITING || (c->state == PAUSED && c->begun);
        if (!running || now - c->started_ns < opt.timeout_ns)
            continue;
        if (c->state == PAUSED)
            paused--;
        fail(c, FAIL_TIMEOUT, c->state == WAITING ? "no answer" : "no connection");
    }
}

static void on_stdin(void)
{
    char buf[256];
    ssize_t n = read(0, buf, sizeof(buf));
    if (n <= 0) {
        stopping = true;
        epoll_ctl(epfd, EPOLL_CTL_DEL, 0, NULL);
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (buf[i] == '\n')
            print_counters(under_way);
    }
}

static void run(void)
{
    struct epoll_event events[256];
    uint64_t expired = begin_ns;
    while (!stopping || under_way > 0) {
        start_due();
        int wait = paused > 0 || (opt.rate > 0 && idle_count > 0) ? 1 : 50;
        int n = epoll_wait(epfd, events, 256, wait);
        for (int i = 0; i < n; i++) {
            if (events[i].data.u32 < MAX_CONNECTIONS)
                on_event(&conns[events[i].data.u32], events[i].events);
            else if (events[i].data.u32 == ID_STDIN)
                on_stdin();
            else
                stopping = true;
        }
        uint64_t now = now_ns();
        wake_paused(now);
        if (now - expired > 50000000) {
            expire(now);
            expired = now;
        }
        if (end_ns != 0 && now >= end_ns)
            stopping = true;
    }
}

// ---- start

static void die(const char *what, const char *arg)
{
    fprintf(stderr, "load: %s: %s\n", what, arg);
    exit(2);
}

static void parse_address(const char *text)
{
    if (strncmp(text, "unix:", 5) == 0) {
        struct sockaddr_un *un = (struct sockaddr_un *)&opt.addr;
        un->sun_family = AF_UNIX;
        if (strlen(text + 5) >= sizeof(un->sun_path))
            die("the path is too long", text);
        strcpy(un->sun_path, text + 5);
        opt.addr_len = sizeof(*un);
        return;
    }
    const char *colon = strrchr(text, ':');
    char host[64] = "127.0.0.1";
    int port = atoi(colon != NULL ? colon + 1 : text);
    if (colon != NULL)
        snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    struct sockaddr_in *in = (struct sockaddr_in *)&opt.addr;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&opt.addr;
    if (port <= 0 || port > 65535)
        die("not a port", text);
    if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        opt.addr_len = sizeof(*in);
    } else if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        opt.addr_len = sizeof(*in6);
    } else {
        die("not a numeric address", text);
    }
}

static void parse_options(int argc, char **argv)
{
    int o;
    while ((o = getopt(argc, argv, "c:d:r:t:p:ka")) != -1) {
        switch (o) {
        case 'c':
            opt.connections = atoi(optarg);
            break;
        case 'd':
            opt.seconds = atof(optarg);
            break;
        case 'r':
            opt.rate = atof(optarg);
            break;
        case 't':
            opt.timeout_ns = (uint64_t)atol(optarg) * 1000000;
            break;
        case 'p':
            opt.path = optarg;
            break;
        case 'k':
            opt.keepalive = true;
            break;
        case 'a':
            opt.any_body = true;
            break;
        default:
            exit(2);
        }
    }
    if (opt.connections < 1 || opt.connections > MAX_CONNECTIONS)
        die("connections must be 1 to 4096", "-c");
    if (optind != argc - 1)
        die("one address is wanted", "HOST:PORT or unix:PATH");
    parse_address(argv[optind]);
    int len = snprintf(opt.request, sizeof(opt.request),
                       "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: %s\r\n\r\n", opt.path,
                       opt.keepalive ? "keep-alive" : "close");
    if (len < 0 || (size_t)len >= sizeof(opt.request))
        die("the path is too long", opt.path);
    opt.request_len = (size_t)len;
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    epfd = epoll_create1(EPOLL_CLOEXEC);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    struct epoll_event ev = {.events = EPOLLIN, .data.u32 = ID_SIGNAL};
    epoll_ctl(epfd, EPOLL_CTL_ADD, signalfd(-1, &set, SFD_CLOEXEC), &ev);
    begin_ns = counters.last_ok_ns = now_ns();
    if (opt.seconds > 0)
        end_ns = begin_ns + (uint64_t)(opt.seconds * 1e9);
    ev.data.u32 = ID_STDIN;
    if (end_ns == 0)
        epoll_ctl(epfd, EPOLL_CTL_ADD, 0,
                  &ev); // a file or /dev/null cannot be watched: then only a signal ends it
    for (int i = 0; i < opt.connections; i++) {
        conns[i].fd = -1;
        set_idle(&conns[i]);
    }
    run();
    print_counters(under_way);
    return failed() == 0 ? 0 : 1;
}
