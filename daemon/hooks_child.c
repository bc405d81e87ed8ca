/* One hook as a child: its command line, environment, input, output and time limit. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/hook_list.h"
#include "config/spec.h"
#include "daemon/hooks_int.h"

#define SPARE_SECS   5 /* timeout(1) comes after the engine's own limit: it is for when the engine is gone */
#define URL_FD       3
#define OUTPUT_DRAIN (64 * 1024) /* bytes that are read at the end, at most */

/* Only /bin/sh is run by the engine itself: a PATH with a dead network folder holds the child, not the loop.
 */
static const char start[] = "exec timeout -s KILL \"$@\"";

static const char run_command[] = "cd \"$0\" || exit 126; exec sh -c \"$1\"";

/* The URL may hold a secret: it is not in the arguments, which all users see, but in a file. */
static const char run_webhook[] =
    "command -v curl >/dev/null || { echo 'the program curl, which sends webhooks, is not installed'; exit "
    "127; }\n"
    "code=$(curl -q -sS -K /dev/fd/3 -o /dev/null -w '%{http_code}' --globoff --fail --proto =http,https"
    " --retry 1 --retry-all-errors --retry-delay 1 --connect-timeout " HOOK_CONNECT_SECS
    " --max-time " HOOK_TRANSFER_SECS " -A pm/" PM_VERSION
    " -H 'Content-Type: application/json' -H 'Expect:' --data-binary @-) || exit\n"
    "case $code in 2[0-9][0-9]) ;; *) echo \"the answer was HTTP $code\"; exit 1;; esac\n";

/* What belongs to the daemon's own start, should it have been started by such a program. */
static const char *const not_for_hooks[] = {
    "PM_RUN_ID",      "NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE",
    "NODE_UNIQUE_ID", "NOTIFY_SOCKET",   "LISTEN_FDS",
    "LISTEN_PID",     "LISTEN_FDNAMES"};

static char **hook_env(const struct hook_job *j, const struct user_ids *ids)
{
    char **env = strv_dup(environ), id[16];

    for (size_t i = 0; i < ARRAY_LEN(not_for_hooks); i++)
        env_unset(env, not_for_hooks[i]);
    snprintf(id, sizeof(id), "%u", j->process);
    env_set(&env, "PM_HOME", j->home);
    env_set(&env, "PM_EVENT", j->word);
    env_set(&env, "name", j->name);
    env_set(&env, "pm_id", id);
    if (ids && ids->name) {
        env_set(&env, "HOME", ids->home);
        env_set(&env, "USER", ids->name);
        env_set(&env, "LOGNAME", ids->name);
    }
    return env;
}

/* A file in memory, from its begin; -errno. */
static int text_file(const char *text, size_t len)
{
    int fd = memfd_create("pm-hook", MFD_CLOEXEC), r;
    size_t at = 0;

    while (fd >= 0 && at < len) {
        ssize_t n = write(fd, text + at, len - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            r = -errno;
            close(fd);
            return r;
        }
        at += (size_t)n;
    }
    if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    return fd;
}

static void closed(uv_handle_t *handle)
{
    struct hook_job *j = handle->data;
    struct hook_child *c = j->child;

    if (--c->open)
        return;
    j->child = NULL;
    free(c);
    if (!j->hooks)
        hook_job_end(j);
}

static void close_all(struct hook_job *j)
{
    uv_close((uv_handle_t *)&j->child->process, closed);
    uv_close((uv_handle_t *)&j->child->output, closed);
    uv_close((uv_handle_t *)&j->child->limit, closed);
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    struct hook_job *j = handle->data;

    (void)wanted;
    *buf = uv_buf_init(j->child->buffer, sizeof(j->child->buffer));
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct hook_job *j = stream->data;

    if (n > 0)
        hook_tail_add(&j->child->tail, buf->base, (size_t)n);
    else if (n < 0)
        uv_read_stop(stream);
}

/* Without waiting for the end of it: what a child of the hook may still write is nobody's. */
static void read_rest(struct hook_job *j)
{
    struct hook_child *c = j->child;
    size_t total = 0;
    ssize_t n;
    int fd;

    if (uv_fileno((uv_handle_t *)&c->output, &fd) < 0)
        return;
    while (total < OUTPUT_DRAIN && (n = read(fd, c->buffer, sizeof(c->buffer))) > 0) {
        hook_tail_add(&c->tail, c->buffer, (size_t)n);
        total += (size_t)n;
    }
}

