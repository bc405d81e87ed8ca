#include "ipc/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/jsonw.h"
#include "common/mem.h"
#include "ipc/frame.h"
#include "ipc/methods.h"

#define CLIENT_CHUNK 262144u /* more than a socket's buffer: large answers in few turns */
#define CLIENT_REPLY_MAX                                                                                     \
    (1024u * 1024 * 1024)         /* bytes of one reply: the daemon is trusted, but not without end */
#define CLIENT_PENDING_MAX 10000u /* notifications that may wait while a call is under way */

static int left_ms(uint64_t end)
{
    uint64_t now = clock_mono_ms();

    return end == UINT64_MAX ? -1 : now >= end ? 0 : (int)(end - now);
}

static uint64_t end_of(int timeout_ms)
{
    return timeout_ms < 0 ? UINT64_MAX : clock_mono_ms() + (uint64_t)timeout_ms;
}

/* Waits until the socket is ready. 0, -ETIMEDOUT or -EINTR. */
static int wait_for(const struct rpc_client *c, short events, uint64_t end, struct err *e)
{
    struct pollfd p[] = {{c->fd, events, 0}, {c->wake_fd, POLLIN, 0}};
    int rc = poll(p, 2, left_ms(end));

    if (rc > 0 && p[1].revents)
        return err_set(e, -EINTR, "interrupted");
    if (rc > 0)
        return 0;
    if (rc == 0)
        return err_set(e, -ETIMEDOUT, "the daemon does not answer");
    return errno == EINTR ? err_set(e, -EINTR, "interrupted") : err_errno(e, "cannot wait for the daemon");
}

static int send_all(struct rpc_client *c, const char *data, size_t len, uint64_t end, struct err *e)
{
    while (len > 0) {
        ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        int rc;

        if (n >= 0) {
            data += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            if ((rc = wait_for(c, POLLOUT, end, e)) < 0)
                return rc;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return 0; /* the daemon closed its end; its last line may say why, and is there to be read */
        } else if (errno != EINTR) {
            return err_errno(e, "cannot write to the daemon");
        }
    }
    return 0;
}

/* Reads until a whole line is in `in`. Its length without the newline, or negative errno. */
static ssize_t read_line(struct rpc_client *c, uint64_t end, struct err *e)
{
    size_t seen = 0;

    for (;;) {
        const char *nl = c->in.len > seen ? memchr(c->in.data + seen, '\n', c->in.len - seen) : NULL;
        ssize_t n;
        int rc;

        if (nl)
            return nl - c->in.data;
        seen = c->in.len;
        if (seen > CLIENT_REPLY_MAX)
            return err_set(e, -EMSGSIZE, "the daemon's answer is larger than 1 GiB");
        buf_reserve(&c->in, CLIENT_CHUNK);
        n = recv(c->fd, c->in.data + c->in.len, CLIENT_CHUNK, MSG_DONTWAIT);
        if (n > 0) {
            c->in.len += (size_t)n;
            c->in.data[c->in.len] = '\0';
        } else if (n == 0 || errno == ECONNRESET) {
            return err_set(e, -ECONNRESET, "the daemon closed the connection");
        } else if (errno == EAGAIN) {
            if ((rc = wait_for(c, POLLIN, end, e)) < 0)
                return rc;
        } else if (errno != EINTR) {
            return err_errno(e, "cannot read from the daemon");
        }
    }
}

static int send_request(struct rpc_client *c, const char *method, json_t *take_params, uint64_t end,
                        struct err *e)
{
    json_t *request = json_pack("{s:s,s:I,s:s,s:o}", "jsonrpc", "2.0", "id", (json_int_t)++c->next_id,
                                "method", method, "params", take_params ? take_params : json_object());
    char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
    size_t len;
    int rc;

    json_decref(request);
    if (!text)
        return err_set(e, -EILSEQ, "the request holds text that is not UTF-8");
    len = strlen(text);
    if (len > FRAME_MAX) {
        rc = err_set(e, -EMSGSIZE, "%s: the request is longer than %u KiB", method, FRAME_MAX / 1024);
    } else {
        text[len] = '\n'; /* in place of the NUL: one send, and the daemon wakes once */
        rc = send_all(c, text, len + 1, end, e);
    }
    free(text);
    return rc;
}

static int server_error(const json_t *error, json_t **data, struct err *e)
{
    int code = (int)json_integer_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));

    if (data)
        *data = json_incref(json_object_get(error, "data"));
    err_set(e, code, "%s", message ? message : "the daemon answered with an error without words");
    return code < 0 ? -code : -RPC_INTERNAL;
}

