/* Trees on libuv's thread pool. */
#include <errno.h>
#include <stdlib.h>

#include "common/mem.h"
#include "common/plog.h"
#include "daemon/tree_proc.h"

struct request {
    uv_work_t work;
    struct tree_job job;
    tree_done_cb done;
    void *arg;
    int alive;
};

static int scan_child(const struct tree_ctx *ctx, const struct tree_run *run, struct tree_member **out)
{
    (void)ctx;
    return tree_scan_child(run, out);
}

/* Root first: a parent that knows of the stop does not replace the children that the stop ends. */
static int signal_all(struct tree_member *members, int n, int sig)
{
    int alive = 0;

    for (int i = 0; i < n; i++)
        if (tree_signal_member(&members[i], sig) != -ESRCH)
            alive++;
    return alive;
}

static int look(const struct tree_job *job)
{
    struct tree_member *members = NULL;
    int n;

    if (job->child_only)
        n = tree_scan_child(&job->run, &members);
    else
        n = tree_scan_any(&job->ctx, &job->run, &members);
    if (n > 0 && job->op == TREE_SIGNAL)
        n = signal_all(members, n, job->sig);
    free(members);
    return n;
}

static void work_cb(uv_work_t *work)
{
    struct request *r = work->data;

    if (r->job.op != TREE_KILL)
        r->alive = look(&r->job);
    else if (r->job.child_only)
        r->alive = tree_kill_by(scan_child, &r->job.ctx, &r->job.run);
    else
        r->alive = tree_kill(&r->job.ctx, &r->job.run);
}

static void after_cb(uv_work_t *work, int status)
{
    struct request *r = work->data;

    /* Never "empty" on a failure: a process that is still there must not be taken for gone. */
    if (status < 0 || r->alive < 0) {
        log_warn("cannot look at the processes of run %llu: %s", (unsigned long long)r->job.run.run,
                 uv_strerror(status < 0 ? status : r->alive));
        r->alive = 1;
    }
    r->done(r->arg, &r->job, (unsigned)r->alive);
    free(r);
}

void tree_submit(uv_loop_t *loop, const struct tree_job *job, tree_done_cb done, void *arg)
{
    struct request *r = xcalloc(1, sizeof(*r));

    r->work.data = r;
    r->job = *job;
    r->done = done;
    r->arg = arg;
    uv_queue_work(loop, &r->work, work_cb, after_cb);
}