static char *failure_words(struct hook_job *j, int64_t status, int sig)
{
    const char *said = hook_tail_last(&j->child->tail), *colon = *said ? ": " : "";

    if (j->child->timed_out)
        return xasprintf("it was not done within %.3g s and was ended%s%s", (double)j->limit_ms / 1000, colon,
                         said);
    if (sig)
        return xasprintf("ended by signal %d%s%s", sig, colon, said);
    return status ? xasprintf("exit code %lld%s%s", (long long)status, colon, said) : NULL;
}

static void on_exit_of(uv_process_t *process, int64_t status, int sig)
{
    struct hook_job *j = process->data;
    _cleanup_free_ char *words = NULL;

    read_rest(j);
    words = failure_words(j, status, sig);
    close_all(j);
    hook_child_done(j, words);
}

/* The child is not reaped yet, so its group is its own. */
static void on_limit(uv_timer_t *timer)
{
    struct hook_job *j = timer->data;

    j->child->timed_out = true;
    kill(-j->child->process.pid, SIGKILL);
}

static int spawn(uv_loop_t *loop, struct hook_job *j, const struct user_ids *ids, const int fds[3],
                 struct err *e)
{
    struct hook_child *c = j->child;
    bool url = hook_is_url(j->target);
    char **env = hook_env(j, ids), secs[24];
    uv_stdio_container_t stdio[] = {{.flags = UV_INHERIT_FD, .data.fd = fds[0]},
                                    {.flags = UV_INHERIT_FD, .data.fd = fds[1]},
                                    {.flags = UV_INHERIT_FD, .data.fd = fds[1]},
                                    {.flags = UV_INHERIT_FD, .data.fd = fds[2]}};
    char *argv[] = {"sh",          "-c",
                    (char *)start, "sh",
                    secs,          "sh",
                    "-c",          (char *)(url ? run_webhook : run_command),
                    j->cwd,        url ? NULL : j->target,
                    NULL};
    uv_process_options_t options = {.exit_cb = on_exit_of,
                                    .file = "/bin/sh",
                                    .args = argv,
                                    .env = env,
                                    .flags = UV_PROCESS_DETACHED,
                                    .stdio = stdio,
                                    .stdio_count = url ? URL_FD + 1 : URL_FD};
    int r;

    snprintf(secs, sizeof(secs), "%lld", (long long)(j->limit_ms + 999) / 1000 + SPARE_SECS);
    if (ids) {
        options.flags |= UV_PROCESS_SETUID | UV_PROCESS_SETGID;
        options.uid = ids->uid;
        options.gid = ids->gid;
    }
    r = uv_spawn(loop, &c->process, &options);
    c->process.data = j;
    strv_free(env);
    return r < 0 ? err_set(e, r, "/bin/sh cannot be run: %s", uv_strerror(r)) : 0;
}

static void child_new(uv_loop_t *loop, struct hook_job *j, int take_output)
{
    struct hook_child *c = j->child = xcalloc(1, sizeof(*c));

    c->open = 3;
    uv_timer_init(loop, &c->limit);
    uv_pipe_init(loop, &c->output, 0);
    c->limit.data = c->output.data = j;
    if (uv_pipe_open(&c->output, take_output) < 0)
        close(take_output);
}

static int open_files(struct hook_job *j, int fds[3], int *output)
{
    _cleanup_free_ char *config = hook_is_url(j->target) ? xasprintf("url = \"%s\"\n", j->target) : NULL;
    int ends[2];

    fds[0] = text_file(j->json, strlen(j->json));
    if (fds[0] >= 0 && config && (fds[2] = text_file(config, strlen(config))) < 0)
        return fds[2];
    if (fds[0] < 0)
        return fds[0];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *output = ends[0];
    fds[1] = ends[1];
    return fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

int hook_child_start(uv_loop_t *loop, struct hook_job *j, const struct user_ids *ids, struct err *e)
{
    int fds[3] = {-1, -1, -1}, output = -1, r = open_files(j, fds, &output);

    if (r < 0) {
        err_set(e, r, "its input and output cannot be made: %s", strerror(-r));
        if (output >= 0)
            close(output);
    } else {
        child_new(loop, j, output);
        r = spawn(loop, j, ids, fds, e);
        if (r < 0) {
            close_all(j);
        } else {
            uv_read_start((uv_stream_t *)&j->child->output, on_alloc, on_output);
            uv_timer_start(&j->child->limit, on_limit, (uint64_t)j->limit_ms, 0);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return r;
}

void hook_child_leave(struct hook_job *j)
{
    close_all(j);
    j->hooks = NULL;
}

static void job_free(struct hook_job *j)
{
    free(j->name);
    free(j->target);
    free(j->cwd);
    free(j->home);
    free(j->json);
    free(j->uid);
    free(j->gid);
    free(j);
}

void hook_job_end(struct hook_job *j)
{
    j->hooks = NULL;
    if (!j->child)
        job_free(j);
}