/* Beyond the bound they are lost and counted, as the daemon does with a client that does not read. */
static void keep_notification(struct rpc_client *c, json_t *take)
{
    const json_t *params;
    unsigned long long n;

    if (!c->pending)
        c->pending = json_array();
    if (json_array_size(c->pending) < CLIENT_PENDING_MAX && !c->missed) {
        json_array_append_new(c->pending, take);
        return;
    }
    params = json_object_get(take, "params");
    n = (unsigned long long)json_integer_value(json_object_get(params, "missed")) +
        json_array_size(json_object_get(params, "lines"));
    c->missed += n ? n : 1;
    json_decref(take);
}

/* Who takes what comes before a reply. */
struct parts {
    rpc_part take;
    void *arg;
    int timeout_ms; /* for each */
};

static int hand_over(const struct parts *to, json_t *take)
{
    int rc = to->take(to->arg, take);

    json_decref(take);
    return rc;
}

/* The reply to the last request; notifications before it are handed over, or kept when `to` is NULL. 0 with
 * *reply, negative errno, or what the taker returned. */
static int await_reply(struct rpc_client *c, uint64_t end, const struct parts *to, json_t **reply,
                       struct err *e)
{
    for (;;) {
        json_error_t je;
        ssize_t n = read_line(c, end, e);
        json_t *j, *id;
        int rc;

        if (n < 0)
            return (int)n;
        j = json_loadb(c->in.data, (size_t)n, JSON_ALLOW_NUL, &je);
        buf_consume(&c->in, (size_t)n + 1);
        if (!j)
            return err_set(e, -EBADMSG, "the daemon's answer is not JSON: %s", je.text);
        id = json_object_get(j, "id");
        if (json_is_integer(id) && json_integer_value(id) == c->next_id) {
            *reply = j;
            return 0;
        }
        if (json_object_get(j, "error") &&
            (!id || json_is_null(id))) { /* about the connection, not about a request */
            *reply = j;
            return 0;
        }
        if (!id && json_object_get(j, "method") && to) {
            if ((rc = hand_over(to, j)) != 0)
                return rc;
            end = end_of(to->timeout_ms);
        } else if (!id && json_object_get(j, "method") && !(c->notify && c->notify(c->notify_arg, j))) {
            keep_notification(c, j);
        } else {
            json_decref(j); /* the late answer to a call that timed out */
        }
    }
}

static int call(struct rpc_client *c, const char *method, json_t *params, int timeout_ms,
                const struct parts *to, json_t **result, struct err *e)
{
    uint64_t end = end_of(timeout_ms);
    json_t *reply = NULL, *error;
    int rc;

    if (result)
        *result = NULL;
    rc = send_request(c, method, params, end, e);
    if (rc == 0)
        rc = await_reply(c, end, to, &reply, e);
    if (rc != 0)
        return rc;
    error = json_object_get(reply, "error");
    if (error)
        rc = server_error(error, result, e);
    else if (result)
        *result = json_incref(json_object_get(reply, "result"));
    json_decref(reply);
    return rc;
}

int rpc_call(struct rpc_client *c, const char *method, json_t *params, int timeout_ms, json_t **result,
             struct err *e)
{
    return call(c, method, params, timeout_ms, NULL, result, e);
}

int rpc_call_parts(struct rpc_client *c, const char *method, json_t *params, int timeout_ms, rpc_part part,
                   void *arg, json_t **result, struct err *e)
{
    const struct parts to = {part, arg, timeout_ms};

    return call(c, method, params, timeout_ms, &to, result, e);
}

