#include "daemon/adopt_ask.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "daemon/adopt_check.h"

/* Freed when the thread is done with it and the timer is closed: one who no longer waits does not wait for a
 * thread that hangs. */
struct adopt_ask {
    uv_work_t work;
    uv_timer_t canceled;
    bool working, timing;
    adopt_cb cb; /* NULL: answered or forgotten */
    void *arg;
    char *program, *path, *cwd;
    char *library;
    struct err err;
};

static void free_when_done(struct adopt_ask *a)
{
    if (a->working || a->timing)
        return;
    free(a->program);
    free(a->path);
    free(a->cwd);
    free(a->library);
    free(a);
}

static void on_closed(uv_handle_t *handle)
{
    struct adopt_ask *a = handle->data;

    a->timing = false;
    free_when_done(a);
}

static void answer(struct adopt_ask *a)
{
    adopt_cb cb = a->cb;

    if (!cb)
        return;
    a->cb = NULL;
    uv_close((uv_handle_t *)&a->canceled, on_closed);
    cb(a->arg, a->err.code < 0 ? NULL : a->library, &a->err);
}

static void work(uv_work_t *w)
{
    struct adopt_ask *a = w->data;

    if (adopt_check(a->program, a->path, a->cwd, &a->err) == 0)
        a->library = adopt_library(&a->err);
}

static void worked(uv_work_t *w, int status)
{
    struct adopt_ask *a = w->data;

    a->working = false;
    if (status < 0)
        err_set(&a->err, -ECANCELED, "not wanted any more");
    /* Cancelled: that is the answer, though the thread was faster than the timer. */
    if (!uv_is_active((uv_handle_t *)&a->canceled))
        answer(a);
    free_when_done(a);
}

static void on_canceled(uv_timer_t *timer)
{
    struct adopt_ask *a = timer->data;
    struct err canceled = {0};
    adopt_cb cb = a->cb;

    /* The thread may still write into its own error. */
    err_set(&canceled, -ECANCELED, "not wanted any more");
    a->cb = NULL;
    uv_close((uv_handle_t *)timer, on_closed);
    cb(a->arg, NULL, &canceled);
}

static void on_no_thread(uv_timer_t *timer)
{
    answer(timer->data);
}

struct adopt_ask *adopt_ask(uv_loop_t *loop, const char *program, const char *path, const char *cwd,
                            adopt_cb cb, void *arg)
{
    struct adopt_ask *a = xcalloc(1, sizeof(*a));
    int rc;

    a->cb = cb;
    a->arg = arg;
    a->program = xstrdup(program);
    a->path = xstrdup(path);
    a->cwd = xstrdup(cwd);
    uv_timer_init(loop, &a->canceled);
    a->canceled.data = a->work.data = a;
    a->timing = a->working = true;
    rc = uv_queue_work(loop, &a->work, work, worked);
    if (rc < 0) {
        a->working = false;
        err_set(&a->err, rc, "cannot look at %s: %s", program, uv_strerror(rc));
        uv_timer_start(&a->canceled, on_no_thread, 0, 0);
    }
    return a;
}

/* When no thread has begun with it. */
static void drop_work(struct adopt_ask *a)
{
    if (a->working)
        uv_cancel((uv_req_t *)&a->work);
}

void adopt_ask_cancel(struct adopt_ask *a)
{
    drop_work(a);
    uv_timer_start(&a->canceled, on_canceled, 0, 0);
}

void adopt_ask_forget(struct adopt_ask *a)
{
    drop_work(a);
    a->cb = NULL;
    uv_close((uv_handle_t *)&a->canceled, on_closed);
}
