#include "keeper/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/plog.h"
#include "keeper/child.h"
#include "keeper/kept.h"
#include "keeper/news.h"

/* Everything a spawn opens, so that one place closes what was not passed on. */
struct ends {
    int ours[3];
    int childs[3];
    int ipc[2]; /* ours, the child's */
    int err[2]; /* read end, write end */
    int birth;  /* came with the request; only the child may have it beyond the fork */
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void ends_close(struct ends *e)
{
    for (int i = 0; i < 3; i++) {
        close_fd(&e->ours[i]);
        close_fd(&e->childs[i]);
    }
    for (int i = 0; i < 2; i++) {
        close_fd(&e->ipc[i]);
        close_fd(&e->err[i]);
    }
    close_fd(&e->birth);
}

/*
 * The child's end is the pipe opened again for reading and writing: so it never gets SIGPIPE while nobody
 * reads its output, nor an end of file on stdin when the daemon is away. The new open file is a blocking one,
 * while ours is not.
 */
static int open_pipe(int target, uid_t uid, int *ours, int *childs)
{
    char path[40];
    int p[2], end = target == 0 ? 0 : 1;

    if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    *ours = p[1 - end];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", p[end]);
    *childs = open(path, O_RDWR | O_CLOEXEC);
    int rc = *childs < 0 ? -errno : 0;
    /* Opening /dev/stdout checks the owner of the pipe, which must be the user that the child becomes. */
    if (rc == 0 && uid != geteuid() && fchown(*childs, uid, (gid_t)-1) < 0 && errno != EPERM)
        rc = -errno; /* without the right, becoming that user will fail as well, and says so better */
    close(p[end]);
    return rc;
}

static int ends_open(struct ends *e, const struct kw_msg *m)
{
    int rc, flags;

    for (int i = 0; i < 3; i++)
        if ((rc = open_pipe(i, m->uid, &e->ours[i], &e->childs[i])) < 0)
            return rc;
    if (pipe2(e->err, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    if (!(m->flags & KW_WANT_IPC))
        return 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, e->ipc) < 0)
        return -errno;
    flags = fcntl(e->ipc[0], F_GETFL);
    return fcntl(e->ipc[0], F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/* Forks and execs. 0 with the record's pid and pidfd set, or -errno. */
static int fork_child(struct keeper *k, struct record *r, const struct spawn_spec *spec, const int *sockets,
                      struct ends *e)
{
    struct child_setup setup = {.spec = spec,
                                .stdio = {e->childs[0], e->childs[1], e->childs[2]},
                                .sockets = sockets,
                                .ipc = e->ipc[1],
                                .err = e->err[1],
                                .birth = e->birth,
                                .nofile = k->child_nofile};
    pid_t pid;
    int pidfd;

    r->start_us = clock_wall_us();
    pid = fork();
    if (pid == 0)
        child_run(&setup);
    if (pid < 0)
        return -errno;
    pidfd = pidfd_open(pid, 0); /* not reaped yet, so the pid is surely this child's */
    if (pidfd < 0) {
        int saved = errno;

        kill(pid, SIGKILL); /* reaped later like any stranger */
        return -saved;
    }
    record_hold(r, KW_FD_PIDFD, pidfd);
    table_set_pid(&k->table, r, pid);
    if (fs_proc_start_ticks(pid, &r->start_ticks) < 0)
        r->start_ticks = 0;
    return 0;
}

static void keep_ends(struct record *r, struct ends *e)
{
    static const enum kw_fd kinds[3] = {KW_FD_STDIN, KW_FD_STDOUT, KW_FD_STDERR};

    for (int i = 0; i < 3; i++) {
        record_hold(r, kinds[i], e->ours[i]);
        e->ours[i] = -1;
    }
    if (e->ipc[0] >= 0)
        record_hold(r, KW_FD_IPC, e->ipc[0]);
    e->ipc[0] = -1;
    r->exec_fd = e->err[0];
    e->err[0] = -1;
}

/* The record exists already, so that no step after the fork can fail for want of memory. */
static int spawn_record(struct keeper *k, struct record *r, struct kw_msg *m, int *step)
{
    struct spawn_spec spec = {0};
    struct ends ends = {{-1, -1, -1}, {-1, -1, -1}, {-1, -1}, {-1, -1}, kw_take_fd(m, KW_FD_BIRTH)};
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = r->token};
    int spec_fd = kw_take_fd(m, KW_FD_SPEC), sockets[SPAWN_SOCKETS_MAX], rc;

    *step = KW_STEP_SPEC;
    rc = spec_fd < 0 ? -EBADF : spawn_spec_map(spec_fd, &spec);
    if (rc == 0) {
        *step = KW_STEP_SOCKET;
        rc = kept_find(k, &spec, sockets);
    }
    if (rc == 0) {
        *step = KW_STEP_PIPE;
        rc = ends_open(&ends, m);
    }
    if (rc == 0 && epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, ends.err[0], &ev) < 0)
        rc = -errno;
    if (rc == 0) {
        *step = KW_STEP_FORK;
        rc = fork_child(k, r, &spec, sockets, &ends);
    }
    if (rc == 0) {
        keep_ends(r, &ends);
        record_hold(r, KW_FD_SPEC, spec_fd);
        spec_fd = -1;
    }
    /* The write end of the error pipe must be gone before the next fork, or the next child would hold this
     * one's exec open. */
    ends_close(&ends);
    spawn_spec_unmap(&spec);
    close_fd(&spec_fd);
    return rc;
}

int spawn_child(struct keeper *k, struct kw_msg *m, int *step)
{
    struct record *r;
    int rc;

    *step = KW_STEP_SPEC;
    if (m->token == 0 || m->token > TOKEN_LAST || is_socket_token(m->token))
        return -EINVAL;
    r = table_add(&k->table, m->token);
    if (!r) {
        *step = errno == EEXIST ? KW_STEP_SPEC : KW_STEP_TABLE;
        return -errno;
    }
    r->proc = m->proc;
    r->note_len = m->note_len;
    memcpy(r->note, m->note, m->note_len);
    rc = spawn_record(k, r, m, step);
    if (rc < 0) {
        table_remove(&k->table, r);
        return rc;
    }
    news_say(k, r, SAY_CHILD);
    return 0;
}

/* Closing alone would not take it out of epoll while a child between fork and exec has a copy. */
static void forget_exec_pipe(struct keeper *k, struct record *r)
{
    epoll_ctl(k->epoll_fd, EPOLL_CTL_DEL, r->exec_fd, NULL);
    close_fd(&r->exec_fd);
}

/* Reads the error pipe. False while there is nothing yet. */
static bool learn_exec(struct keeper *k, struct record *r)
{
    struct exec_error e = {0, 0};
    ssize_t n;

    if (r->exec_fd < 0)
        return true;
    do
        n = read(r->exec_fd, &e, sizeof(e));
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return false;
    forget_exec_pipe(k, r);
    if (n == (ssize_t)sizeof(e)) {
        r->step = e.step;
        r->error = e.error;
    }
    r->flags |= KW_EXEC_KNOWN;
    news_say(k, r, SAY_EXEC);
    return true;
}

void spawn_exec_ready(struct keeper *k, uint64_t token)
{
    struct record *r = table_find(&k->table, token);

    if (r && r->token)
        learn_exec(k, r);
}

static uint64_t timeval_us(const struct timeval *tv)
{
    return (uint64_t)tv->tv_sec * 1000000u + (uint64_t)tv->tv_usec;
}

void spawn_reaped(struct keeper *k, struct record *r, int wait_status, const struct rusage *ru)
{
    table_clear_pid(r);
    r->reaped = true;
    /* The child is dead, so whatever it had to say about its exec is in the pipe: it is told first. */
    if (!learn_exec(k, r)) {
        forget_exec_pipe(k, r);
        r->flags |= KW_EXEC_KNOWN;
        news_say(k, r, SAY_EXEC);
    }
    if (r->error)
        return; /* a failed exec is a failed start, not an exit; the engine has been told */
    r->wait_status = wait_status;
    r->end_us = clock_wall_us();
    r->utime_us = timeval_us(&ru->ru_utime);
    r->stime_us = timeval_us(&ru->ru_stime);
    r->maxrss_bytes = (uint64_t)ru->ru_maxrss * 1024u;
    r->flags |= KW_HAS_EXITED;
    news_say(k, r, SAY_EXIT);
}
