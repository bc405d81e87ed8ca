/* The supervisor's outside world: libuv timers, the keeper, process trees, and the store. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/app_cache.h"
#include "daemon/app_message.h"
#include "daemon/app_talk.h"
#include "daemon/channel.h"
#include "daemon/cluster.h"
#include "daemon/engine.h"
#include "daemon/engine_cluster.h"
#include "daemon/engine_health.h"
#include "daemon/engine_listen.h"
#include "daemon/engine_order.h"
#include "daemon/events.h"
#include "daemon/log_paths.h"
#include "daemon/log_policy.h"
#include "daemon/notify.h"
#include "daemon/package_version.h"
#include "daemon/pid_file.h"
#include "daemon/schedules.h"
#include "daemon/sockets.h"
#include "daemon/watch.h"

static uint64_t sys_mono_ms(void *ctx)
{
    (void)ctx;
    return clock_mono_ms();
}

static uint64_t sys_wall_ms(void *ctx)
{
    (void)ctx;
    return clock_wall_ms();
}

static uint32_t sys_random(void *ctx, uint32_t below)
{
    uint32_t value = 0;

    (void)ctx;
    if (below == 0 || getrandom(&value, sizeof(value), GRND_NONBLOCK) != (ssize_t)sizeof(value))
        return 0;
    return value % below;
}

static void timer_fired(uv_timer_t *timer)
{
    struct runtime *r = timer->data;

    supervisor_on_timer(r->engine->sup, r->process, (enum sys_timer)(timer - r->timers));
}

static void sys_timer_set(void *ctx, struct process *p, enum sys_timer which, uint64_t in_ms)
{
    struct engine *e = ctx;

    /* libuv counts from the loop's cached time, which may be old after a long turn. */
    uv_update_time(&e->loop);
    uv_timer_start(&runtime_of(p)->timers[which], timer_fired, in_ms, 0);
}

static void sys_timer_clear(void *ctx, struct process *p, enum sys_timer which)
{
    (void)ctx;
    uv_timer_stop(&runtime_of(p)->timers[which]);
}

static uint64_t sys_next_run(void *ctx)
{
    struct engine *e = ctx;

    return store_next_run(e->store);
}

struct tree_ctx engine_tree_ctx(const struct engine *e)
{
    struct tree_ctx ctx = {.keeper = e->keeper_pid, .engine = getpid()};

    snprintf(ctx.tag, sizeof(ctx.tag), "%.8s", e->home_id);
    return ctx;
}

static void tree_done(void *arg, const struct tree_job *job, unsigned alive)
{
    struct engine *e = arg;

    if (e->sup)
        supervisor_on_swept(e->sup, job->run.run, alive);
}

/* After the polite signal the child's exit record is what counts. */
static void signal_done(void *arg, const struct tree_job *job, unsigned alive)
{
    (void)arg;
    (void)job;
    (void)alive;
}

/* Of the current run the child is known; of an earlier one only the run's id is left to find its processes
 * by. */
static struct tree_job tree_job_of(struct engine *e, const struct process *p, uint64_t run, enum tree_op op)
{
    struct tree_job job = {.op = op, .ctx = engine_tree_ctx(e), .run = {.run = run}};
    const struct hold *hold = holds_get(&e->holds, run);

    job.child_only = !p->app->spec->treekill;
    job.run.foreign = hold ? hold->foreign : run < e->foreign_below;
    if (hold && run == p->run) {
        job.run.pid = hold->pid;
        job.run.start_ticks = hold->start_ticks;
        job.run.child_alive = hold->pid > 0 && !hold->exited;
    }
    return job;
}

static void sys_terminate(void *ctx, struct process *p)
{
    struct engine *e = ctx;
    struct runtime *r = runtime_of(p);
    struct tree_job job = tree_job_of(e, p, p->run, TREE_SIGNAL);

    engine_cluster_leave(p);
    if (p->app->spec->shutdown_with_message && r->channel && channel_send(r->channel, "\"shutdown\"") == 0)
        return;
    job.sig = (int)p->app->spec->stop_signal;
    tree_submit(&e->loop, &job, signal_done, e);
}

static void sys_kill_run(void *ctx, struct process *p, uint64_t run)
{
    struct engine *e = ctx;
    struct tree_job job = tree_job_of(e, p, run, TREE_KILL);

    tree_submit(&e->loop, &job, tree_done, e);
}

static void sys_kill(void *ctx, struct process *p)
{
    sys_kill_run(ctx, p, p->run);
}

static void sys_sweep(void *ctx, struct process *p, uint64_t run, bool polite)
{
    struct engine *e = ctx;
    struct tree_job job = tree_job_of(e, p, run, polite ? TREE_SIGNAL : TREE_LOOK);

    job.sig = polite ? (int)p->app->spec->stop_signal : 0;
    tree_submit(&e->loop, &job, tree_done, e);
}

