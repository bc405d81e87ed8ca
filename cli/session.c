#include "cli/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/interrupt.h"
#include "cli/progress.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "ipc/methods.h"

#define LOG_TAIL_LINES 5
#define LOG_TAIL_BYTES 8192
#define BREAKS_MAX     3 /* a request under which engine after engine dies is not repeated for ever */

/* The last lines of the daemon's own log: what a person needs when the daemon does not answer. */
static void print_daemon_log(const struct cli *c)
{
    _cleanup_free_ char *path = home_file(&c->home, HOME_LOG);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char text[LOG_TAIL_BYTES + 1];
    struct stat st;
    ssize_t n;
    char *start, *next;
    int lines = 0;

    if (fd < 0 || fstat(fd, &st) < 0)
        return;
    n = pread(fd, text, LOG_TAIL_BYTES, st.st_size > LOG_TAIL_BYTES ? st.st_size - LOG_TAIL_BYTES : 0);
    if (n > 0 && text[n - 1] == '\n')
        n--;
    if (n <= 0)
        return;
    text[n] = '\0';
    for (start = text + n; start > text; start--)
        if (start[-1] == '\n' && ++lines == LOG_TAIL_LINES)
            break;
    for (; start; start = next) {
        next = strchr(start, '\n');
        if (next)
            *next++ = '\0';
        out_detail(&c->out, start);
    }
}

static void print_hung(const struct cli *c)
{
    out_error(&c->out,
              "the daemon's engine does not answer; its keeper holds your apps; last lines of %s/%s:",
              c->home.path, HOME_LOG);
    print_daemon_log(c);
}

static enum session_state connect_once(struct cli *c, bool any_version, struct err *e)
{
    int rc = rpc_connect(&c->rpc, &c->home, c->by, SESSION_HELLO_MS, e);

    if (rc == 0 || (rc == -EPROTO && any_version && c->rpc.fd >= 0)) {
        c->connected = true;
        return SESSION_OK;
    }
    if (rc == -ENOENT || rc == -ECONNREFUSED)
        return SESSION_NO_DAEMON;
    return SESSION_FAILED;
}

/* A daemon that has just been killed may still have taken the connection: it breaks before the first word,
 * and what comes next (no daemon, or the next one) is the answer. */
static bool met_a_dying_daemon(enum session_state s, const struct err *e)
{
    return s == SESSION_FAILED && (e->code == -ECONNRESET || e->code == -EPIPE);
}

static enum session_state connect_said(struct cli *c, bool any_version)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    uint64_t end = clock_mono_ms() + SESSION_BACK_MS;
    enum session_state s;
    struct err e;

    for (;;) {
        e = (struct err){0};
        s = connect_once(c, any_version, &e);
        if (!met_a_dying_daemon(s, &e) || clock_mono_ms() >= end || nanosleep(&pause, NULL) < 0)
            break;
    }
    if (s == SESSION_FAILED && e.code == -ETIMEDOUT)
        print_hung(c);
    else if (s == SESSION_FAILED)
        out_error(&c->out, "%s", e.msg);
    return s;
}

enum session_state session_connect(struct cli *c, bool create, bool any_version)
{
    struct err e = {0};
    int rc;

    if (c->home.dirfd < 0 && (rc = home_open(&c->home, c->home_path, create, &e)) < 0) {
        if (rc == -ENOENT && !create)
            return SESSION_NO_DAEMON;
        out_error(&c->out, "%s", e.msg);
        return SESSION_FAILED;
    }
    return connect_said(c, any_version);
}

static void disconnect(struct cli *c)
{
    if (c->connected)
        rpc_close(&c->rpc);
    c->connected = false;
}

enum session_state session_reconnect(struct cli *c)
{
    uint64_t end = clock_mono_ms() + SESSION_BACK_MS;
    const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    enum session_state s;
    struct err e = {0};

