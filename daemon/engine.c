/* The engine's beginning and end; what happens in between is in the other engine_*.c files. */
#include "daemon/engine.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/app_cache.h"
#include "daemon/engine_cluster.h"
#include "daemon/engine_health.h"
#include "daemon/engine_order.h"
#include "daemon/hooks_run.h"
#include "daemon/limits.h"
#include "daemon/methods.h"
#include "daemon/saved.h"
#include "daemon/schedules.h"
#include "daemon/sockets.h"
#include "daemon/testkill.h"
#include "daemon/users.h"
#include "daemon/watch.h"

#define BEAT_MS 1000u

static void on_beat(uv_timer_t *timer)
{
    engine_keeper_tick(timer->data);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct engine *e = handle->data;

    if (signum == SIGUSR2)
        engine_reopen_logs(e);
    else if (e->restore)
        e->end_asked = true;
    else
        engine_shutdown(e, false, "signal to the engine", NULL, NULL);
}

static void watch_signal(struct engine *e, uv_signal_t *handle, int signum)
{
    uv_signal_init(&e->loop, handle);
    handle->data = e;
    uv_signal_start(handle, on_signal, signum);
}

static void on_trouble(void *arg, const char *text)
{
    struct engine *e = arg;

    log_error("%s", text);
    event_emit(e, &(struct event){.kind = EVENT_LOG_TROUBLE, .text = text});
}

static void on_spool_made(void *arg, uint64_t run, enum log_stream_kind kind, int fd)
{
    engine_spool_made(arg, run, kind, fd);
}

static void on_stream_done(void *arg, uint64_t run, enum log_stream_kind kind)
{
    engine_stream_done(arg, run, kind);
}

static void on_store_open(void *arg, int rc, const struct store_image *image, const char *msg)
{
    struct engine *e = arg;

    if (rc < 0) {
        log_error("state.db: %s", msg);
        restore_image_failed(e);
        return;
    }
    if (image->trouble)
        log_error("%s", image->trouble);
    restore_image(e, image);
}

static void on_store_resync(void *arg, const char *msg)
{
    struct engine *e = arg;
    struct process *p;
    struct app *a;

    log_error("%s", msg);
    saved_put_all(e);
    TAILQ_FOREACH (a, supervisor_apps(e->sup), entry) {
        engine_save_app(e, a);
    }
    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        engine_save_process(e, p);
    }
}

static bool refuse_method(void *arg, const struct method *m)
{
    const struct engine *e = arg;

    return (e->shutdown || e->updating) && m->mutates;
}

void engine_ready(struct engine *e)
{
    const struct kw_msg serves = {.type = KW_READY};
    struct hold *own = holds_get(&e->holds, 0);
    struct app *a;
    struct server_config cfg = {.loop = &e->loop,
                                .listen_fd = own ? own->fds[KW_FD_LISTEN] : -1,
                                .arg = e,
                                .handlers = engine_handlers,
                                .home = e->home.path,
                                .keeper_pid = e->keeper_pid,
                                .update_error = e->keeper_trouble,
                                .refuse = refuse_method};

    if (cfg.listen_fd < 0) {
        log_error("the keeper gave no listening socket; ending");
        _exit(1);
    }
    e->server = server_new(&cfg);
    engine_health_follow_all(e);
    if (own->fds[KW_FD_ATTACH] >= 0)
        e->attach = keeper_attach_new(&e->loop, own->fds[KW_FD_ATTACH], engine_keeper_asked, e);
    e->limits = limits_new(e, e->metrics);
    engine_send(e, &serves);
    schedules_look(e, NULL);
    e->watches = watches_new(e);
    TAILQ_FOREACH (a, supervisor_apps(e->sup), entry) {
        watch_app(e, a);
    }
    if (e->engines > 1)
        event_emit(e, &(struct event){.kind = EVENT_ENGINE, .text = "the apps went on"});
    log_info("ready after %llu ms", (unsigned long long)(clock_wall_ms() - e->started_ms));
}

