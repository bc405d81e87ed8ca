/* Starting a new keeper, and letting one that was started by others attach. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/keeperlink.h"

#define ACCEPTS_A_TURN 16
#define PAUSE_MS       100 /* after accept failed for want of descriptors */

extern char **environ;

/* After fork in a program with threads: async-signal-safe calls only. */
static _Noreturn void exec_keeper(const char *image, char *const *argv, int link)
{
    static const char msg[] = "pmd: cannot execute a new keeper\n";
    struct sigaction def = {.sa_handler = SIG_DFL};
    sigset_t none;
    ssize_t ignored;

    for (int sig = 1; sig < NSIG; sig++)
        if (sig != SIGHUP && sig != SIGPIPE)
            sigaction(sig, &def, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    link = fcntl(link, F_DUPFD, 4); /* above the target, which it may be itself */
    if (link >= 0 && dup2(link, 3) == 3) {
        close_range(4, ~0u, 0);
        execve(image, argv, environ);
    }
    ignored = write(2, msg, sizeof(msg) - 1);
    (void)ignored;
    _exit(127);
}

int keeper_start_new(const char *image, const char *pmd_path, const struct home *home, struct err *e)
{
    char *argv[] = {(char *)pmd_path, (char *)"--attach-fd", (char *)"3", (char *)"--home", home->path, NULL};
    int link[2], status;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) < 0)
        return err_errno(e, "cannot create the link to a new keeper");
    pid = fork();
    if (pid == 0) {
        /* Twice, so that the keeper is not our child: it has to be the parent of the next engine, and nothing
         * here would wait for it. _Fork, as fork's handlers are not safe in a child of a threaded program. */
        pid_t keeper = _Fork();

        if (keeper == 0)
            exec_keeper(image, argv, link[1]);
        _exit(keeper < 0 ? 1 : 0);
    }
    int saved = errno;
    close(link[1]);
    if (pid > 0) {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            return link[0];
        saved = EAGAIN;
    }
    close(link[0]);
    return err_set(e, -saved, "cannot fork a new keeper: %s", strerror(saved));
}

struct keeper_attach {
    uv_poll_t poll;
    uv_timer_t pause;
    int listen_fd;
    void (*asked)(void *arg, int fd);
    void *arg;
    bool closing;
    int open_handles;
};

static void on_connection(uv_poll_t *h, int status, int events);

static void on_pause_over(uv_timer_t *t)
{
    struct keeper_attach *a = t->data;

    uv_poll_start(&a->poll, UV_READABLE, on_connection);
}

/* The home is private already; this is the second lock on the same door. */
static bool may_attach(int fd)
{
    struct ucred cred = {0};
    socklen_t len = sizeof(cred);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
           (cred.uid == geteuid() || cred.uid == 0);
}

static void on_connection(uv_poll_t *h, int status, int events)
{
    struct keeper_attach *a = h->data;

    (void)events;
    if (status < 0)
        log_error("cannot watch the attach socket: %s", uv_strerror(status));
    for (int i = 0; i < ACCEPTS_A_TURN && !a->closing; i++) {
        int fd = accept4(a->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0 && errno == EAGAIN)
            return;
        if (fd < 0) {
            /* The connection stays in the backlog and would wake the loop without end. */
            log_error("cannot accept on the attach socket: %s", strerror(errno));
            uv_poll_stop(&a->poll);
            uv_timer_start(&a->pause, on_pause_over, PAUSE_MS, 0);
            return;
        }
        if (may_attach(fd))
            a->asked(a->arg, fd);
        else
            close(fd);
    }
}

struct keeper_attach *keeper_attach_new(uv_loop_t *loop, int listen_fd, void (*asked)(void *arg, int fd),
                                        void *arg)
{
    struct keeper_attach *a = xcalloc(1, sizeof(*a));

    a->listen_fd = listen_fd;
    a->asked = asked;
    a->arg = arg;
    if (uv_poll_init(loop, &a->poll, listen_fd) < 0) { /* also makes it non-blocking */
        free(a);
        return NULL;
    }
    uv_timer_init(loop, &a->pause);
    a->poll.data = a->pause.data = a;
    a->open_handles = 2;
    uv_poll_start(&a->poll, UV_READABLE, on_connection);
    return a;
}

static void on_closed(uv_handle_t *h)
{
    struct keeper_attach *a = h->data;

    if (--a->open_handles == 0)
        free(a);
}

void keeper_attach_close(struct keeper_attach *a)
{
    if (!a || a->closing)
        return;
    a->closing = true;
    uv_close((uv_handle_t *)&a->poll, on_closed);
    uv_close((uv_handle_t *)&a->pause, on_closed);
}
