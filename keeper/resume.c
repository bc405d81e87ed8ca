/* The other half of an upgrade: the program after the exec takes over from what it was before. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/plog.h"
#include "keeper/handover.h"
#include "keeper/link.h"
#include "keeper/loop.h"
#include "keeper/ready.h"
#include "keeper/upgrade.h"

extern char **environ;

/* The kernel's name of a program that was replaced on disk; the new one is at the same place. */
static void cut_deleted(char *path)
{
    static const char mark[] = " (deleted)";
    size_t len = strlen(path), n = sizeof(mark) - 1;

    if (len > n && strcmp(path + len - n, mark) == 0)
        path[len - n] = '\0';
}

int upgrade_find_program(struct keeper *k)
{
    /* As it was called: a symbolic link may lead to another version later. */
    const char *called = (const char *)getauxval(AT_EXECFN);
    struct stat by_name, self;
    ssize_t n;

    if (called && called[0] == '/' && strncmp(called, "/proc/", 6) != 0 && strncmp(called, "/dev/", 5) != 0 &&
        strlen(called) < sizeof(k->program) && stat(called, &by_name) == 0 &&
        stat("/proc/self/exe", &self) == 0 && by_name.st_dev == self.st_dev &&
        by_name.st_ino == self.st_ino) {
        strcpy(k->program, called);
        return 0;
    }
    n = readlink("/proc/self/exe", k->program, sizeof(k->program) - 1);
    if (n <= 0)
        return n < 0 ? -errno : -ENOENT;
    k->program[n] = '\0';
    cut_deleted(k->program);
    return 0;
}

/* Everything that epoll has to know. */
static int watch_all(struct keeper *k)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = WATCH_ENGINE};
    struct record *r;

    if (!k->engine.ours && epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, k->engine.pidfd, &ev) < 0)
        return -errno;
    TAILQ_FOREACH (r, &k->table.all, all) {
        ev.data.u64 = r->token;
        if (r->exec_fd >= 0 && epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, r->exec_fd, &ev) < 0)
            return -errno;
    }
    ev.data.u64 = WATCH_LINK;
    if (epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, k->link.fd, &ev) < 0)
        return -errno;
    k->link.watched = ev.events;
    return 0;
}

static int take_over(struct keeper *k, int state_fd, struct err *e)
{
    int rc = handover_read(k, state_fd, e);

    if (rc == 0 && (k->link.fd < 0 || k->engine.pid <= 0 || k->table.self.fds[KW_FD_LOCK] < 0))
        rc = err_set(e, -EBADMSG, "what the keeper wrote names no engine, or no lock");
    if (rc == 0)
        rc = loop_init(k, e);
    if (rc == 0 && (rc = watch_all(k)) < 0)
        err_set(e, rc, "cannot watch what there is: %s", strerror(-rc));
    return rc;
}

/* A child that is not there to be waited for was waited for by another program of this process: a script in
 * place of pmd, whose shell takes any child for its own. The engine learns its end by the pidfd then. */
static void give_up_lost(struct keeper *k)
{
    struct record *r;

    TAILQ_FOREACH (r, &k->table.all, all) {
        siginfo_t si;

        if (!r->in_pids || waitid(P_PID, (id_t)r->pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0 ||
            errno != ECHILD)
            continue;
        log_warn("run %llu, pid %d, is no child of this keeper any more", (unsigned long long)r->token,
                 (int)r->pid);
        table_clear_pid(r);
        r->flags |= KW_FOREIGN | KW_EXEC_KNOWN;
    }
}

/* The image that wrote the file can surely read it. All descriptors are as it left them. */
void upgrade_go_back(const struct keeper *k, const struct keeper_options *o)
{
    char state[16];
    char *program = k->program[0] ? (char *)k->program : (char *)"pmd";
    char *argv[] = {program, (char *)"--resume-fd", state, (char *)"--home", (char *)o->home, NULL};

    if (o->previous_fd <= 0)
        return; /* this is it */
    snprintf(state, sizeof(state), "%d", o->resume_fd);
    fcntl(o->previous_fd, F_SETFD, FD_CLOEXEC);
    execveat(o->previous_fd, "", argv, environ, AT_EMPTY_PATH);
    log_error("cannot execute the image of the keeper before: %s", strerror(errno));
}

int upgrade_resume(struct keeper *k, const struct keeper_options *o)
{
    bool went_back = o->previous_fd <= 0;
    struct err e;

    if (take_over(k, o->resume_fd, &e) < 0) {
        log_error("cannot take over from the keeper that this was: %s", e.msg);
        return 1;
    }
    handover_keep_open(k, false);
    give_up_lost(k);
    close(o->resume_fd);
    if (!went_back)
        close(o->previous_fd);
    k->ready_fd = READY_DONE;
    k->link.hello = k->link.synced = true;
    k->engine.heard_ms = clock_mono_ms();
    k->upgrade.asked_by = k->engine.starts;
    k->link.upgraded_owed = true;
    if (went_back) {
        k->engine.fell_back = k->engine.image >= 0;
        k->upgrade.error = ECANCELED;
        snprintf(k->upgrade.trouble, sizeof(k->upgrade.trouble),
                 "%.80s could not take over; the keeper before it goes on (see pmd.log)", k->program);
    }
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        log_warn("cannot become a subreaper: %s", strerror(errno));
    /* Whoever ended meanwhile: a pending SIGCHLD may be gone, as setting its default action discards it. */
    raise(SIGCHLD);
    log_info("the same keeper, now pm %s; %u runs and %u sockets are kept", PM_VERSION, k->table.count,
             k->table.n_sockets);
    return 0;
}