static bool sys_left_nothing(void *ctx, struct process *p, uint64_t run)
{
    struct engine *e = ctx;
    struct tree_job job = tree_job_of(e, p, run, TREE_LOOK);

    return tree_left_nothing(&job.ctx, &job.run);
}

static void save_run(struct engine *e, const struct process *p, const struct run_end *end)
{
    struct runtime *r = runtime_of(p);
    struct store_run row = {.run = p->run,
                            .process = p->id,
                            .app = p->app->id,
                            .app_name = p->app->spec->name,
                            .instance = p->instance,
                            .pid = p->pid,
                            .started_ms = p->started_ms,
                            .exit_code = -1,
                            .reason = lc_reason_word(LC_R_NONE),
                            .by = p->by};
    char words[256];

    if (end) {
        last_exit_words(&p->last, words, sizeof(words));
        row.run = p->last.run;
        row.started_ms = p->last.started_ms;
        row.ended_ms = p->last.ended_ms;
        row.exit_code = p->last.exit_code;
        row.signal = p->last.signal;
        row.core = p->last.core;
        row.reason = lc_reason_word(p->last.reason);
        row.detail = r->detail ? r->detail : words;
        row.maxrss_bytes = end->maxrss_bytes;
        row.utime_us = end->utime_us;
        row.stime_us = end->stime_us;
    }
    store_put_run(e->store, &row);
}

/* The record of an earlier run whose end was judged by an engine that did not live to store it. */
void engine_store_old_end(struct engine *e, const struct process *p, const struct kw_msg *m)
{
    bool signaled = WIFSIGNALED(m->wait_status);
    struct store_run row = {.run = m->token,
                            .process = p->id,
                            .app = p->app->id,
                            .app_name = p->app->spec->name,
                            .instance = p->instance,
                            .pid = m->pid,
                            .started_ms = m->start_us / 1000,
                            .ended_ms = m->end_us / 1000,
                            .exit_code = signaled ? -1 : WEXITSTATUS(m->wait_status),
                            .signal = signaled ? WTERMSIG(m->wait_status) : 0,
                            .core = signaled && WCOREDUMP(m->wait_status),
                            .reason = lc_reason_word(signaled ? LC_R_SIGNAL : LC_R_EXIT),
                            .maxrss_bytes = m->maxrss_bytes,
                            .utime_us = m->utime_us,
                            .stime_us = m->stime_us};

    store_put_run(e->store, &row);
}

static void put_pid_file(struct engine *e, const struct process *p, pid_t pid)
{
    struct log_paths paths;

    log_paths_init(&paths, p->app->spec, e->home.path, p->id);
    pid_file_put(&e->loop, paths.pid, pid);
    log_paths_deinit(&paths);
}

static void sys_run_started(void *ctx, struct process *p)
{
    struct engine *e = ctx;
    struct runtime *r = runtime_of(p);

    if (p->role == ROLE_SLOT)
        put_pid_file(e, p, p->pid);
    free(r->detail);
    r->detail = NULL;
    save_run(e, p, NULL);
    engine_tell_started(e, p);
}

static void sys_run_ended(void *ctx, struct process *p, const struct run_end *end)
{
    struct engine *e = ctx;
    struct runtime *r = runtime_of(p);
    struct hold *hold = holds_make(&e->holds, end->run);

    save_run(e, p, end);
    engine_tell_ended(e, p, end->run);
    engine_save_process(e, p);
    app_message_ended(e, p);
    engine_cluster_disconnect(p);
    notify_free(r->notify);
    r->notify = NULL;
    sockets_run_ended(e->sockets, end->run);
    hold->exited = true;
    /* The exit record may go once what follows from it is on disk: until then a killed engine would need it
     * again. That has time, and the disk is not to be busy with it while the next run starts. */
    hold->ending = ++e->ends;
    e->acks_pending = true;
}

static uint64_t pipe_inode(const struct hold *hold, enum kw_fd kind)
{
    struct stat st;

    return hold && hold->fds[kind] >= 0 && fstat(hold->fds[kind], &st) == 0 ? st.st_ino : 0;
}

