/*
 * Takes back a child that outlived keeper and engine: found by its pid and start time in state.db, its pipes
 * by their inodes among its own descriptors (a child's stdout is the pipe itself, opened for reading and
 * writing, so a reader can be opened anew). Lost are what the spools held and the Node channel.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/plog.h"
#include "daemon/engine.h"
#include "daemon/engine_listen.h"

/* Opens the pipe with this inode through whatever descriptor of the process refers to it. -1 when none does.
 */
static int open_pipe(pid_t pid, uint64_t inode, int flags)
{
    char path[320], link[64], want[64];
    struct dirent *entry;
    DIR *dir;
    int fd = -1;

    if (!inode)
        return -1;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    snprintf(want, sizeof(want), "pipe:[%llu]", (unsigned long long)inode);
    dir = opendir(path);
    while (dir && fd < 0 && (entry = readdir(dir))) {
        ssize_t n;

        snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid, entry->d_name);
        n = readlink(path, link, sizeof(link) - 1);
        if (n <= 0)
            continue;
        link[n] = '\0';
        if (strcmp(link, want) == 0)
            fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
    }
    if (dir)
        closedir(dir);
    return fd;
}

bool engine_adopt(struct engine *e, struct process *p, const struct run_pipes *pipes)
{
    struct kw_msg m = {.type = KW_ADOPT,
                       .token = p->run,
                       .proc = p->id,
                       .pid = p->pid,
                       .start_ticks = p->start_ticks,
                       .start_us = p->started_ms * 1000};
    struct hold *hold;
    uint64_t ticks = 0;
    int pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);

    /* The start time is read after the pidfd is held: from then on the pid cannot become another process's.
     */
    if (pidfd < 0 || fs_proc_start_ticks(p->pid, &ticks) < 0 || ticks != p->start_ticks) {
        if (pidfd >= 0)
            close(pidfd);
        return false;
    }
    hold = holds_make(&e->holds, p->run);
    hold->proc = p->id;
    hold->pid = p->pid;
    hold->start_ticks = p->start_ticks;
    hold->start_us = m.start_us;
    hold->foreign = true;
    if (p->run >= e->foreign_below)
        e->foreign_below = p->run + 1;
    hold_set(hold, KW_FD_PIDFD, pidfd);
    hold_set(hold, KW_FD_STDOUT, open_pipe(p->pid, pipes->out, O_RDONLY));
    hold_set(hold, KW_FD_STDERR, open_pipe(p->pid, pipes->err, O_RDONLY));
    hold_set(hold, KW_FD_STDIN, open_pipe(p->pid, pipes->in, O_WRONLY));
    for (int kind = 1; kind < KW_FD_COUNT; kind++)
        if (hold->fds[kind] >= 0)
            kw_add_fd(&m, (enum kw_fd)kind, hold->fds[kind]);
    m.note_len = (uint16_t)process_note_write(p, m.note, sizeof(m.note));
    engine_send(e, &m);
    engine_listen_take_back(e, p, pidfd);
    engine_attach_process_logs(e, p);
    log_info("took back %s (id %u, pid %d), which outlived the last daemon", p->app->spec->name, p->id,
             (int)p->pid);
    return true;
}
