#include "daemon/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "common/plog.h"

struct job {
    char *path;
    pid_t pid;
    struct err err;
    TAILQ_ENTRY(job) entry;
};

/* One queue is enough: it is used from the loop only, and holds at most one entry for each start and end. */
static struct {
    uv_work_t work;
    bool busy;
    struct job *current;
    TAILQ_HEAD(, job) waiting;
} queue = {.waiting = TAILQ_HEAD_INITIALIZER(queue.waiting)};

static void start_next(uv_loop_t *loop);

static void write_pid(struct job *j)
{
    char text[16], *slash;
    _cleanup_free_ char *folder = xstrdup(j->path);
    int len = snprintf(text, sizeof(text), "%d\n", (int)j->pid);

    slash = strrchr(folder, '/');
    if (slash && slash > folder) {
        *slash = '\0';
        if (fs_mkdirs(folder, 0755, &j->err) < 0)
            return;
    }
    /* Not through a link: the folder may belong to the app's user, and the daemon to root. */
    _cleanup_close_ int fd = open(j->path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        err_errno(&j->err, "cannot write %s", j->path);
    else if (fs_write_all(fd, text, (size_t)len) < 0)
        err_set(&j->err, -EIO, "cannot write %s", j->path);
}

static void do_job(uv_work_t *work)
{
    (void)work;
    if (queue.current->pid)
        write_pid(queue.current);
    else
        unlink(queue.current->path);
}

static void job_done(uv_work_t *work, int status)
{
    struct job *j = queue.current;

    (void)status;
    if (j->err.code)
        log_warn("%s", j->err.msg);
    free(j->path);
    free(j);
    queue.current = NULL;
    start_next(work->loop);
}

static void start_next(uv_loop_t *loop)
{
    queue.current = TAILQ_FIRST(&queue.waiting);
    queue.busy = queue.current != NULL;
    if (!queue.busy)
        return;
    TAILQ_REMOVE(&queue.waiting, queue.current, entry);
    uv_queue_work(loop, &queue.work, do_job, job_done);
}

void pid_file_put(uv_loop_t *loop, const char *path, pid_t pid)
{
    struct job *j = xcalloc(1, sizeof(*j));

    j->path = xstrdup(path);
    j->pid = pid;
    TAILQ_INSERT_TAIL(&queue.waiting, j, entry);
    if (!queue.busy)
        start_next(loop);
}
