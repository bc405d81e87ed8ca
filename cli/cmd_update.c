#include <errno.h>
#include <time.h>

#include "cli/jsonget.h"
#include "cli/proclist.h"
#include "cli/session.h"
#include "common/clock.h"
#include "common/err.h"

#define UPDATE_MS 45000 /* until another engine answers; the keeper gives up on one that hangs after 20 s */

static long long engine_pid(const struct cli *c)
{
    return j_int(c->rpc.server, "pid");
}

/* The old engine may answer for a moment yet. 0 when another one does. */
static int wait_for_other(struct cli *c, long long old)
{
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    uint64_t end = clock_mono_ms() + UPDATE_MS;

    while (clock_mono_ms() < end) {
        switch (session_reconnect(c)) {
        case SESSION_OK:
            if (engine_pid(c) != old)
                return EXIT_DONE;
            break;
        case SESSION_NO_DAEMON:
            return session_no_daemon(c);
        case SESSION_FAILED:
            return EXIT_FAILED;
        }
        nanosleep(&pause, NULL);
    }
    return out_error(&c->out, "the engine (pid %lld) was not replaced within %d s; see %s/%s", old,
                     UPDATE_MS / 1000, c->home_path, HOME_LOG);
}

int cmd_update(struct cli *c, const struct args *a)
{
    long long old = engine_pid(c);
    json_t *result = NULL;
    bool keeper_stays;
    const char *trouble;
    struct err e = {0};
    int rc = rpc_call(&c->rpc, "update", NULL, SESSION_READ_MS, &result, &e), code;

    (void)a;
    keeper_stays = json_is_false(json_object_get(result, "keeper"));
    json_decref(result);
    /* An engine that ends before its answer is on the way has done what was asked. */
    if (rc != 0 && rc != -ECONNRESET && rc != -EPIPE)
        return out_error(&c->out, "%s", e.msg);
    code = wait_for_other(c, old);
    if (code != EXIT_DONE)
        return code;
    trouble = j_text(c->rpc.server, "update_error");
    if (trouble && *trouble)
        return out_error(&c->out, "not updated: %s (pid %lld); no process was touched", trouble,
                         engine_pid(c));
    if (keeper_stays)
        out_warn(&c->out,
                 "the keeper is of a version that cannot replace itself; the next daemon has the new one");
    out_say(&c->out, "the daemon is now version %s (engine pid %lld); no process was touched",
            j_text(c->rpc.server, "version"), engine_pid(c));
    if (c->out.tty && !c->out.silent)
        proclist_print(c);
    return EXIT_DONE;
}
