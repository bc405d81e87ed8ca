/* logrotate: rotates the log files of processes now. */
#include <string.h>

#include "common/mem.h"
#include "daemon/log_file.h"
#include "daemon/log_paths.h"
#include "daemon/methods.h"
#include "daemon/selector.h"

static json_t *file_of(const struct log_rotate_result *v)
{
    json_t *file = json_pack("{s:s, s:b}", "path", v->path, "ok", !v->failed);

    if (!file) /* a path that is no UTF-8 */
        file = json_pack("{s:s, s:b}", "path", "(a name that is not UTF-8)", "ok", !v->failed);
    if (v->to)
        json_object_set_new(file, "to", json_string(v->to));
    if (v->to)
        json_object_set_new(file, "bytes", json_integer((json_int_t)v->bytes));
    if (v->why)
        json_object_set_new(file, v->failed ? "error" : "note", json_string(v->why));
    return file;
}

static void on_rotated(void *arg, const struct log_rotate_result *v, size_t n)
{
    json_t *files = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(files, file_of(&v[i]));
    rpc_reply(arg, json_pack("{s:o}", "files", files));
}

static void add(char ***paths, const char *path)
{
    if (!path || log_file_none(path))
        return;
    for (char **p = *paths; *p; p++)
        if (strcmp(*p, path) == 0)
            return;
    strv_push(paths, xstrdup(path));
}

static void add_paths(struct engine *e, const struct process *p, char ***paths)
{
    struct log_paths l;

    log_paths_init(&l, p->app->spec, e->home.path, p->id);
    add(paths, l.out);
    add(paths, l.err);
    add(paths, l.both);
    log_paths_deinit(&l);
}

void method_logrotate(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    char **paths = strv_dup(NULL);
    struct selection sel = {0};
    struct process *p;

    if (!json_object_get(r->params, "selectors")) {
        TAILQ_FOREACH (p, supervisor_processes(e->sup), entry)
            add_paths(e, p, &paths);
    } else if (!method_select(e, r, &sel)) {
        strv_free(paths);
        return;
    }
    for (size_t i = 0; i < sel.n; i++)
        add_paths(e, sel.v[i], &paths);
    logs_rotate(e->logs, paths, on_rotated, r);
    strv_free(paths);
    selection_free(&sel);
}
