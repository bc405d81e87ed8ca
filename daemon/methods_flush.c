/* flush: empties the log files of processes and forgets their stored lines. */
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/plog.h"
#include "daemon/log_paths.h"
#include "daemon/methods.h"
#include "daemon/outcome.h"
#include "daemon/selector.h"

struct flush_request {
    struct engine *engine;
    struct rpc_request *request;
    uint32_t *ids;
    size_t n;
};

static void on_wiped(void *arg, int rc, unsigned files, const char *msg)
{
    struct flush_request *f = arg;

    if (rc < 0) {
        rpc_fail(f->request, RPC_FAILED, "%s", msg);
    } else {
        struct outcome *o = outcome_new(f->engine, f->request);

        for (size_t i = 0; i < f->n; i++) {
            const struct process *p = supervisor_by_id(f->engine->sup, f->ids[i]);

            if (p)
                outcome_process(o, p, NULL);
        }
        outcome_set(o, "files", json_integer(files));
        outcome_close(o);
    }
    free(f->ids);
    free(f);
}

static void add_paths(struct engine *e, const struct process *p, char ***paths)
{
    struct log_paths l;

    log_paths_init(&l, p->app->spec, e->home.path, p->id);
    strv_push(paths, xstrdup(l.out));
    strv_push(paths, xstrdup(l.err));
    if (l.both)
        strv_push(paths, xstrdup(l.both));
    log_paths_deinit(&l);
}

/* The daemon's own log, when it goes to a file; it is opened for appending. */
static void empty_own_log(void)
{
    struct stat st;

    if (fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode) && ftruncate(STDERR_FILENO, 0) < 0)
        log_warn("the daemon's own log cannot be emptied");
}

static void select_all(struct engine *e, struct selection *sel)
{
    struct process *p;

    *sel = (struct selection){0};
    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        sel->v = xrealloc(sel->v, (sel->n + 1) * sizeof(struct process *));
        sel->v[sel->n++] = p;
    }
}

void method_flush(void *engine, struct rpc_request *r)
{
    bool all = !json_object_get(r->params, "selectors");
    struct engine *e = engine;
    struct log_wipe_request what = {0};
    struct flush_request *f;
    char **paths = strv_dup(NULL);
    struct selection sel;

    if (all) {
        select_all(e, &sel);
        empty_own_log();
    } else if (!method_select(e, r, &sel)) {
        strv_free(paths);
        return;
    }
    f = xcalloc(1, sizeof(*f));
    *f = (struct flush_request){e, r, xcalloc(sel.n + 1, sizeof(*f->ids)), sel.n};
    for (size_t i = 0; i < sel.n; i++) {
        f->ids[i] = sel.v[i]->id;
        add_paths(e, sel.v[i], &paths);
    }
    what.paths = paths;
    what.processes = all ? NULL : f->ids;
    what.n_processes = all ? 0 : sel.n;
    logs_wipe(e->logs, &what, on_wiped, f);
    strv_free(paths);
    selection_free(&sel);
}
