#include "config/js_eval.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/mem.h"
#include "config/env.h"
#include "config/js_program.h"
#include "config/path.h"
#include "config/spec.h"
#include "config/tree.h"

struct run {
    const char *node;
    char *const *argv;
    char *const *envp;
    const char *folder;
    int input;  /* the child's stdin */
    int output; /* end of the pipe that the child writes to */
};

static enum js_outcome trouble(struct js_result *out, char *take)
{
    free(out->msg);
    out->msg = take;
    return JS_TROUBLE;
}

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Between fork and exec: only calls that are safe there. */
static void __attribute__((noreturn)) become_node(const struct run *run, pid_t parent)
{
    /* A group of its own, so that the time limit also ends what the config has started. */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGTTOU, SIG_IGN); /* its messages may come though it is not in the foreground */
    dup2(run->input, STDIN_FILENO);
    /* What the config prints is for the user's eyes; stdout of the CLI may be JSON that a script reads. */
    dup2(STDERR_FILENO, STDOUT_FILENO);
    dup2(run->output, JS_RESULT_FD);
    fcntl(JS_RESULT_FD, F_SETFD, 0);
    close_range(JS_RESULT_FD + 1, ~0u, 0);
    if (chdir(run->folder) == 0)
        execve(run->node, run->argv, run->envp);
    _exit(127);
}

/* The text as a file on which reading begins at the start; no text gives /dev/null. */
static int open_input(const struct js_input *in)
{
    int fd;

    if (!in->text)
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    fd = memfd_create("pm-config", MFD_CLOEXEC);
    if (fd >= 0 && (fs_write_all(fd, in->text, in->len) < 0 || lseek(fd, 0, SEEK_SET) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Reads to the end of the pipe. 0, -ETIMEDOUT or -EFBIG. */
static int read_answer(int fd, int64_t deadline, struct buf *answer)
{
    char chunk[65536];
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    for (;;) {
        int64_t left = deadline - now_ms();
        ssize_t n;

        if (left <= 0)
            return -ETIMEDOUT;
        if (poll(&ready, 1, (int)left) <= 0)
            continue;
        n = read(fd, chunk, sizeof(chunk));
        if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
            return 0;
        if (n < 0)
            continue;
        buf_append(answer, chunk, (size_t)n);
        if (answer->len > TREE_INPUT_MAX)
            return -EFBIG;
    }
}

/* The end of the child, which is killed at the deadline. Its wait status. */
static int reap(pid_t pid, int64_t deadline, bool now)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), status = 0;
    int64_t left = now ? 0 : deadline - now_ms();
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};

    while (left > 0 && pidfd >= 0 && poll(&ended, 1, (int)left) <= 0)
        left = deadline - now_ms();
    if (left <= 0)
        kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pidfd >= 0)
        close(pidfd);
    return status;
}

static enum js_outcome no_answer(int status, struct js_result *out)
{
    if (WIFSIGNALED(status))
        return trouble(out,
                       xasprintf("node was killed by signal %d while it read this config", WTERMSIG(status)));
    return trouble(out, xasprintf("node ended with exit code %d before this config had given its apps",
                                  WEXITSTATUS(status)));
}

static enum js_outcome take_answer(struct buf *answer, struct js_result *out)
{
    char kind = answer->data[0];
    json_t *object;
    const char *msg;

    buf_consume(answer, 1);
    if (kind == 'v') {
        out->json = *answer;
        *answer = (struct buf){0};
        return JS_VALUE;
    }
    object = json_loadb(answer->data, answer->len, 0, NULL);
    msg = json_string_value(json_object_get(object, "message"));
    out->msg = xstrdup(msg ? msg : "node gave no reason");
    out->line = (unsigned)json_integer_value(json_object_get(object, "line"));
    out->col = (unsigned)json_integer_value(json_object_get(object, "col"));
    json_decref(object);
    return kind == 's' ? JS_SYNTAX : JS_THREW;
}

static enum js_outcome follow(pid_t pid, int fd, int limit_ms, struct js_result *out)
{
    int64_t deadline = now_ms() + limit_ms;
    struct buf answer = {0};
    int r = read_answer(fd, deadline, &answer), status = reap(pid, deadline, r < 0);
    enum js_outcome outcome;

    if (r == -EFBIG)
        outcome = trouble(out, xasprintf("larger than %u MiB", TREE_INPUT_MAX >> 20));
    else if (r < 0)
        outcome = trouble(out, xasprintf("node has not finished this config after %g s", limit_ms / 1000.0));
    else if (answer.len == 0)
        outcome = no_answer(status, out);
    else
        outcome = take_answer(&answer, out);
    buf_free(&answer);
    return outcome;
}

static enum js_outcome start(const struct js_input *in, struct run *run, struct js_result *out)
{
    pid_t parent = getpid(), pid;
    enum js_outcome outcome;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return trouble(out, xasprintf("cannot start node: %s", strerror(errno)));
    run->output = ends[1];
    pid = fork();
    if (pid == 0)
        become_node(run, parent);
    close(ends[1]);
    if (pid < 0) {
        outcome = trouble(out, xasprintf("cannot start node: %s", strerror(errno)));
    } else {
        setpgid(pid, pid); /* here as well: whoever comes first, a kill of the group finds it */
        outcome = follow(pid, ends[0], in->limit_ms ? in->limit_ms : JS_LIMIT_MS, out);
    }
    close(ends[0]);
    return outcome;
}

enum js_outcome js_eval(const struct js_input *in, struct js_result *out)
{
    _cleanup_free_ char *node = path_find_program(in->environ, in->folder, "node");
    _cleanup_close_ int input = open_input(in);
    const char *argv[] = {"node", "--no-warnings", "-e", js_program, in->path, in->text ? "text" : "file",
                          NULL};
    char **envp;
    struct run run;
    enum js_outcome outcome;

    *out = (struct js_result){0};
    if (!node)
        return trouble(out, xstrdup("node is not installed (it is not on PATH), and a config in JavaScript "
                                    "needs it; YAML and JSON do not"));
    if (input < 0)
        return trouble(out, xasprintf("cannot start node: %s", strerror(errno)));
    /* Without the caller's own channel: node would talk on the descriptor that it names. */
    envp = env_inherit(in->environ);
    run =
        (struct run){.node = node, .argv = (char **)argv, .envp = envp, .folder = in->folder, .input = input};
    outcome = start(in, &run, out);
    strv_free(envp);
    return outcome;
}

void js_result_deinit(struct js_result *r)
{
    buf_free(&r->json);
    free(r->msg);
    *r = (struct js_result){0};
}
