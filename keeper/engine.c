#include "keeper/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/plog.h"
#include "keeper/child.h"
#include "keeper/link.h"
#include "keeper/ready.h"
#include "keeper/shutdown.h"
#include "keeper/spawn.h"
#include "keeper/timer.h"

#define BEAT_LIMIT_MS    5000u
#define START_FACTOR     4u /* until its first message an engine has this many limits (it opens databases) */
#define BACKOFF_FIRST_MS 50u
#define BACKOFF_CAP_MS   5000u
#define STEADY_MS        1000u /* one that lived longer is replaced at once */
#define LINK_END_MS      1000u /* from the end of its link to its own end */
#define BYE_MS           5000u /* from KW_BYE to its own end */
#define FRESH_TRIES      3u
#define IMAGE_TRIES      3u /* engines that end before they serve, until another image is tried */

extern char **environ;

void engine_init(struct engine *e, char *const *argv)
{
    const char *text = getenv("PM_HEARTBEAT_LIMIT");
    unsigned long limit = text ? strtoul(text, NULL, 10) : 0;

    *e = (struct engine){.argv = argv, .pidfd = -1, .err_fd = -1, .image = -1};
    e->limit_ms = limit > 0 && limit <= 3600000 ? (unsigned)limit : BEAT_LIMIT_MS;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* `image`: the program file instead of argv[0]; -1: none. */
static _Noreturn void engine_exec(char *const *argv, int image, int link, int err)
{
    /* The engine sets its own handling; until then neither a hang-up nor a closed pipe may end it. */
    static const int keep_ignored[] = {SIGHUP, SIGPIPE, 0};
    struct exec_error e = {KW_STEP_EXEC, 0};
    ssize_t ignored;

    child_reset_signals(keep_ignored);
    link = fcntl(link, F_DUPFD_CLOEXEC, 6);
    err = fcntl(err, F_DUPFD_CLOEXEC, 6);
    if (image >= 0 && image < 6)
        image = fcntl(image, F_DUPFD_CLOEXEC, 6);
    if (link >= 0 && err >= 0 && dup2(link, 3) == 3 && dup3(err, 4, O_CLOEXEC) == 4 &&
        (image < 0 || dup3(image, 5, O_CLOEXEC) == 5)) {
        err = 4;
        close_range(image < 0 ? 5 : 6, ~0u, 0);
        if (image < 0)
            execve(argv[0], argv, environ);
        else
            execveat(5, "", argv, environ, AT_EMPTY_PATH);
    }
    e.error = errno;
    ignored = write(err, &e, sizeof(e));
    (void)ignored;
    _exit(127);
}

/* Plans the next start after an end or a failed start, and says what happened. */
static void schedule(struct keeper *k, uint64_t lived_ms, const char *what)
{
    struct engine *e = &k->engine;

    if (lived_ms > STEADY_MS) {
        e->backoff_ms = 0;
        e->failures = 0;
    } else {
        e->backoff_ms = e->backoff_ms ? e->backoff_ms * 2 : BACKOFF_FIRST_MS;
        if (e->backoff_ms > BACKOFF_CAP_MS)
            e->backoff_ms = BACKOFF_CAP_MS;
        e->failures++;
    }
    e->next_ms = clock_mono_ms() + e->backoff_ms;
    log_error("%s after %llu ms; %u runs are kept; the next one starts in %u ms", what,
              (unsigned long long)lived_ms, k->table.count, e->backoff_ms);
    /* Somebody waits for the daemon to come up and there is nothing to keep: better to fail than to try for
     * ever. */
    if (k->ready_fd != READY_DONE && !k->attached && !k->table.count && e->failures >= FRESH_TRIES) {
        ready_fail(k, 1, "%s; tried %u times", what, e->failures);
        shutdown_now(k, 1);
    }
}

static int fork_engine(struct keeper *k, int link[2], int err[2])
{
    struct engine *e = &k->engine;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) < 0 ||
        pipe2(err, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    e->pid = fork();
    if (e->pid == 0)
        engine_exec(e->argv, e->fell_back ? e->image : -1, link[1], err[1]);
    if (e->pid < 0) {
        e->pid = 0;
        return -errno;
    }
    return 0;
}

static void start(struct keeper *k)
{
    struct engine *e = &k->engine;
    int link[2] = {-1, -1}, err[2] = {-1, -1}, rc = fork_engine(k, link, err);

    close_fd(&link[1]);
    close_fd(&err[1]);
    if (rc == 0) {
        e->ours = true;
        e->hushed = false;
        e->serves = false;
        e->starts++;
        e->err_fd = err[0];
        e->pidfd = pidfd_open(e->pid, 0); /* without one it is signalled by its pid: safe, it is our child */
        e->started_ms = e->heard_ms = clock_mono_ms();
        rc = link_open(k, link[0]);
        if (rc < 0)
            kill(e->pid, SIGKILL);
        else
            log_info("engine %llu started, pid %d", (unsigned long long)e->starts, (int)e->pid);
        return;
    }
    close_fd(&link[0]);
    close_fd(&err[0]);
    log_error("cannot start the engine: %s", strerror(-rc));
    shutdown_engine_failed(k);
    schedule(k, 0, "the engine could not be started");
}

void engine_hello(struct keeper *k, pid_t pid)
{
    struct engine *e = &k->engine;

    if (pid == e->pid) {
        ready_ok(k);
        /* An engine that was there before this keeper has handed over what it knows; it needs no snapshot. */
        if (!e->ours)
            k->link.synced = true;
        return;
    }
    log_error("the engine on the link says that it is process %d, but it is %d", (int)pid, (int)e->pid);
    if (!e->ours) {
        k->status = 1;
        k->quit = true;
    }
}

static void kill_engine(struct keeper *k, const char *why)
{
    struct engine *e = &k->engine;

    log_error("engine, pid %d: %s; killed", (int)e->pid, why);
    if (e->pidfd >= 0)
        pidfd_send_signal(e->pidfd, SIGKILL, NULL, 0);
    else if (e->ours)
        kill(e->pid, SIGKILL);
    e->hushed = true;
}

/*
 * What is installed may be broken while the image that served before is whole: after a few engines that ended
 * before they served (one that hung is enough) the other one is tried. It stays until the next update, or
 * until it fails as well.
 */
static void judge_image(struct keeper *k, const char *what)
{
    struct engine *e = &k->engine;

    if (e->serves || e->image < 0 || k->shutdown.bye)
        return;
    e->unserved = e->hushed ? IMAGE_TRIES : e->unserved + 1;
    if (e->unserved < IMAGE_TRIES)
        return;
    e->unserved = 0;
    e->failures = 0;
    e->backoff_ms = 0;
    e->fell_back = !e->fell_back;
    snprintf(k->upgrade.trouble, sizeof(k->upgrade.trouble),
             "the installed engine does not start: %.110s; the one before it goes on", what);
    log_error("no engine came up: %s; going over to %s", what,
              e->fell_back ? "the image that served last" : "the installed program");
}

void engine_serves(struct keeper *k)
{
    struct engine *e = &k->engine;
    char path[32];
    int fd;

    e->serves = true;
    e->unserved = 0;
    if (e->fell_back)
        return;
    k->upgrade.trouble[0] = '\0';
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)e->pid);
    fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) {
        log_warn("cannot keep the engine's program file: %s", strerror(errno));
        return;
    }
    close_fd(&e->image);
    e->image = fd;
}