void engine_save_process(struct engine *e, const struct process *p)
{
    const struct hold *hold = p->run && p->role == ROLE_SLOT ? holds_get(&e->holds, p->run) : NULL;
    struct store_process row = {
        .id = p->id,
        .app = p->app->id,
        .instance = p->instance,
        .state = lc_state_word(p->state),
        .desired = p->desired == DESIRED_UP ? "up" : "down",
        .reason = lc_reason_word(p->reason),
        .fresh = p->fresh,
        .run = p->run,
        .pid = p->pid,
        .start_ticks = p->start_ticks,
        .pipe_out = pipe_inode(hold, KW_FD_STDOUT),
        .pipe_err = pipe_inode(hold, KW_FD_STDERR),
        .pipe_in = pipe_inode(hold, KW_FD_STDIN),
        .created_ms = p->created_ms,
        .started_ms = p->started_ms,
        .online_ms = p->online_ms,
        .signaled_ms = p->signaled_ms,
        .deadline_ms = p->deadline_ms,
        .restarts = p->counters.restarts,
        .unstable = p->counters.unstable,
        .backoff_delay = p->counters.backoff_delay,
        .last_run = p->last.valid ? p->last.run : 0,
        .last_started_ms = p->last.started_ms,
        .last_ended_ms = p->last.ended_ms,
        .last_reason = lc_reason_word(p->last.reason),
        .last_exit_code = p->last.exit_code,
        .last_signal = p->last.signal,
        .last_core = p->last.core,
        .last_step = p->last.step,
        .last_error = p->last.error,
        .scheduled_s = (uint64_t)p->times.handled,
    };

    if (p->role == ROLE_SLOT) /* of the others the keeper's notes tell */
        store_put_process(e->store, &row);
}

void engine_save_app(struct engine *e, struct app *a)
{
    struct store_app row = {.id = a->id};
    size_t len;

    app_cache_drop(a);
    engine_limit_logs(e, a);
    schedules_app(e, a);
    row.json = app_spec_text(a, &len);
    store_put_app(e->store, &row);
    watch_app(e, a);
}

/* A pid file of a running process follows when the name that it is made of changes. */
static void move_pid_files(struct engine *e, const struct app *a, const struct app_spec *to)
{
    const struct process *p;

    TAILQ_FOREACH (p, &a->processes, app_entry) {
        struct log_paths old, new;

        if (p->state == LC_STOPPED || p->state == LC_ERRORED)
            continue;
        log_paths_init(&old, a->spec, e->home.path, p->id);
        log_paths_init(&new, to, e->home.path, p->id);
        if (strcmp(old.pid, new.pid) != 0) {
            pid_file_put(&e->loop, old.pid, 0);
            if (p->pid)
                pid_file_put(&e->loop, new.pid, p->pid);
        }
        log_paths_deinit(&old);
        log_paths_deinit(&new);
    }
}

/* Rotation follows at once. */
static void renew_policies(struct engine *e, const struct app *a)
{
    struct log_rotate_policy policy;
    bool own = log_policy_of_app(a->spec, &policy);
    struct process *p;

    TAILQ_FOREACH (p, &a->processes, app_entry)
        logs_rotate_process(e->logs, p->id, own ? &policy : NULL);
}

void engine_set_spec(struct engine *e, struct app *a, struct app_spec *take_spec)
{
    struct process *p;

    move_pid_files(e, a, take_spec);
    app_spec_free(a->spec);
    a->spec = take_spec;
    renew_policies(e, a);
    TAILQ_FOREACH (p, &a->processes, app_entry) {
        engine_health_follow(e, p);
    }
    engine_save_app(e, a);
    engine_order_look(e);
}

static bool app_rests(const struct app *a)
{
    const struct process *p;

    TAILQ_FOREACH (p, &a->processes, app_entry) {
        if (p->state != LC_STOPPED && p->state != LC_ERRORED)
            return false;
    }
    return true;
}

static void sys_changed(void *ctx, struct process *p, enum lc_state old)
{
    struct engine *e = ctx;

    if (p->run)
        engine_note(e, p);
    if (p->state == LC_STOPPING)
        engine_spawn_cancel(p);
    engine_health_follow(e, p);
    if (p->role != ROLE_SLOT)
        return;
    engine_save_process(e, p);
    if (p->state != old)
        schedules_look(e, p->app);
    engine_order_look(e);
    if (p->state != old && (p->state == LC_STOPPED || p->state == LC_ERRORED)) {
        put_pid_file(e, p, 0);
        engine_listen_rests(e, p);
        cluster_slot_rests(e->cluster, p->app->id, p->instance);
        if (app_rests(p->app))
            sockets_app_rests(e->sockets, p->app->id);
    }
    engine_tell_changed(e, p, old);
}

static void runtime_closed(uv_handle_t *handle)
{
    struct runtime *r = handle->data;

    if (--r->open_timers > 0)
        return;
    free(r->detail);
    free(r->version);
    app_talk_free(r->talk);
    buf_free(&r->record);
    free(r->limits);
    free(r);
}

static void runtime_end(struct runtime *r)
{
    engine_spawn_forget(r);
    engine_health_end(r);
    engine_watchdog_end(r);
    engine_cluster_disconnect(r->process);
    notify_free(r->notify);
    r->notify = NULL;
    for (int i = 0; i < SYS_TIMER_COUNT; i++)
        uv_close((uv_handle_t *)&r->timers[i], runtime_closed);
}

