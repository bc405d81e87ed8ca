#include "daemon/foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"

/* From linux/pidfd.h of 6.15; Debian 12's headers are older. The first version of the structure is 64 bytes.
 */
struct pidfd_info_v0 {
    uint64_t mask;
    uint64_t cgroupid;
    uint32_t pid, tgid, ppid;
    uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code; /* as waitpid's status */
};
#define PIDFD_GET_INFO_V0 _IOWR(0xFF, 11, struct pidfd_info_v0)
#define PIDFD_INFO_EXIT   (1u << 3)

/* How long the new parent may take to reap, before the status is called unknown. */
#define REAP_POLL_MS  5u
#define REAP_POLL_MAX 400

struct foreign {
    uv_poll_t poll;
    uv_timer_t timer;
    int handles;
    int pidfd;
    pid_t pid;
    uint64_t run;
    foreign_cb ended;
    void *arg;
    int tries;
    bool over;
};

/* 1 and the status; 0 when it is not reaped yet, -ENOSYS when the kernel cannot tell. */
static int status_of_reaped(int pidfd, int *wait_status)
{
    struct pidfd_info_v0 info = {.mask = PIDFD_INFO_EXIT};

    if (ioctl(pidfd, PIDFD_GET_INFO_V0, &info) < 0)
        return errno == ESRCH || errno == EREMCHG ? 0 : -ENOSYS;
    if (!(info.mask & PIDFD_INFO_EXIT))
        return 0;
    *wait_status = info.exit_code;
    return 1;
}

/*
 * The last field of a zombie's stat is its wait status; to whom it does not belong the kernel shows 0 there,
 * so the owner is checked: that of the folder, for the files of a zombie all belong to root. The pidfd is
 * readable by now, so while there is a zombie of this pid it is the one.
 */
static bool status_of_zombie(pid_t pid, int *wait_status)
{
    char path[64], text[1024];
    const char *state, *last;
    struct stat st;
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    if (stat(path, &st) < 0 || (geteuid() != 0 && (st.st_uid != geteuid() || st.st_gid != getegid())))
        return false;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return false;
    text[n] = '\0';
    state = strrchr(text, ')');
    last = strrchr(text, ' ');
    if (!state || state[1] != ' ' || state[2] != 'Z' || !last)
        return false;
    *wait_status = atoi(last + 1);
    return true;
}

static void on_closed(uv_handle_t *handle)
{
    struct foreign *f = handle->data;

    if (--f->handles == 0)
        free(f);
}

void foreign_unwatch(struct foreign *f)
{
    if (!f || f->over)
        return;
    f->over = true;
    uv_close((uv_handle_t *)&f->poll, on_closed);
    uv_close((uv_handle_t *)&f->timer, on_closed);
}

static void look(struct foreign *f)
{
    int status = 0, rc = status_of_zombie(f->pid, &status) ? 1 : status_of_reaped(f->pidfd, &status);

    if (rc == 0 && ++f->tries < REAP_POLL_MAX)
        return;
    foreign_unwatch(f);
    f->ended(f->arg, f->run, rc == 1, status);
}

static void on_timer(uv_timer_t *timer)
{
    look(timer->data);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct foreign *f = poll->data;

    (void)status;
    (void)events;
    uv_poll_stop(poll);
    uv_timer_start(&f->timer, on_timer, REAP_POLL_MS, REAP_POLL_MS);
    look(f);
}

struct foreign *foreign_watch(uv_loop_t *loop, int pidfd, pid_t pid, uint64_t run, foreign_cb ended,
                              void *arg)
{
    struct foreign *f = xcalloc(1, sizeof(*f));

    f->pidfd = pidfd;
    f->pid = pid;
    f->run = run;
    f->ended = ended;
    f->arg = arg;
    if (pidfd < 0 || uv_poll_init(loop, &f->poll, pidfd) < 0) {
        free(f);
        return NULL;
    }
    uv_timer_init(loop, &f->timer);
    f->poll.data = f;
    f->timer.data = f;
    f->handles = 2;
    uv_poll_start(&f->poll, UV_READABLE, on_readable);
    return f;
}