/* Common to both ways of seeing the end. `what` names it for the log. */
static void gone(struct keeper *k, const char *what)
{
    struct engine *e = &k->engine;
    uint64_t lived = clock_mono_ms() - e->started_ms;

    link_finish(k);
    close_fd(&e->err_fd);
    if (!e->ours)
        epoll_ctl(k->epoll_fd, EPOLL_CTL_DEL, e->pidfd, NULL);
    close_fd(&e->pidfd);
    e->pid = 0;
    if (k->shutdown.bye) {
        k->quit = true;
        return;
    }
    if (k->attached && k->table.self.fds[KW_FD_LOCK] < 0) {
        /* It died before it had handed over the lock: whoever has that by now is the daemon, and there is to
         * be one. */
        log_error("%s, before it had handed over; this keeper ends", what);
        k->status = 1;
        k->quit = true;
        return;
    }
    shutdown_engine_failed(k);
    judge_image(k, what);
    schedule(k, lived, what);
}

void engine_reaped(struct keeper *k, int wait_status)
{
    struct engine *e = &k->engine;
    struct exec_error x;
    char what[160];

    if (e->err_fd >= 0 && read(e->err_fd, &x, sizeof(x)) == (ssize_t)sizeof(x))
        snprintf(what, sizeof(what), "cannot execute the engine %.80s: %s", e->argv[0], strerror(x.error));
    else if (WIFSIGNALED(wait_status))
        snprintf(what, sizeof(what), "engine, pid %d, was ended by signal %d (%s)", (int)e->pid,
                 WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
    else
        snprintf(what, sizeof(what), "engine, pid %d, ended with exit status %d", (int)e->pid,
                 WEXITSTATUS(wait_status));
    gone(k, what);
}

void engine_vanished(struct keeper *k)
{
    char what[96];

    snprintf(what, sizeof(what), "engine, pid %d, ended (not our child, so it is not known how)",
             (int)k->engine.pid);
    gone(k, what);
}

void engine_forgive(struct keeper *k, uint64_t now_ms)
{
    k->engine.heard_ms = now_ms;
}

/* Kills when a limit is over; else returns the earliest limit. */
static uint64_t judge(struct keeper *k, uint64_t now)
{
    struct engine *e = &k->engine;
    uint64_t limit = (uint64_t)e->limit_ms * (k->link.hello ? 1 : START_FACTOR);
    uint64_t beat_due = e->heard_ms + limit, at = beat_due;
    const char *why = "sent no heartbeat within the limit";

    if (k->shutdown.bye) {
        at = k->shutdown.bye_ms + BYE_MS;
        why = "said that all is stopped, and did not end";
    } else if (k->link.ended && k->link.ended_ms + LINK_END_MS < beat_due) {
        at = k->link.ended_ms + LINK_END_MS;
        why = "closed its link";
    }
    if (now >= at)
        kill_engine(k, why);
    return at;
}

void engine_tick(struct keeper *k, uint64_t now_ms, uint64_t *next)
{
    struct engine *e = &k->engine;

    if (!e->pid) {
        if (k->quit || k->shutdown.gave_up)
            return;
        if (now_ms < e->next_ms) {
            timer_due(next, e->next_ms);
            return;
        }
        start(k);
        if (!e->pid) {
            timer_due(next, e->next_ms);
            return;
        }
    }
    /* An engine that refuses this keeper before the first word has another one: it is left alone. */
    if (!e->ours && k->link.ended && !k->link.hello) {
        log_info("the engine, pid %d, has a keeper already", (int)e->pid);
        ready_fail(k, 1, "the engine has a keeper already");
        k->status = 1;
        k->quit = true;
        return;
    }
    if (!e->hushed)
        timer_due(next, judge(k, now_ms));
}