void runtimes_end(struct engine *e)
{
    struct process *p;

    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        runtime_end(runtime_of(p));
    }
    TAILQ_FOREACH (p, supervisor_shadows(e->sup), entry) {
        runtime_end(runtime_of(p));
    }
}

static void sys_deleted(void *ctx, struct process *p)
{
    struct engine *e = ctx;

    engine_tell_deleted(e, p);
    store_del_process(e->store, p->id);
    engine_listen_rests(e, p);
    cluster_slot_rests(e->cluster, p->app->id, p->instance);
    if (TAILQ_EMPTY(&p->app->processes)) {
        store_del_app(e->store, p->app->id);
        sockets_app_deleted(e->sockets, p->app->id);
        app_cache_drop(p->app);
        schedules_app_gone(p->app);
        watch_forget(p->app);
    }
    runtime_end(runtime_of(p));
    p->runtime = NULL;
    engine_order_look(e);
}

void runtime_new(struct engine *e, struct process *p)
{
    struct runtime *r = xcalloc(1, sizeof(*r));

    r->engine = e;
    r->process = p;
    p->runtime = r;
    for (int i = 0; i < SYS_TIMER_COUNT; i++) {
        uv_timer_init(&e->loop, &r->timers[i]);
        r->timers[i].data = r;
        r->open_timers++;
    }
}

struct version_of {
    struct engine *engine;
    uint32_t process;
};

static void version_found(void *arg, char *version)
{
    struct version_of *v = arg;
    struct process *p = v->engine->sup ? supervisor_by_id(v->engine->sup, v->process) : NULL;

    if (p) {
        free(runtime_of(p)->version);
        runtime_of(p)->version = version;
    } else {
        free(version);
    }
    free(v);
}

static void find_version(struct engine *e, const struct process *p)
{
    struct version_of *v = xcalloc(1, sizeof(*v));

    *v = (struct version_of){e, p->id};
    package_version_find(&e->loop, p->app->spec->script, version_found, v);
}

struct process *engine_add_process(struct engine *e, struct app *a, uint32_t instance, int64_t id)
{
    struct process *p = supervisor_add_process(e->sup, a, instance, id);

    runtime_new(e, p);
    find_version(e, p);
    schedules_look(e, a);
    return p;
}

static void sys_shadow_made(void *ctx, struct process *p)
{
    runtime_new(ctx, p);
}

static void sys_shadow_gone(void *ctx, struct process *p)
{
    struct engine *e = ctx;
    const struct process *slot = supervisor_by_id(e->sup, p->id);

    /* The slot may have come to rest before what it had beside it. */
    if (slot && slot->app->id == p->app->id && app_rests(slot->app))
        sockets_app_rests(e->sockets, slot->app->id);
    else if (slot && slot->app->id == p->app->id && p->role == ROLE_CANDIDATE)
        engine_listen_failed(e, slot);
    runtime_end(runtime_of(p));
    p->runtime = NULL;
}

static void sys_replaced(void *ctx, struct process *p, struct process *old)
{
    struct engine *e = ctx;
    struct runtime *r = runtime_of(p), *was = runtime_of(old);

    free(r->version); /* the old one's, until it is known whether there is another */
    r->version = was->version;
    was->version = NULL;
    find_version(e, p);
    engine_listen_replaced(e, p);
    put_pid_file(e, p, p->pid);
    engine_tell_reloaded(e, p);
}

static void sys_set_spec(void *ctx, struct app *app, struct app_spec *take_spec)
{
    engine_set_spec(ctx, app, take_spec);
}

static void sys_app_gone(void *ctx, struct app *app)
{
    (void)ctx;
    app_cache_drop(app);
    watch_forget(app);
}

void engine_sys_init(struct engine *e)
{
    e->sys = (struct sys){
        .ctx = e,
        .mono_ms = sys_mono_ms,
        .wall_ms = sys_wall_ms,
        .random = sys_random,
        .timer_set = sys_timer_set,
        .timer_clear = sys_timer_clear,
        .next_run = sys_next_run,
        .spawn = engine_spawn,
        .terminate = sys_terminate,
        .kill = sys_kill,
        .kill_run = sys_kill_run,
        .sweep = sys_sweep,
        .left_nothing = sys_left_nothing,
        .run_started = sys_run_started,
        .run_ended = sys_run_ended,
        .changed = sys_changed,
        .deleted = sys_deleted,
        .shadow_made = sys_shadow_made,
        .shadow_gone = sys_shadow_gone,
        .replaced = sys_replaced,
        .set_spec = sys_set_spec,
        .app_gone = sys_app_gone,
        .unready_words = engine_health_words,
    };
    engine_cluster_sys(&e->sys);
}
