/*
 * update: keeper and engine become the installed program. First the keeper, in place, while this engine waits
 * on their link; if that cannot be, nothing has changed and the caller is told why. Then this engine ends,
 * and the keeper starts the next one. That is the same as a crash, only that what is on its way to the disk
 * arrives first; apps notice neither.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/plog.h"
#include "daemon/engine_cluster.h"
#include "daemon/methods.h"
#include "daemon/sockets.h"

#define KEEPER_UPGRADES 2 /* the first version of the keeper's protocol with KW_UPGRADE */

enum stage {
    STORING, /* before anything else: if the disk is full, all stays as it is */
    WAITING, /* for the keeper */
    ENDING,  /* stores what came meanwhile */
};

/* Freed at the answer; e->update is it until then. */
struct update {
    struct engine *engine;
    struct rpc_request *request;
    enum stage stage;
    bool keeper;  /* it was replaced too */
    bool aborted; /* answered; a call of the log path or the store is still to come back */
};

static void finish(struct update *u)
{
    u->engine->update = NULL;
    u->engine->updating = false;
    u->request = NULL;
}

__attribute__((format(printf, 3, 4))) static void fail(struct update *u, int code, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_error("not updated: %s", text);
    rpc_fail(u->request, code, "%s%s",
             u->keeper ? "the keeper was updated, the engine not: " : "not updated: ", text);
    finish(u);
}

static void on_answered(void *arg)
{
    (void)arg;
    _exit(0);
}

/* No connection is between accept and a worker's answer any more. */
static void end_engine(void *arg)
{
    struct update *u = arg;
    struct engine *e = u->engine;
    struct server *server = e->server;

    if (u->aborted || !server) {
        if (!u->aborted)
            fail(u, RPC_SHUTTING_DOWN, "the daemon is shutting down");
        engine_cluster_go_on(e);
        free(u);
        return;
    }
    log_info("ending, so that a new engine starts");
    rpc_reply(u->request, json_pack("{s:i,s:b}", "pid", (int)getpid(), "keeper", u->keeper));
    e->update = NULL;
    e->server = NULL;
    server_close(server, on_answered, e); /* the answers go out before the end */
    free(u);
}

static void ask_keeper(struct update *u)
{
    const struct kw_msg m = {.type = KW_UPGRADE};

    u->stage = WAITING;
    engine_send(u->engine, &m);
}

static void on_committed(void *arg, int rc, const char *msg)
{
    struct update *u = arg;
    struct engine *e = u->engine;

    if (u->aborted) {
        free(u);
        return;
    }
    if (rc < 0) {
        fail(u, RPC_NOT_SAVED, "the state cannot be stored: %s", msg);
        free(u);
    } else if (!e->server || e->shutdown || !e->link) {
        fail(u, RPC_SHUTTING_DOWN, "the daemon is shutting down");
        free(u);
    } else if (u->stage == STORING && e->keeper_version >= KEEPER_UPGRADES) {
        ask_keeper(u);
    } else {
        engine_cluster_quiet(e, end_engine, u);
    }
}

static void on_flushed(void *arg)
{
    struct update *u = arg;

    if (!u->aborted && u->engine->store) {
        store_commit(u->engine->store, on_committed, u);
        return;
    }
    if (!u->aborted)
        fail(u, RPC_SHUTTING_DOWN, "the daemon is shutting down");
    free(u);
}

static void store_all(struct update *u)
{
    logs_flush(u->engine->logs, on_flushed, u);
}

void update_keeper_answered(struct engine *e, const struct kw_msg *m)
{
    struct update *u = e->update;

    if (!u || u->stage != WAITING)
        return;
    if (m->error) {
        fail(u, RPC_FAILED, "%.*s", m->note_len, (const char *)m->note);
        free(u);
        return;
    }
    e->keeper_version = m->arg;
    sockets_hand_over(e->sockets); /* the one before may not have known what to do with them */
    u->keeper = true;
    u->stage = ENDING;
    store_all(u);
}

void update_abort(struct engine *e, const char *why)
{
    struct update *u = e->update;

    if (!u)
        return;
    fail(u, RPC_FAILED, "%s", why);
    u->aborted = true;
    if (u->stage == WAITING)
        free(u); /* nothing else knows it */
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
    *u = (struct update){.engine = e, .request = r};
    e->update = u;
    store_all(u);
}
