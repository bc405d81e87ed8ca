/*
 * A command as a check. It is the engine's child, in a session of its own; the shell changes the folder, not
 * libuv's child, which the loop waits for: a folder on a dead network file system would hold the loop.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "daemon/probe.h"

#define OUTPUT_MAX 1024u /* bytes of the end of what it writes that are kept */
#define REST_MS    200u  /* how long output is waited for after the end: something else may hold the pipe */
#define SLACK_S    2u    /* the time limit of `timeout`, which only counts when the engine dies, is longer */

static const char script[] =
    "exec 2>&1\n"
    "cd -- \"$1\" || exit 126\n"
    "command -v timeout >/dev/null 2>&1 && exec timeout -s KILL \"$3\" /bin/sh -c \"$2\"\n"
    "exec /bin/sh -c \"$2\"\n";

struct exec_probe {
    struct probe probe;
    uv_process_t process;
    uv_pipe_t pipe;
    uv_timer_t timer;
    int open;
    bool spawned, exited, eof, closing, late;
    int64_t code;
    int sig;
    uint32_t timeout_ms;
    size_t len;
    char output[OUTPUT_MAX];
    probe_done done;
    void *arg;
};

static void on_closed(uv_handle_t *h)
{
    struct exec_probe *p = h->data;

    if (--p->open == 0)
        free(p);
}

static void kill_group(struct exec_probe *p)
{
    if (p->spawned && p->process.pid > 0)
        kill(-p->process.pid, SIGKILL);
}

/* The process's handle stays until the child was waited for, or nobody would. */
static void close_all(struct exec_probe *p)
{
    if (p->closing)
        return;
    p->closing = true;
    uv_close((uv_handle_t *)&p->pipe, on_closed);
    uv_close((uv_handle_t *)&p->timer, on_closed);
    if (!p->spawned || p->exited)
        uv_close((uv_handle_t *)&p->process, on_closed);
}

/* The last line that is not blank, from the end of the output; its control characters become blanks. */
static const char *last_line(struct exec_probe *p)
{
    char *end = p->output + p->len, *start;

    while (end > p->output && (unsigned char)end[-1] <= ' ')
        end--;
    *end = '\0';
    for (start = end; start > p->output && start[-1] != '\n'; start--)
        if ((unsigned char)start[-1] < ' ' || start[-1] == 0x7f)
            start[-1] = ' ';
    return start;
}

static void answer(struct exec_probe *p)
{
    probe_done done = p->done;
    bool ok = !p->late && p->exited && p->code == 0 && p->sig == 0;
    const char *line = last_line(p);
    char words[200], end[64];

    p->done = NULL;
    if (p->late)
        snprintf(end, sizeof(end), "the command took longer than %u ms", p->timeout_ms);
    else if (p->sig)
        snprintf(end, sizeof(end), "the command was killed by signal %d", p->sig);
    else
        snprintf(end, sizeof(end), "the command exited with code %lld", (long long)p->code);
    snprintf(words, sizeof(words), "%s%s%.120s", end, *line ? ": " : "", line);
    close_all(p);
    if (done)
        done(p->arg, ok, words);
}

static void on_timer(uv_timer_t *t)
{
    struct exec_probe *p = t->data;

    if (!p->exited) {
        p->late = true;
        kill_group(p);
    }
    answer(p);
}

static void on_exit_status(uv_process_t *process, int64_t code, int sig)
{
    struct exec_probe *p = process->data;

    p->exited = true;
    p->code = code;
    p->sig = sig;
    if (p->closing) {
        uv_close((uv_handle_t *)&p->process, on_closed);
        return;
    }
    kill_group(p); /* what it has left behind */
    if (p->eof)
        answer(p);
    else
        uv_timer_start(&p->timer, on_timer, REST_MS, 0);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    static char memory[4096];

    (void)h;
    (void)suggested;
    *buf = uv_buf_init(memory, sizeof(memory));
}

static void keep(struct exec_probe *p, const char *text, size_t n)
{
    size_t room = sizeof(p->output) - 1;

    if (n > room) {
        text += n - room;
        n = room;
    }
    if (p->len + n > room) {
        size_t drop = p->len + n - room;

        memmove(p->output, p->output + drop, p->len - drop);
        p->len -= drop;
    }
    memcpy(p->output + p->len, text, n);
    p->len += n;
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct exec_probe *p = s->data;

    if (n > 0) {
        keep(p, buf->base, (size_t)n);
    } else if (n < 0) {
        uv_read_stop(s);
        p->eof = true;
        if (p->exited && !p->closing)
            answer(p);
    }
}

/* The answer of a command that could not be started comes later all the same. */
static void on_failed(uv_timer_t *t)
{
    struct exec_probe *p = t->data;
    probe_done done = p->done;
    char words[128];

    p->done = NULL;
    kill_group(p);
    snprintf(words, sizeof(words), "cannot run sh: %s", uv_strerror((int)p->code));
    close_all(p);
    if (done)
        done(p->arg, false, words);
}

static void exec_cancel(struct probe *probe)
{
    struct exec_probe *p = (struct exec_probe *)probe;

    p->done = NULL;
    if (!p->exited)
        kill_group(p);
    close_all(p);
}

static int begin(struct exec_probe *p, uv_loop_t *loop, const struct probe_command *c)
{
    char limit[32];
    char *args[] = {"sh", "-c", (char *)script, "sh", (char *)c->cwd, (char *)c->command, limit, NULL};
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&p->pipe},
        {.flags = UV_IGNORE}};
    uv_process_options_t o = {.exit_cb = on_exit_status,
                              .file = "/bin/sh",
                              .args = args,
                              .env = (char **)c->envp,
                              .cwd = "/",
                              .flags = UV_PROCESS_DETACHED,
                              .stdio_count = 3,
                              .stdio = stdio};
    int rc;

    snprintf(limit, sizeof(limit), "%u", p->timeout_ms / 1000 + SLACK_S);
    if (c->set_ids) {
        o.flags |= UV_PROCESS_SETUID | UV_PROCESS_SETGID;
        o.uid = c->uid;
        o.gid = c->gid;
    }
    rc = uv_spawn(loop, &p->process, &o);
    p->spawned = rc == 0;
    return rc < 0 ? rc : uv_read_start((uv_stream_t *)&p->pipe, on_alloc, on_read);
}

struct probe *probe_exec(uv_loop_t *loop, const struct probe_command *c, uint32_t timeout_ms, probe_done done,
                         void *arg)
{
    struct exec_probe *p = xcalloc(1, sizeof(*p));
    int rc;

    p->probe.cancel = exec_cancel;
    p->done = done;
    p->arg = arg;
    p->timeout_ms = timeout_ms;
    p->open = 3;
    uv_pipe_init(loop, &p->pipe, 0);
    uv_timer_init(loop, &p->timer);
    p->process.data = p->pipe.data = p->timer.data = p;
    rc = begin(p, loop, c);
    uv_update_time(loop);
    if (rc < 0)
        p->code = rc;
    uv_timer_start(&p->timer, rc < 0 ? on_failed : on_timer, rc < 0 ? 0 : timeout_ms, 0);
    return &p->probe;
}
