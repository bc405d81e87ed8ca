/*
 * update: this engine ends, and the keeper starts the program anew from the same path. It is the same as a
 * crash, only that what is on its way to the disk arrives first; apps notice neither.
 */
#include <unistd.h>

#include "common/mem.h"
#include "common/plog.h"
#include "daemon/methods.h"

struct update {
    struct engine *engine;
    struct rpc_request *request;
};

static void on_answered(void *arg)
{
    (void)arg;
    _exit(0);
}

static void on_committed(void *arg, int rc, const char *msg)
{
    struct update *u = arg;
    struct engine *e = u->engine;
    struct server *server = e->server;

    if (rc < 0) {
        e->updating = false;
        rpc_fail(u->request, RPC_NOT_SAVED, "not updated, because the state cannot be stored: %s", msg);
    } else if (!server || e->shutdown) {
        rpc_fail(u->request, RPC_SHUTTING_DOWN, "the daemon is shutting down");
    } else {
        log_info("ending, so that a new engine starts");
        rpc_reply(u->request, json_pack("{s:i}", "pid", (int)getpid()));
        e->server = NULL;
        server_close(server, on_answered, e); /* the answers go out before the end */
    }
    free(u);
}

static void on_flushed(void *arg)
{
    struct update *u = arg;

    if (u->engine->store) {
        store_commit(u->engine->store, on_committed, u);
        return;
    }
    rpc_fail(u->request, RPC_SHUTTING_DOWN, "the daemon is shutting down");
    free(u);
}

void method_update(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    struct update *u;

    if (!e->link) {
        rpc_fail(r, RPC_FAILED, "the keeper is being replaced just now; try again");
        return;
    }
    e->updating = true;
    u = xcalloc(1, sizeof(*u));
    *u = (struct update){e, r};
    logs_flush(e->logs, on_flushed, u);
}
