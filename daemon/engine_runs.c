/* What the descriptors of a run are connected to: the log path, the Node channel, the readiness socket, the
 * watch over a child that is not the keeper's own. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/plog.h"
#include "common/spawn_spec.h"
#include "daemon/app_cache.h"
#include "daemon/app_message.h"
#include "daemon/engine.h"
#include "daemon/engine_cluster.h"
#include "daemon/engine_health.h"
#include "daemon/foreign.h"
#include "daemon/log_paths.h"
#include "daemon/log_policy.h"
#include "daemon/notify.h"

/*
 * The app as text goes with every spawn and stays with the keeper, so that even without state.db a new engine
 * knows what is running and where its lines go.
 */
char *engine_blob(const struct process *p, size_t *len)
{
    struct buf text = {0};
    size_t spec_len;
    const char *spec = app_spec_text(p->app, &spec_len);

    buf_printf(&text,
               "{\"app\":%llu,\"process\":%u,\"instance\":%u,\"spec\":", (unsigned long long)p->app->id,
               p->id, p->instance);
    buf_append(&text, spec, spec_len);
    buf_putc(&text, '}');
    *len = text.len;
    return buf_steal(&text);
}

json_t *engine_read_blob(int spec_fd)
{
    struct spawn_spec spec;
    json_t *j = NULL;

    if (spec_fd < 0 || spawn_spec_map(spec_fd, &spec) < 0)
        return NULL;
    if (spec.blob)
        j = json_loadb(spec.blob, spec.blob_len, JSON_ALLOW_NUL, NULL);
    spawn_spec_unmap(&spec);
    return j;
}

static struct log_limits limits_of(const struct app_spec *s)
{
    return (struct log_limits){.drop = strcmp(s->log_policy, "drop") == 0,
                               .block_ms = (uint64_t)s->log_block_timeout,
                               .rate_lines = (uint64_t)s->log_rate_limit.lines,
                               .rate_bytes = (uint64_t)s->log_rate_limit.bytes,
                               .keep_bytes = (uint64_t)s->log_retention.max_bytes,
                               .keep_ms = (uint64_t)s->log_retention.max_age};
}

void engine_limit_logs(struct engine *e, const struct app *a)
{
    const struct log_limits limits = limits_of(a->spec);

    if (e->logs)
        logs_limit_app(e->logs, a->spec->name, &limits);
}

static void attach_logs(struct engine *e, struct hold *hold, const struct app_spec *s, uint32_t process,
                        uint32_t instance)
{
    struct log_rotate_policy rotate;
    struct log_paths paths;

    if (hold->fds[KW_FD_STDOUT] < 0 && hold->fds[KW_FD_STDERR] < 0)
        return;
    log_paths_init(&paths, s, e->home.path, process);
    const struct log_run run = {.run = hold->run,
                                .process = process,
                                .instance = instance,
                                .app = s->name,
                                .out_file = paths.out,
                                .error_file = paths.err,
                                .log_file = paths.both,
                                .date_format = log_date_format_of(s),
                                .json = s->log_type && strcmp(s->log_type, "json") == 0,
                                .disabled = s->disable_logs,
                                .no_rows = !s->log_rows,
                                .lent = true,
                                .rotate = log_policy_of_app(s, &rotate) ? &rotate : NULL,
                                .uid = -1,
                                .gid = -1,
                                .limits = limits_of(s)};
    /* Until engine_stream_done: a thousand apps would need four thousand duplicates. */
    logs_attach(e->logs, &run, hold->fds[KW_FD_STDOUT], hold->fds[KW_FD_STDERR], hold->fds[KW_FD_SPOOL_OUT],
                hold->fds[KW_FD_SPOOL_ERR]);
    log_paths_deinit(&paths);
}

/* For a run of which only the keeper's record is known. */
void engine_attach_logs(struct engine *e, uint64_t run, const json_t *blob)
{
    struct hold *hold = holds_get(&e->holds, run);
    struct app_spec *s = app_spec_from_json(json_object_get(blob, "spec"), NULL);

    if (hold && s)
        attach_logs(e, hold, s, (uint32_t)json_integer_value(json_object_get(blob, "process")),
                    (uint32_t)json_integer_value(json_object_get(blob, "instance")));
    app_spec_free(s);
}

void engine_attach_process_logs(struct engine *e, struct process *p)
{
    struct hold *hold = holds_get(&e->holds, p->run);

    if (hold)
        attach_logs(e, hold, p->app->spec, p->id, p->instance);
}

bool engine_candidate_died(struct engine *e, uint64_t run)
{
    const struct process *p = supervisor_by_run(e->sup, run);
    const struct hold *hold = holds_get(&e->holds, run);
    struct pollfd child = {.fd = hold ? hold->fds[KW_FD_PIDFD] : -1, .events = POLLIN};

    if (!p || p->role != ROLE_CANDIDATE || !hold)
        return false;
    return hold->exited || (child.fd >= 0 && poll(&child, 1, 0) == 1);
}

static void on_said(void *arg, uint64_t run, enum notify_word word)
{
    struct engine *e = arg;

    if (word != NOTIFY_READY)
        engine_watchdog_heard(e, run, word == NOTIFY_TRIGGER);
    else if (!engine_candidate_died(e, run))
        supervisor_on_ready(e->sup, run);
}

void engine_connect_run(struct engine *e, struct process *p)
{
    struct runtime *r = runtime_of(p);
    struct hold *hold = holds_get(&e->holds, p->run);
    struct stat st;

    if (!hold)
        return;
    app_message_restore(e, p);
    engine_cluster_connect(e, p);
    if (hold->fds[KW_FD_NOTIFY] >= 0 && !r->notify) {
        /* The keeper gave the pipes to the app's user. */
        uint32_t uid =
            hold->fds[KW_FD_STDOUT] >= 0 && fstat(hold->fds[KW_FD_STDOUT], &st) == 0 ? st.st_uid : geteuid();

        r->notify = notify_new(&e->loop, hold->fds[KW_FD_NOTIFY], p->run, uid, on_said, e);
        engine_watchdog_follow(e, p);
    }
}

static void foreign_ended(void *arg, uint64_t run, bool known, int wait_status)
{
    struct engine *e = arg;
    struct hold *hold = holds_get(&e->holds, run);
    struct run_end end = {
        .run = run, .wait_status = wait_status, .status_known = known, .end_us = clock_wall_us()};

    if (!hold)
        return;
    hold->watch = NULL;
    engine_run_ended(e, hold, &end);
}

void engine_watch_foreign(struct engine *e, uint64_t run)
{
    struct hold *hold = holds_get(&e->holds, run);

    if (!hold || hold->watch || hold->exited)
        return;
    hold->foreign = true;
    hold->watch = foreign_watch(&e->loop, hold->fds[KW_FD_PIDFD], hold->pid, run, foreign_ended, e);
    if (!hold->watch)
        log_error("cannot watch pid %d of run %llu: its end will not be seen", (int)hold->pid,
                  (unsigned long long)run);
}

void engine_unwatch(struct engine *e, struct hold *h)
{
    (void)e;
    foreign_unwatch(h->watch);
    h->watch = NULL;
}
