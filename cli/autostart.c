#include "cli/autostart.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"

/* "<folder of pm>/pmd", or "pmd" to be looked for on PATH. The caller frees. */
static char *daemon_program(void)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash, *path;

    if (n <= 0)
        return xstrdup("pmd");
    self[n] = '\0';
    slash = strrchr(self, '/');
    path = xasprintf("%.*s/pmd", (int)(slash ? slash - self : 0), self);
    if (access(path, X_OK) == 0)
        return path;
    free(path);
    return xstrdup("pmd");
}

/*
 * The child: nothing of ours is left open, so that a lock or a pipe of the caller (a script that reads pm's
 * output) is not held by a daemon. What pmd says goes to a memory file: it can't block, nor be left half
 * read.
 */
static void __attribute__((noreturn)) exec_daemon(const char *program, const char *home, int words_fd)
{
    int null = open("/dev/null", O_RDWR);

    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(words_fd, STDERR_FILENO);
    close_range(3, ~0u, 0);
    signal(SIGPIPE, SIG_DFL);
    execlp(program, program, "--autostart", "--home", home, (char *)NULL);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", program, strerror(errno));
    _exit(127);
}

/* Waits for pmd, which goes to the background by itself. 0 when it ended with 0. */
static int wait_for_exit(pid_t pid, int *status)
{
    _cleanup_close_ int pidfd = pidfd_open(pid, 0);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    uint64_t end = clock_mono_ms() + AUTOSTART_MS;

    for (;;) {
        uint64_t now = clock_mono_ms();
        int rc = pidfd < 0 ? 1 : poll(&p, 1, now < end ? (int)(end - now) : 0);

        if (rc < 0 && errno == EINTR)
            continue;
        if (rc <= 0)
            return -ETIMEDOUT;
        while (waitpid(pid, status, 0) < 0 && errno == EINTR)
            continue;
        return 0;
    }
}

/* Prints what pmd said on its standard error, if anything. */
static void print_words(const struct cli *c, int words_fd)
{
    char text[2048];
    ssize_t n = pread(words_fd, text, sizeof(text) - 1, 0);
    char *save = NULL;

    if (n <= 0)
        return;
    text[n] = '\0';
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        out_detail(&c->out, line);
}

static int run_daemon(const struct cli *c)
{
    _cleanup_free_ char *program = daemon_program();
    _cleanup_close_ int words_fd = memfd_create("pmd-stderr", MFD_CLOEXEC);
    int status = 0;
    pid_t pid;

    if (words_fd < 0)
        return out_error(&c->out, "cannot start the daemon: %s", strerror(errno));
    fflush(stdout);
    pid = fork();
    if (pid < 0)
        return out_error(&c->out, "cannot start the daemon: %s", strerror(errno));
    if (pid == 0)
        exec_daemon(program, c->home_path, words_fd);
    if (wait_for_exit(pid, &status) < 0)
        return out_error(&c->out, "the daemon (%s) was not up after %d s; see %s/%s", program,
                         AUTOSTART_MS / 1000, c->home_path, HOME_LOG);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFSIGNALED(status))
        out_error(&c->out, "the daemon did not start: %s was ended by SIG%s", program,
                  sigabbrev_np(WTERMSIG(status)));
    else
        out_error(&c->out, "the daemon did not start; %s ended with code %d", program, WEXITSTATUS(status));
    print_words(c, words_fd);
    return EXIT_FAILED;
}

enum session_state autostart_connect(struct cli *c)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    enum session_state s = session_connect(c, true, false);
    uint64_t end;

    if (s != SESSION_NO_DAEMON)
        return s;
    if (run_daemon(c) != 0)
        return SESSION_FAILED;
    end = clock_mono_ms() + AUTOSTART_MS;
    while ((s = session_connect(c, true, false)) == SESSION_NO_DAEMON && clock_mono_ms() < end)
        nanosleep(&pause, NULL);
    if (s == SESSION_NO_DAEMON) {
        out_error(&c->out, "the daemon was started but does not listen in %s; see %s there", c->home_path,
                  HOME_LOG);
        return SESSION_FAILED;
    }
    out_note(&c->out, "started the daemon for %s (pid %lld)", c->home_path,
             (long long)json_integer_value(json_object_get(c->rpc.server, "keeper_pid")));
    return s;
}
