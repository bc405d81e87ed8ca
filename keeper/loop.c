#include "keeper/loop.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/plog.h"
#include "keeper/engine.h"
#include "keeper/files.h"
#include "keeper/link.h"
#include "keeper/news.h"
#include "keeper/shutdown.h"
#include "keeper/spawn.h"
#include "keeper/timer.h"
#include "keeper/upgrade.h"

#define EVENTS_A_TURN 64
#define ASLEEP_MS     1000u /* woken this much too late: this process did not run */

int loop_init(struct keeper *k, struct err *e)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = WATCH_SIGNALS};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR2);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* a caller that ignores it would have our children reaped by the kernel */
    if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
        return err_errno(e, "cannot block signals");
    k->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    k->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (k->epoll_fd < 0 || k->signal_fd < 0 || epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, k->signal_fd, &ev) < 0)
        return err_errno(e, "cannot watch for signals");
    return 0;
}

/* All that have ended: signals of the same kind merge, so one may stand for many. */
static void reap(struct keeper *k)
{
    struct rusage ru;
    struct record *r;
    int status;
    pid_t pid;

    while ((pid = wait4(-1, &status, WNOHANG, &ru)) > 0) {
        if (k->engine.ours && pid == k->engine.pid)
            engine_reaped(k, status);
        else if ((r = table_find_pid(&k->table, pid)))
            spawn_reaped(k, r, status, &ru);
        else
            upgrade_reaped(k, pid, status);
        /* Anything else is an orphan that came to the subreaper: waiting for it was all it needed. */
    }
}

static void on_usr2(struct keeper *k)
{
    struct err e;

    if (!k->foreground && files_open_log(k, &e) < 0)
        log_warn("%s", e.msg);
    k->link.reopen_owed = k->link.fd >= 0;
}

static void on_signals(struct keeper *k)
{
    struct signalfd_siginfo si;

    while (read(k->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
        switch (si.ssi_signo) {
        case SIGCHLD:
            reap(k);
            break;
        case SIGUSR2:
            on_usr2(k);
            break;
        case SIGTERM:
        case SIGINT:
            shutdown_by_signal(k, (int)si.ssi_signo);
            break;
        }
    }
}

/* True when the link may be written to. */
static bool dispatch(struct keeper *k, const struct epoll_event *ev)
{
    switch (ev->data.u64) {
    case WATCH_SIGNALS:
        on_signals(k);
        return false;
    case WATCH_ENGINE:
        if (!k->engine.ours && k->engine.pid)
            engine_vanished(k);
        return false;
    case WATCH_LINK:
        if (ev->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            link_read(k);
        return ev->events & EPOLLOUT;
    default:
        spawn_exec_ready(k, ev->data.u64);
        return false;
    }
}

static int timeout_until(const struct keeper *k, uint64_t now, uint64_t next)
{
    if (k->link.unread || next <= now)
        return 0;
    if (next == UINT64_MAX)
        return -1;
    return next - now > INT_MAX ? INT_MAX : (int)(next - now);
}

/* Does what is due and returns when the next thing is. */
static uint64_t tick(struct keeper *k, uint64_t now)
{
    uint64_t next = UINT64_MAX;

    engine_tick(k, now, &next);
    shutdown_tick(k, now, &next);
    upgrade_tick(k, now, &next);
    if (k->link.retry_ms)
        timer_due(&next, k->link.retry_ms);
    return next;
}

void loop_run(struct keeper *k)
{
    struct epoll_event events[EVENTS_A_TURN];
    bool writable = false;

    while (!k->quit) {
        uint64_t now = clock_mono_ms(), next = tick(k, now), woken;

        news_flush(k, writable, now);
        if (k->link.retry_ms)
            timer_due(&next, k->link.retry_ms);
        link_watch(k);
        if (k->quit)
            break;
        int timeout = timeout_until(k, now, next);
        int n = epoll_wait(k->epoll_fd, events, EVENTS_A_TURN, timeout);

        woken = clock_mono_ms();
        if (timeout >= 0 && woken > now + (unsigned)timeout + ASLEEP_MS)
            engine_forgive(k, woken);
        writable = false;
        for (int i = 0; i < n && !k->quit; i++)
            writable |= dispatch(k, &events[i]);
        if (k->link.unread && n <= 0)
            link_read(k);
    }
}
