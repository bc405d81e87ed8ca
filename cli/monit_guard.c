#include "cli/monit_guard.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the guard is told: the settings of the screen, or farewell. */
struct word {
    int farewell;
    struct termios screen;
};

static int same_settings(const struct termios *a, const struct termios *b)
{
    return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
           a->c_lflag == b->c_lflag && memcmp(a->c_cc, b->c_cc, sizeof(a->c_cc)) == 0;
}

#define FAREWELL "\r\n[pm] monit was killed; the terminal was given back\r\n"

static void put(const char *text)
{
    ssize_t n;

    for (size_t len = strlen(text); len; text += n, len -= (size_t)n)
        if ((n = write(STDOUT_FILENO, text, len)) <= 0)
            return;
}

static void restore(const struct termios *before, const struct termios *screen, const char *leave)
{
    struct termios now;

    if (tcgetattr(STDOUT_FILENO, &now) < 0)
        return; /* the terminal is gone */
    /* A shell that was faster has its own settings by now. */
    if (!screen || same_settings(&now, screen))
        tcsetattr(STDOUT_FILENO, TCSANOW, before);
    put(leave);
    /* The shell may have printed its prompt where it is gone now. */
    put(FAREWELL);
}

/* Only what is safe in the child of any process: it neither allocates nor prints. */
static _Noreturn void watch(int fd, const struct termios *before, const char *leave)
{
    struct word w;
    struct termios screen;
    int told = 0;
    ssize_t n;
    sigset_t all;

    /* A session of its own: what is sent to pm's group, or comes with the end of the terminal, is not for it.
     */
    setsid();
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    prctl(PR_SET_NAME, "pm-monit-guard");
    if (dup2(fd, STDIN_FILENO) < 0)
        _exit(1);
    dup2(STDOUT_FILENO, STDERR_FILENO);
    /* A connection to the daemon, or a pipe of the caller's, shall end with pm. */
    close_range(STDERR_FILENO + 1, ~0u, 0);
    for (;;) {
        n = recv(STDIN_FILENO, &w, sizeof(w), 0);
        if (n == (ssize_t)sizeof(w) && w.farewell)
            _exit(0);
        if (n != (ssize_t)sizeof(w))
            break;
        screen = w.screen;
        told = 1;
    }
    restore(before, told ? &screen : NULL, leave);
    _exit(0);
}

int monit_guard_start(struct monit_guard *g, int tty, const char *leave)
{
    struct termios before;
    int ends[2];

    *g = (struct monit_guard){.fd = -1};
    if (tcgetattr(tty, &before) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    g->pid = fork();
    if (g->pid == 0) {
        if (dup2(tty, STDOUT_FILENO) < 0)
            _exit(1);
        close(ends[0]); /* else its own end would keep the socket open */
        watch(ends[1], &before, leave);
    }
    close(ends[1]);
    if (g->pid < 0) {
        int code = -errno;

        close(ends[0]);
        return code;
    }
    g->fd = ends[0];
    return 0;
}

void monit_guard_tell(const struct monit_guard *g, const struct termios *screen)
{
    struct word w = {0};

    w.screen = *screen;
    send(g->fd, &w, sizeof(w), MSG_NOSIGNAL); /* a guard that was killed cannot be told */
}

void monit_guard_end(struct monit_guard *g)
{
    struct word w = {0};

    if (g->fd < 0)
        return;
    w.farewell = 1;
    send(g->fd, &w, sizeof(w), MSG_NOSIGNAL);
    close(g->fd);
    g->fd = -1;
    while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}
