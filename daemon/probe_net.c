#include "daemon/probe.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"

#define ANSWER_MAX   65536u /* bytes that are read of an answer; what says more is left at that */
#define LINE_MAX_LEN 512u   /* of its first line */
#define REST_MS      1000u  /* how long the rest of an answer is waited for once its status is known */

struct net_probe {
    struct probe probe;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } sock;
    uv_timer_t timer;
    uv_connect_t connect;
    uv_write_t write;
    int open; /* handles */
    bool closing, http;
    char *request;
    uint32_t timeout_ms;
    int status;
    size_t seen, kept;
    char line[LINE_MAX_LEN];
    probe_done done; /* NULL once it has answered */
    void *arg;
};

int http_status(const char *text, size_t len)
{
    static const char form[] = "HTTP/d.d ddd";
    int status;

    for (size_t i = 0; i < sizeof(form) - 1; i++) {
        if (i >= len)
            return 0;
        if (form[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != form[i])
            return -1;
    }
    status = (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
    if (len == sizeof(form) - 1)
        return 0; /* the digits could go on */
    if (!strchr(" \r\n", text[12]) || status < 100 || status > 599)
        return -1;
    return status;
}

static void on_closed(uv_handle_t *h)
{
    struct net_probe *p = h->data;

    if (--p->open > 0)
        return;
    free(p->request);
    free(p);
}

static void close_all(struct net_probe *p)
{
    if (p->closing)
        return;
    p->closing = true;
    uv_close(&p->sock.handle, on_closed);
    uv_close((uv_handle_t *)&p->timer, on_closed);
}

static void answer(struct net_probe *p, bool ok, const char *words)
{
    probe_done done = p->done;

    p->done = NULL;
    close_all(p);
    if (done)
        done(p->arg, ok, words);
}

static void answer_status(struct net_probe *p)
{
    char words[32];

    snprintf(words, sizeof(words), "HTTP %d", p->status);
    answer(p, p->status >= 200 && p->status < 400, words);
}

static void fail(struct net_probe *p, const char *what, int rc)
{
    char words[128];

    snprintf(words, sizeof(words), "%s%s", what, uv_strerror(rc));
    answer(p, false, words);
}

static void on_timer(uv_timer_t *t)
{
    struct net_probe *p = t->data;
    char words[64];

    if (p->status > 0) {
        answer_status(p);
        return;
    }
    snprintf(words, sizeof(words), "no answer within %u ms", p->timeout_ms);
    answer(p, false, words);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    static char memory[4096]; /* read and looked at in one go: one for all */

    (void)h;
    (void)suggested;
    *buf = uv_buf_init(memory, sizeof(memory));
}

/* The rest of the answer is read, so that the program does not find its connection reset while it writes. */
static void take(struct net_probe *p, const char *text, size_t len)
{
    size_t room = sizeof(p->line) - p->kept, n = len < room ? len : room;

    memcpy(p->line + p->kept, text, n);
    p->kept += n;
    p->seen += len;
    if (p->status == 0) {
        p->status = http_status(p->line, p->kept);
        if (p->status < 0)
            answer(p, false, "the answer is not HTTP");
        else if (p->status > 0 && REST_MS < uv_timer_get_due_in(&p->timer))
            uv_timer_start(&p->timer, on_timer, REST_MS, 0);
    } else if (p->seen > ANSWER_MAX) {
        answer_status(p);
    }
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct net_probe *p = s->data;

    if (p->closing || n == 0)
        return;
    if (n > 0)
        take(p, buf->base, (size_t)n);
    else if (p->status > 0)
        answer_status(p);
    else if (n == UV_EOF)
        answer(p, false, "the connection was closed without an answer");
    else
        fail(p, "", (int)n);
}

static void on_written(uv_write_t *w, int rc)
{
    struct net_probe *p = w->data;

    if (rc < 0 && !p->closing && p->status <= 0)
        fail(p, "", rc);
}

static void on_connected(uv_connect_t *c, int rc)
{
    struct net_probe *p = c->data;
    uv_buf_t text;

    if (p->closing)
        return;
    if (rc < 0) {
        fail(p, "cannot connect: ", rc);
        return;
    }
    if (!p->http) {
        answer(p, true, "accepted");
        return;
    }
    text = uv_buf_init(p->request, (unsigned)strlen(p->request));
    p->write.data = p;
    rc = uv_write(&p->write, &p->sock.stream, &text, 1, on_written);
    if (rc == 0)
        rc = uv_read_start(&p->sock.stream, on_alloc, on_read);
    if (rc < 0)
        fail(p, "", rc);
}

static void on_refused(uv_timer_t *t)
{
    struct net_probe *p = t->data;

    fail(p, "cannot connect: ", p->status);
}

static void net_cancel(struct probe *probe)
{
    struct net_probe *p = (struct net_probe *)probe;

    p->done = NULL;
    close_all(p);
}

static int begin(struct net_probe *p, const struct health_address *a)
{
    struct sockaddr_storage addr;
    int rc;

    if (!*a->host) {
        uv_pipe_connect(&p->connect, &p->sock.pipe, a->unix_path, on_connected);
        return 0;
    }
    rc = strchr(a->host, ':') ? uv_ip6_addr(a->host, a->port, (struct sockaddr_in6 *)&addr)
                              : uv_ip4_addr(a->host, a->port, (struct sockaddr_in *)&addr);
    return rc < 0 ? rc
                  : uv_tcp_connect(&p->connect, &p->sock.tcp, (const struct sockaddr *)&addr, on_connected);
}

static char *request_text(const struct health_address *a, const char *path)
{
    bool v6 = strchr(a->host, ':') != NULL;

    return *a->host ? xasprintf("GET %s HTTP/1.1\r\nHost: %s%s%s:%d\r\nUser-Agent: pm-health-check\r\n"
                                "Accept: */*\r\nConnection: close\r\n\r\n",
                                path, v6 ? "[" : "", a->host, v6 ? "]" : "", a->port)
                    : xasprintf("GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: pm-health-check\r\n"
                                "Accept: */*\r\nConnection: close\r\n\r\n",
                                path);
}

struct probe *probe_net(uv_loop_t *loop, const struct health_address *a, const char *url_path,
                        uint32_t timeout_ms, probe_done done, void *arg)
{
    struct net_probe *p = xcalloc(1, sizeof(*p));
    int rc;

    p->probe.cancel = net_cancel;
    p->done = done;
    p->arg = arg;
    p->timeout_ms = timeout_ms;
    p->http = url_path != NULL;
    p->request = url_path ? request_text(a, url_path) : NULL;
    p->open = 2;
    if (*a->host)
        uv_tcp_init(loop, &p->sock.tcp);
    else
        uv_pipe_init(loop, &p->sock.pipe, 0);
    uv_timer_init(loop, &p->timer);
    p->sock.handle.data = p->timer.data = p->connect.data = p;
    uv_update_time(loop);
    uv_timer_start(&p->timer, on_timer, timeout_ms, 0);
    rc = begin(p, a);
    if (rc < 0) { /* the answer comes later all the same */
        p->status = rc;
        uv_timer_start(&p->timer, on_refused, 0, 0);
    }
    return &p->probe;
}

void probe_cancel(struct probe *p)
{
    if (p)
        p->cancel(p);
}