static void close_if_open(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* The last thing: the keeper may end. */
static void after_store(void *arg)
{
    struct engine *e = arg;
    struct app *a;
    const struct kw_msg bye = {.type = KW_BYE, .arg = 0};
    struct hold *hold;

    e->store = NULL;
    engine_send(e, &bye);
    keeper_link_close(e->link);
    e->link = NULL;
    runtimes_end(e);
    engine_cluster_free(e);
    sockets_free(e->sockets);
    e->sockets = NULL;
    TAILQ_FOREACH (a, supervisor_apps(e->sup), entry) {
        app_cache_drop(a);
    }
    supervisor_free(e->sup);
    e->sup = NULL;
    HOLDS_FOREACH (hold, &e->holds) {
        engine_unwatch(e, hold); /* of what does not even die by SIGKILL */
        engine_unanswered_drop(hold);
    }
    close_if_open((uv_handle_t *)&e->beat);
    close_if_open((uv_handle_t *)&e->order);
    close_if_open((uv_handle_t *)&e->sig_term);
    close_if_open((uv_handle_t *)&e->sig_int);
    close_if_open((uv_handle_t *)&e->sig_usr2);
    engine_shutdown_free(e);
    e->shutdown = NULL;
}

static void after_logs(void *arg)
{
    struct engine *e = arg;

    e->logs = NULL;
    store_close(e->store, after_store, e);
}

static void after_server(void *arg)
{
    struct engine *e = arg;

    e->server = NULL;
    logs_close(e->logs, after_logs, e);
}

void engine_end(struct engine *e)
{
    struct users *users = e->users;
    struct process *p;

    update_abort(e, "the daemon is shutting down");
    watches_free(e->watches);
    e->watches = NULL;
    e->users = NULL;
    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        engine_spawn_forget(runtime_of(p));
    }
    TAILQ_FOREACH (p, supervisor_shadows(e->sup), entry) {
        engine_spawn_forget(runtime_of(p));
    }
    limits_free(e->limits);
    e->limits = NULL;
    metrics_free(e->metrics);
    e->metrics = NULL;
    schedules_free(e->schedules);
    e->schedules = NULL;
    trigger_abort(e);
    hooks_close(e->hooks);
    e->hooks = NULL;
    users_close(users); /* before the server: requests may wait for it too */
    keeper_attach_close(e->attach);
    e->attach = NULL;
    if (e->server)
        server_close(e->server, after_server, e);
    else
        after_server(e);
}

static char *own_path(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (n <= 0)
        return xstrdup("pmd");
    path[n] = '\0';
    /* A binary that was replaced on disk: the new one is at the same place. */
    if (n > 10 && strcmp(path + n - 10, " (deleted)") == 0)
        path[n - 10] = '\0';
    return xstrdup(path);
}

static int engine_init(struct engine *e, const char *home, int keeper_fd, struct err *err)
{
    const struct logs_hooks hooks = {
        .arg = e, .spool_made = on_spool_made, .stream_done = on_stream_done, .trouble = on_trouble};
    struct rlimit files;
    int rc;

    *e = (struct engine){.started_ms = clock_wall_ms(), .pmd_path = own_path()};
    TAILQ_INIT(&e->listeners);
    TAILQ_INIT(&e->triggers);
    preload_init(&e->graceful_http, e->pmd_path, "graceful_http.js");
    preload_init(&e->node_probe, e->pmd_path, "node_probe.js");
    holds_init(&e->holds);
    rc = home_open(&e->home, home, 0, err);
    if (rc < 0)
        return rc;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);          /* its counters cost a lock at each allocation */
    sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0); /* no 20 pages for each database in advance */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    rc = uv_loop_init(&e->loop);
    if (rc < 0)
        return err_set(err, rc, "cannot make an event loop: %s", uv_strerror(rc));
    engine_sys_init(e);
    engine_order_init(e);
    e->sup = supervisor_new(&e->sys);
    e->sockets = sockets_new(e);
    engine_cluster_init(e);
    e->hooks = hooks_open(e);
    e->metrics = metrics_new(e);
    e->schedules = schedules_new(e);
    e->users = users_open(&e->loop, users_ask);
    if (!e->users)
        return err_set(err, -EMFILE, "cannot make the event loop's wake-up for user look-ups");
    if (engine_link(e, keeper_fd) < 0)
        return err_set(err, -EPIPE, "no connection to the keeper");
    uv_timer_init(&e->loop, &e->beat);
    e->beat.data = e;
    uv_timer_start(&e->beat, on_beat, 0, BEAT_MS);
    watch_signal(e, &e->sig_term, SIGTERM);
    watch_signal(e, &e->sig_int, SIGINT);
    watch_signal(e, &e->sig_usr2, SIGUSR2);
    restore_begin(e);

    _cleanup_free_ char *logs_db = home_file(&e->home, HOME_LOGS);
    _cleanup_free_ char *state_db = home_file(&e->home, HOME_STATE);
    e->logs = logs_open(&e->loop, logs_db, &hooks);
    e->store = store_open(&e->loop, state_db, on_store_open, on_store_resync, e);
    return e->logs && e->store ? 0 : err_set(err, -EAGAIN, "cannot start a thread");
}

int engine_main(const char *home, int keeper_fd)
{
    struct engine *e = xcalloc(1, sizeof(*e));
    struct err err = {0};

    plog_init("engine");
    testkill_init();
    if (engine_init(e, home, keeper_fd, &err) < 0) {
        log_error("the engine cannot start: %s", err.msg);
        return 1;
    }
    uv_run(&e->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&e->loop) < 0)
        log_debug("the loop closed with handles left");
    holds_clear(&e->holds);
    home_close(&e->home);
    saved_free(e);
    free(e->pmd_path);
    preload_deinit(&e->graceful_http);
    preload_deinit(&e->node_probe);
    free(e->keeper_trouble);
    free(e);
    return 0;
}
