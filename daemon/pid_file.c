#include "daemon/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/later.h"

struct job {
    struct later_job later;
    char *path;
    pid_t pid;
    struct err err;
};

static struct later queue;

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

static void do_job(struct later_job *later)
{
    struct job *j = (struct job *)later;

    if (j->pid)
        write_pid(j);
    else
        unlink(j->path);
}

static void job_done(struct later_job *later)
{
    struct job *j = (struct job *)later;

    if (j->err.code)
        log_warn("%s", j->err.msg);
    free(j->path);
    free(j);
}

void pid_file_put(uv_loop_t *loop, const char *path, pid_t pid)
{
    struct job *j = xcalloc(1, sizeof(*j));

    j->later.work = do_job;
    j->later.done = job_done;
    j->path = xstrdup(path);
    j->pid = pid;
    later_put(&queue, loop, &j->later, pid == 0); /* who stopped something does not expect it to linger */
}
