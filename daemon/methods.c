#include "daemon/methods.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "daemon/selector.h"

const rpc_handler engine_handlers[METHOD_COUNT] = {
    [M_HELLO] = NULL, /* the server's own */
    [M_PING] = NULL,
    [M_ENV_SET] = method_env_set,
    [M_START] = method_start,
    [M_PROCESS_START] = method_process_start,
    [M_PROCESS_STOP] = method_process_stop,
    [M_PROCESS_RESTART] = method_process_restart,
    [M_PROCESS_DELETE] = method_process_delete,
    [M_LIST] = method_list,
    [M_DESCRIBE] = method_describe,
    [M_WHY] = method_why,
    [M_LOGS] = method_logs,
    [M_PROCESS_SEND] = method_process_send,
    [M_RELOAD_LOGS] = method_reload_logs,
    [M_KILL] = method_kill,
};

bool method_select(struct engine *e, struct rpc_request *r, struct selection *out)
{
    struct err err;

    if (selector_match(e->sup, json_object_get(r->params, "selectors"), out, &err) == 0)
        return true;
    rpc_fail(r, RPC_NO_MATCH, "%s", err.msg);
    return false;
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
    json_t *words = json_pack("[O]", json_object_get(r->params, "selector"));
    struct selection sel;
    struct err err;
    struct hold *hold;
    ssize_t n;

    int rc = selector_match(e->sup, words, &sel, &err);
    json_decref(words);
    if (rc < 0) {
        rpc_fail(r, RPC_NO_MATCH, "%s", err.msg);
        return;
    }
    if (sel.n != 1) {
        selection_free(&sel);
        rpc_fail(r, RPC_FAILED, "send goes to one process, give its id");
        return;
    }
    const struct process *p = sel.v[0];
    selection_free(&sel);
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

    engine_shutdown(e, true, r->conn ? conn_by(r->conn) : "pm kill", killed, r);
}
