#include "daemon/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "common/plog.h"

/* Creating a file costs about as much as starting a process. So it waits until a start of many is through. */
#define PUT_DELAY_MS 50

struct job {
    char *path;
    pid_t pid;
    struct err err;
    STAILQ_ENTRY(job) entry;
};

/* What came within the delay; written by one visit to the thread pool. */
struct batch {
    uv_timer_t timer;
    uv_work_t work;
    bool due;
    STAILQ_HEAD(, job) jobs;
};

/* Used from the loop only. While one batch is being written the next one collects, so the order is kept. */
static struct batch *collecting, *working;

static int open_pid(const char *path)
{
    /* Not through a link: the folder may belong to the app's user, and the daemon to root. */
    return open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
}

static int make_folder(struct job *j)
{
    const char *slash = strrchr(j->path, '/');
    _cleanup_free_ char *folder = NULL;

    if (!slash || slash == j->path)
        return 0;
    folder = xstrndup(j->path, (size_t)(slash - j->path));
    return fs_mkdirs(folder, 0755, &j->err);
}

static void write_pid(struct job *j)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%d\n", (int)j->pid);
    _cleanup_close_ int fd = open_pid(j->path);
    struct stat st;

    if (fd < 0 && errno == ENOENT) {
        if (make_folder(j) < 0)
            return;
        fd = open_pid(j->path);
    }
    if (fd < 0)
        err_errno(&j->err, "cannot write %s", j->path);
    else if (fs_write_all(fd, text, (size_t)len) < 0)
        err_set(&j->err, -EIO, "cannot write %s", j->path);
    /* Cut afterwards instead of emptied before: the block on disk stays, and a reader never finds nothing. */
    else if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > len && ftruncate(fd, len) < 0)
        err_errno(&j->err, "cannot cut %s", j->path);
}

static void do_batch(uv_work_t *work)
{
    struct batch *b = work->data;
    struct job *j;

    STAILQ_FOREACH(j, &b->jobs, entry)
    {
        if (j->pid)
            write_pid(j);
        else
            unlink(j->path);
    }
}

static void start_if_due(void);

static void batch_done(uv_work_t *work, int status)
{
    struct batch *b = work->data;
    struct job *j;

    (void)status;
    while ((j = STAILQ_FIRST(&b->jobs))) {
        STAILQ_REMOVE_HEAD(&b->jobs, entry);
        if (j->err.code)
            log_warn("%s", j->err.msg);
        free(j->path);
        free(j);
    }
    free(b);
    working = NULL;
    start_if_due();
}

static void timer_closed(uv_handle_t *timer)
{
    struct batch *b = timer->data;

    uv_queue_work(timer->loop, &b->work, do_batch, batch_done);
}

static void start_if_due(void)
{
    if (working || !collecting || !collecting->due)
        return;
    working = collecting;
    collecting = NULL;
    uv_close((uv_handle_t *)&working->timer, timer_closed);
}

static void on_due(uv_timer_t *timer)
{
    struct batch *b = timer->data;

    b->due = true;
    start_if_due();
}

static struct batch *batch_new(uv_loop_t *loop)
{
    struct batch *b = xcalloc(1, sizeof(*b));

    STAILQ_INIT(&b->jobs);
    b->work.data = b->timer.data = b;
    uv_timer_init(loop, &b->timer);
    uv_timer_start(&b->timer, on_due, PUT_DELAY_MS, 0);
    return b;
}

void pid_file_put(uv_loop_t *loop, const char *path, pid_t pid)
{
    struct job *j = xcalloc(1, sizeof(*j));

    if (!collecting)
        collecting = batch_new(loop);
    j->path = xstrdup(path);
    j->pid = pid;
    STAILQ_INSERT_TAIL(&collecting->jobs, j, entry);
    if (!pid && !collecting->due) /* who stopped something does not expect the file to linger */
        uv_timer_start(&collecting->timer, on_due, 0, 0);
}
