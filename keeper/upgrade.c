#include "keeper/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/plog.h"
#include "keeper/child.h"
#include "keeper/handover.h"
#include "keeper/spawn.h"
#include "keeper/timer.h"

#define PROBE_MS  5000u
#define SETTLE_MS 5000u /* until the engine has read what is under way to it */
#define AGAIN_MS  10u

#define TEXT_OF(x)  TEXT_OF_(x)
#define TEXT_OF_(x) #x

extern char **environ;

static void answer(struct keeper *k, int error)
{
    k->upgrade.phase = UPGRADE_NONE;
    k->upgrade.error = error;
    k->link.upgraded_owed = k->engine.starts == k->upgrade.asked_by && k->link.fd >= 0;
}

__attribute__((format(printf, 2, 3))) static void fail(struct keeper *k, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(k->upgrade.trouble, sizeof(k->upgrade.trouble), fmt, ap);
    va_end(ap);
    log_error("not updated: %s", k->upgrade.trouble);
    answer(k, ECANCELED);
}

static _Noreturn void probe_exec(struct keeper *k, int err)
{
    char *argv[] = {k->program, (char *)"--check-upgrade", (char *)TEXT_OF(HANDOVER_VERSION), NULL};
    struct exec_error e = {KW_STEP_EXEC, 0};
    ssize_t ignored;

    child_reset_signals(NULL);
    err = fcntl(err, F_DUPFD_CLOEXEC, 4);
    if (err >= 0 && dup3(err, 3, O_CLOEXEC) == 3) {
        err = 3;
        close_range(4, ~0u, 0);
        execve(argv[0], argv, environ);
    }
    e.error = errno;
    ignored = write(err, &e, sizeof(e));
    (void)ignored;
    _exit(127);
}

void upgrade_begin(struct keeper *k)
{
    struct upgrade *u = &k->upgrade;
    int err[2];
    pid_t pid;

    if (u->phase != UPGRADE_NONE) {
        log_warn("the engine asks for an update while one is under way");
        return;
    }
    u->asked_by = k->engine.starts;
    u->trouble[0] = '\0';
    if (pipe2(err, O_CLOEXEC | O_NONBLOCK) < 0) {
        fail(k, "cannot create a pipe: %s", strerror(errno));
        return;
    }
    pid = fork();
    if (pid == 0)
        probe_exec(k, err[1]);
    close(err[1]);
    if (pid < 0) {
        close(err[0]);
        fail(k, "cannot fork: %s", strerror(errno));
        return;
    }
    u->phase = UPGRADE_PROBE;
    u->probe = pid;
    u->probe_err = err[0];
    u->overdue = false;
    u->deadline_ms = clock_mono_ms() + PROBE_MS;
}

static void judge_probe(struct keeper *k, int status, const struct exec_error *x)
{
    struct upgrade *u = &k->upgrade;

    if (u->overdue) {
        fail(k, "%.80s does not say within %u s whether it can take over", k->program, PROBE_MS / 1000);
    } else if (x->error) {
        fail(k, "cannot execute %.80s: %s", k->program, strerror(x->error));
    } else if (WIFSIGNALED(status)) {
        fail(k, "%.80s was ended by signal %d (%s) when it was tried", k->program, WTERMSIG(status),
             strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) != KEEPER_CAN_UPGRADE) {
        fail(k, "%.80s cannot take over from this keeper (it ended with exit status %d; see pmd.log)",
             k->program, WEXITSTATUS(status));
    } else {
        u->phase = UPGRADE_SETTLE;
        u->deadline_ms = clock_mono_ms() + SETTLE_MS;
    }
}

bool upgrade_reaped(struct keeper *k, pid_t pid, int wait_status)
{
    struct upgrade *u = &k->upgrade;
    struct exec_error x;

    if (u->phase != UPGRADE_PROBE || pid != u->probe)
        return false;
    if (read(u->probe_err, &x, sizeof(x)) != (ssize_t)sizeof(x))
        x.error = 0;
    close(u->probe_err);
    u->probe = 0;
    u->probe_err = -1;
    judge_probe(k, wait_status, &x);
    return true;
}

/* Nothing is owed on the link, so that the next program finds it as if it had opened it itself. */
static bool link_rests(const struct link *l)
{
    return l->hello && l->synced && !l->welcome_owed && !l->upgraded_owed && !l->has_refused &&
           !l->snapshot_open && !l->reopen_owed && !l->blocked && TAILQ_EMPTY(&l->snapshot) &&
           TAILQ_EMPTY(&l->news);
}

/* Only comes back when the exec failed, with a positive errno. */
static int exec_program(struct keeper *k, int state_fd, int own_fd)
{
    char state[16], own[16];
    char *argv[] = {k->program, (char *)"--resume-fd", state,        (char *)"--previous-fd",
                    own,        (char *)"--home",      k->home.path, NULL};
    int error;

    snprintf(state, sizeof(state), "%d", state_fd);
    snprintf(own, sizeof(own), "%d", own_fd);
    handover_keep_open(k, true);
    fcntl(state_fd, F_SETFD, 0);
    fcntl(own_fd, F_SETFD, 0);
    execve(argv[0], argv, environ);
    error = errno;
    handover_keep_open(k, false);
    return error;
}

static void become(struct keeper *k)
{
    int own_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC), state_fd = -1, error;
    bool fell_back = k->engine.fell_back;
    struct err e = {0};

    if (own_fd < 0)
        err_errno(&e, "cannot open /proc/self/exe");
    k->engine.fell_back = false; /* the next engine is that of the installed program */
    if (own_fd >= 0)
        state_fd = handover_write(k, &e);
    if (state_fd >= 0) {
        log_info("pm %s: becoming %s", PM_VERSION, k->program);
        error = exec_program(k, state_fd, own_fd);
        err_set(&e, -error, "cannot execute %.80s: %s", k->program, strerror(error));
        close(state_fd);
    }
    if (own_fd >= 0)
        close(own_fd);
    k->engine.fell_back = fell_back;
    fail(k, "%.180s", e.msg);
}

static void settle(struct keeper *k, uint64_t now_ms, uint64_t *next)
{
    const struct link *l = &k->link;

    if (k->shutdown.wanted)
        fail(k, "the daemon is shutting down");
    else if (k->engine.starts != k->upgrade.asked_by || l->fd < 0 || l->ended || l->deaf || k->engine.hushed)
        fail(k, "the engine ended while it was under way");
    else if (link_rests(l))
        become(k);
    else if (now_ms >= k->upgrade.deadline_ms)
        fail(k, "the engine does not read what the keeper has to tell");
    else
        timer_due(next, now_ms + AGAIN_MS);
}

void upgrade_tick(struct keeper *k, uint64_t now_ms, uint64_t *next)
{
    struct upgrade *u = &k->upgrade;

    if (u->phase == UPGRADE_SETTLE)
        settle(k, now_ms, next);
    if (u->phase != UPGRADE_PROBE || u->overdue)
        return;
    /* It is not reaped yet, so the pid is surely still its own. */
    if (now_ms >= u->deadline_ms || k->shutdown.wanted) {
        u->overdue = true;
        kill(u->probe, SIGKILL);
        return;
    }
    timer_due(next, u->deadline_ms);
}
