#include "daemon/methods.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/env.h"
#include "daemon/selector.h"

const rpc_handler engine_handlers[METHOD_COUNT] = {
    [M_HELLO] = NULL, /* the server's own */
    [M_PING] = NULL,
    [M_ENV_SET] = method_env_set,
    [M_START] = method_start,
    [M_PROCESS_START] = method_process_start,
    [M_PROCESS_STOP] = method_process_stop,
    [M_PROCESS_RESTART] = method_process_restart,
    [M_PROCESS_RELOAD] = method_process_reload,
    [M_PROCESS_DELETE] = method_process_delete,
    [M_LIST] = method_list,
    [M_DESCRIBE] = method_describe,
    [M_METRICS] = method_metrics,
    [M_WHY] = method_why,
    [M_LOGS] = method_logs,
    [M_EVENTS] = method_events,
    [M_PROCESS_SIGNAL] = method_process_signal,
    [M_PROCESS_RESET] = method_process_reset,
    [M_PROCESS_ENV] = method_process_env,
    [M_PROCESS_SEND] = method_process_send,
    [M_PROCESS_TRIGGER] = method_process_trigger,
    [M_SCALE] = method_scale,
    [M_SAVE] = method_save,
    [M_RESURRECT] = method_resurrect,
    [M_CLEARDUMP] = method_cleardump,
    [M_FLUSH] = method_flush,
    [M_LOGROTATE] = method_logrotate,
    [M_SETTINGS_GET] = method_settings_get,
    [M_SETTINGS_SET] = method_settings_set,
    [M_SETTINGS_UNSET] = method_settings_unset,
    [M_UPDATE] = method_update,
    [M_RELOAD_LOGS] = method_reload_logs,
    [M_KILL] = method_kill,
};

static bool match(struct engine *e, struct rpc_request *r, const json_t *words, struct selection *out)
{
    struct err err;
    int rc = selector_match(e->sup, words, out, &err);

    if (rc < 0)
        rpc_fail(r, rc == -ENOENT ? RPC_NO_MATCH : RPC_BAD_PARAMS, "%s", err.msg);
    return rc == 0;
}

bool method_select(struct engine *e, struct rpc_request *r, struct selection *out)
{
    return match(e, r, json_object_get(r->params, "selectors"), out);
}

struct process *method_select_one(struct engine *e, struct rpc_request *r, const char *what)
{
    json_t *words = json_pack("[O]", json_object_get(r->params, "selector"));
    struct process *p = NULL;
    struct selection sel;

    if (match(e, r, words, &sel)) {
        if (sel.n == 1)
            p = sel.v[0];
        else
            rpc_fail(r, RPC_FAILED, "%s, give its id", what);
        selection_free(&sel);
    }
    json_decref(words);
    return p;
}

const char *method_by(const struct rpc_request *r)
{
    return r->conn ? conn_by(r->conn) : "a client";
}

void method_env_set(void *engine, struct rpc_request *r)
{
    json_t *env = json_object_get(r->params, "env");

    (void)engine;
    if (r->conn)
        conn_set_env(r->conn, env);
    rpc_reply(r, json_object());
}

void method_reload_logs(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;

    engine_reopen_logs(e);
    rpc_reply(r, json_object());
}

void method_process_send(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    const char *text = json_string_value(json_object_get(r->params, "text"));
    const struct process *p = method_select_one(e, r, "send goes to one process");
    struct hold *hold;
    ssize_t n;

    if (!p)
        return;
    hold = p->run ? holds_get(&e->holds, p->run) : NULL;
    if (!hold || hold->exited || hold->fds[KW_FD_STDIN] < 0) {
        rpc_fail(r, RPC_FAILED, "%s (id %u) is %s: it has no standard input", p->app->spec->name, p->id,
                 lc_state_word(p->state));
        return;
    }
    /* The pipe does not block; a line that does not fit whole is not sent at all (PIPE_BUF keeps shorter ones
     * whole). */
    _cleanup_free_ char *line = xasprintf("%s\n", text);
    size_t len = strlen(line);
    n = write(hold->fds[KW_FD_STDIN], line, len);
    if (n == (ssize_t)len)
        rpc_reply(r, json_object());
    else if (n >= 0)
        rpc_fail(r, RPC_FAILED, "%s does not read its input: only %zd of %zu bytes were taken",
                 p->app->spec->name, n, len);
    else
        rpc_fail(r, RPC_FAILED, "%s does not read its input: %s", p->app->spec->name,
                 errno == EAGAIN ? "the pipe is full" : strerror(errno));
}

static void killed(void *arg, unsigned stopped)
{
    rpc_reply(arg, json_pack("{s:i}", "processes", (int)stopped));
}

void method_kill(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;

    engine_shutdown(e, true, method_by(r), killed, r);
}

int method_complete_env(struct rpc_request *r, json_t *app, struct err *err)
{
    const json_t *base = r->conn ? conn_env(r->conn) : NULL, *own = json_object_get(app, "env");
    char **env = strv_dup(NULL);
    int rc = 0;

    if (base)
        rc = env_merge_json(&env, base, err);
    if (rc == 0 && own)
        rc = env_merge_json(&env, own, err);
    if (rc == 0)
        json_object_set_new(app, "env", env_to_json(env));
    strv_free(env);
    return rc;
}
