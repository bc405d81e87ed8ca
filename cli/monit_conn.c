#include "cli/monit_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/home.h"
#include "ipc/methods.h"

#define CHUNK      65536u
#define ANSWER_MAX (256u * 1024 * 1024) /* bytes of one message */

int monit_conn_open(struct monit_conn *c, const struct home *home, const char *by)
{
    struct sockaddr_un addr;
    socklen_t len = home_sockaddr(home, HOME_SOCKET, &addr);

    *c = (struct monit_conn){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (c->fd < 0)
        return -errno;
    if (connect(c->fd, (struct sockaddr *)&addr, len) < 0) {
        int code = -errno;

        monit_conn_close(c);
        return code;
    }
    monit_conn_send(c, "hello",
                    json_pack("{s:i,s:s,s:s}", "protocol", PM_PROTOCOL, "version", PM_VERSION, "by", by));
    return 0;
}

void monit_conn_close(struct monit_conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    *c = (struct monit_conn){.fd = -1};
}

long long monit_conn_send(struct monit_conn *c, const char *method, json_t *params)
{
    json_t *request = json_pack("{s:s,s:I,s:s,s:o}", "jsonrpc", "2.0", "id", (json_int_t)++c->next_id,
                                "method", method, "params", params ? params : json_object());
    char *text = json_dumps(request, JSON_COMPACT);

    if (text) {
        buf_puts(&c->out, text);
        buf_putc(&c->out, '\n');
    }
    free(text);
    json_decref(request);
    return c->next_id;
}

int monit_conn_flush(struct monit_conn *c)
{
    while (c->out.len) {
        ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0)
            buf_consume(&c->out, (size_t)n);
        else if (errno == EAGAIN)
            return 0;
        else if (errno != EINTR)
            return -errno;
    }
    return 0;
}

/* The whole lines that are there. 0, or -EBADMSG; 1 when the taker wants no more. */
static int hand_over(struct monit_conn *c, monit_conn_take take, void *arg)
{
    size_t done = 0;
    const char *nl;
    int rc = 0;

    while (rc == 0 && c->in.len > c->seen && (nl = memchr(c->in.data + c->seen, '\n', c->in.len - c->seen))) {
        size_t end = (size_t)(nl - c->in.data);
        json_t *msg = json_loadb(c->in.data + done, end - done, JSON_ALLOW_NUL, NULL);

        done = c->seen = end + 1;
        if (!msg)
            return -EBADMSG;
        if (!take(arg, msg))
            rc = 1;
        json_decref(msg);
    }
    if (rc)
        return rc;
    buf_consume(&c->in, done);
    c->seen = c->in.len;
    return c->in.len > ANSWER_MAX ? -EMSGSIZE : 0;
}

int monit_conn_read(struct monit_conn *c, size_t most, monit_conn_take take, void *arg)
{
    size_t got = 0;

    while (got < most) {
        ssize_t n;

        buf_reserve(&c->in, CHUNK);
        n = recv(c->fd, c->in.data + c->in.len, CHUNK, MSG_DONTWAIT);
        if (n == 0)
            return -ECONNRESET;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        c->in.len += (size_t)n;
        c->in.data[c->in.len] = '\0';
        got += (size_t)n;
        int rc = hand_over(c, take, arg);

        if (rc)
            return rc > 0 ? 0 : rc;
    }
    return 0;
}