    disconnect(c);
    for (;;) {
        s = connect_once(c, false, &e);
        if (s == SESSION_OK || clock_mono_ms() >= end)
            break;
        /* A dying engine resets what it has accepted; any failure may be over with the next engine. */
        if (nanosleep(&pause, NULL) < 0 && errno == EINTR)
            return SESSION_FAILED;
    }
    if (s == SESSION_FAILED && e.code == -ETIMEDOUT)
        print_hung(c);
    else if (s == SESSION_FAILED)
        out_error(&c->out, "%s", e.msg);
    return s;
}

/* The connection broke under a request. 0 when it is to be asked again. */
static int after_break(struct cli *c, int rc, const char *method, int breaks, const struct err *e)
{
    int id = method_find(method);
    bool again = id >= 0 && !methods[id].mutates && breaks < BREAKS_MAX;

    if (rc == -ETIMEDOUT) {
        print_hung(c);
        return EXIT_FAILED;
    }
    if (rc == -EINTR) {
        if (id >= 0 && methods[id].mutates)
            out_warn(&c->out, "interrupted; the daemon goes on with it, pm list shows how far it is");
        return EXIT_SIGNAL + interrupt_signal();
    }
    if (rc != -ECONNRESET && rc != -EPIPE)
        return out_error(&c->out, "%s", e->msg);
    if (!again)
        return out_error(
            &c->out,
            "the daemon's engine ended before it had answered \"%s\"; your apps are not touched by "
            "that; see pm list, then repeat the command",
            method);
    switch (session_reconnect(c)) {
    case SESSION_OK:
        return 0;
    case SESSION_NO_DAEMON:
        return session_no_daemon(c);
    case SESSION_FAILED:
        break;
    }
    return EXIT_FAILED;
}

/* What a request answers with, as one of two forms. */
struct answer {
    json_t **result;
    struct rpc_text *text;
    struct err *refusal; /* NULL: a refusal is printed */
};

static int call_once(struct cli *c, const char *method, json_t *params, int timeout, const struct answer *to,
                     struct err *e)
{
    if (to->text)
        return rpc_call_raw(&c->rpc, method, json_incref(params), timeout, to->text, e);
    *to->result = NULL;
    return rpc_call(&c->rpc, method, json_incref(params), timeout, to->result, e);
}

static int call(struct cli *c, const char *method, json_t *params, const struct answer *to)
{
    int id = method_find(method);
    bool mutates = id >= 0 && methods[id].mutates;
    struct err e = {0};
    int rc, code = 0;

    for (int breaks = 0;; breaks++) {
        c->rpc.wake_fd = interrupt_fd();
        rc = call_once(c, method, params, mutates ? -1 : SESSION_READ_MS, to, &e);
        progress_clear(c->progress);
        if (rc >= 0)
            break;
        code = after_break(c, rc, method, breaks, &e);
        if (code)
            break;
    }
    json_decref(params);
    if (rc < 0)
        return code;
    if (rc == -RPC_NOT_SAVED) {
        out_warn(&c->out, "%s", e.msg);
        return 0;
    }
    if (rc && to->refusal) {
        *to->refusal = e;
        return -rc;
    }
    return rc ? out_error(&c->out, "%s", e.msg) : 0;
}

int session_call(struct cli *c, const char *method, json_t *params, json_t **result)
{
    return call(c, method, params, &(struct answer){.result = result});
}

int session_ask(struct cli *c, const char *method, json_t *params, json_t **result, struct err *refusal)
{
    return call(c, method, params, &(struct answer){.result = result, .refusal = refusal});
}

int session_call_raw(struct cli *c, const char *method, json_t *params, struct rpc_text *result)
{
    *result = (struct rpc_text){0};
    return call(c, method, params, &(struct answer){.text = result});
}

json_t *session_selectors(const char *const *words, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *word = json_string(words[i]);

        /* A word that is not UTF-8 cannot be a name; the daemon says that nothing matches. */
        json_array_append_new(list, word ? word : json_string("?"));
    }
    return json_pack("{s:o}", "selectors", list);
}

int session_no_daemon(const struct cli *c)
{
    return out_error(&c->out, "no daemon runs for %s; pm start starts one", c->home_path);
}