/* Our server's own form of a reply, so that a large result need not be parsed to be printed. */
static bool cut_result(struct rpc_client *c, size_t line, struct rpc_text *result)
{
    char head[64];
    size_t len;
    int n = snprintf(head, sizeof(head), "{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":", c->next_id);

    if (line <= (size_t)n || memcmp(c->in.data, head, (size_t)n) != 0 || c->in.data[line - 1] != '}')
        return false;
    len = line - 1 - (size_t)n;
    c->in.data[line - 1] = '\0';
    if (c->in.len == line + 1) { /* nothing behind it: the buffer itself, which may be megabytes */
        result->memory = buf_steal(&c->in);
        result->text = result->memory + n;
    } else {
        result->text = result->memory = xmalloc(len + 1);
        memcpy(result->memory, c->in.data + n, len + 1);
        buf_consume(&c->in, line + 1);
    }
    result->len = len;
    return true;
}

void rpc_text_free(struct rpc_text *t)
{
    free(t->memory);
    *t = (struct rpc_text){0};
}

int rpc_call_raw(struct rpc_client *c, const char *method, json_t *params, int timeout_ms,
                 struct rpc_text *result, struct err *e)
{
    uint64_t end = end_of(timeout_ms);
    json_t *reply = NULL, *error;
    int rc = send_request(c, method, params, end, e);
    ssize_t n = rc < 0 ? rc : read_line(c, end, e);

    *result = (struct rpc_text){0};
    if (n < 0)
        return (int)n;
    if (cut_result(c, (size_t)n, result))
        return 0;
    rc = await_reply(c, end, NULL, &reply, e);
    if (rc < 0)
        return rc;
    error = json_object_get(reply, "error");
    if (error) {
        rc = server_error(error, NULL, e);
    } else {
        result->memory = json_dumps(json_object_get(reply, "result"), JSON_COMPACT | JSON_ENCODE_ANY);
        result->text = result->memory;
        if (result->text)
            result->len = strlen(result->text);
        else
            rc = err_set(e, -EBADMSG, "the daemon's answer holds no result");
    }
    json_decref(reply);
    return rc;
}

int rpc_next(struct rpc_client *c, int timeout_ms, json_t **msg, struct err *e)
{
    uint64_t end = end_of(timeout_ms);

    if (json_array_size(c->pending)) {
        *msg = json_incref(json_array_get(c->pending, 0));
        json_array_remove(c->pending, 0);
        return 0;
    }
    if (c->missed) {
        *msg = json_pack("{s:s,s:{s:I}}", "method", "log", "params", "missed", (json_int_t)c->missed);
        c->missed = 0;
        return 0;
    }
    for (;;) {
        ssize_t n = read_line(c, end, e);
        json_error_t je;

        if (n < 0)
            return (int)n;
        *msg = json_loadb(c->in.data, (size_t)n, JSON_ALLOW_NUL, &je);
        buf_consume(&c->in, (size_t)n + 1);
        if (!*msg)
            return err_set(e, -EBADMSG, "what the daemon sent is not JSON: %s", je.text);
        if (json_object_get(*msg, "method"))
            return 0;
        json_decref(*msg);
    }
}

static int open_socket(struct rpc_client *c, const struct home *home, uint64_t end, struct err *e)
{
    struct sockaddr_un addr;
    socklen_t len = home_sockaddr(home, HOME_SOCKET, &addr);

    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        return err_errno(e, "cannot make a socket");
    /* A unix socket's connect answers EAGAIN while the queue of those that wait is full: many clients at
     * once. */
    while (connect(c->fd, (struct sockaddr *)&addr, len) < 0) {
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return err_errno(e, "cannot connect to %s/%s", home->path, HOME_SOCKET);
        if (left_ms(end) == 0)
            return err_set(e, -ETIMEDOUT, "the daemon does not accept connections");
        poll(NULL, 0, 5);
    }
    return 0;
}

/* A JSON string of what may not be UTF-8: it comes from a command line. */
static json_t *text_of(const char *s)
{
    struct buf quoted = {0};
    struct jsonw w = jsonw_init(&quoted);
    json_t *text;

    jsonw_str(&w, s);
    text = json_loadb(quoted.data, quoted.len, JSON_DECODE_ANY, NULL);
    buf_free(&quoted);
    return text;
}

static int say_hello(struct rpc_client *c, const char *by, int timeout_ms, struct err *e)
{
    json_t *hello = json_pack("{s:i,s:s}", "protocol", PM_PROTOCOL, "version", PM_VERSION);
    int rc;

    if (by)
        json_object_set_new(hello, "by", text_of(by));
    rc = rpc_call(c, "hello", hello, timeout_ms, &c->server, e);
    if (rc <= 0)
        return rc;
    json_decref(c->server);
    c->server = NULL;
    rc = rc == -RPC_HANDSHAKE ? -EPROTO : rc == -RPC_FORBIDDEN ? -EPERM : -EIO;
    if (e)
        e->code = rc;
    return rc;
}

int rpc_connect(struct rpc_client *c, const struct home *home, const char *by, int timeout_ms, struct err *e)
{
    uint64_t end = end_of(timeout_ms);
    int rc;

    *c = (struct rpc_client){.fd = -1, .wake_fd = -1};
    rc = open_socket(c, home, end, e);
    if (rc == 0)
        rc = say_hello(c, by, left_ms(end), e);
    if (rc < 0 && rc != -EPROTO)
        rpc_close(c);
    return rc;
}

void rpc_close(struct rpc_client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    buf_free(&c->in);
    json_decref(c->server);
    json_decref(c->pending);
    *c = (struct rpc_client){.fd = -1, .wake_fd = -1};
}
