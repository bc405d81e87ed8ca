/* How a child is asked for: who it is to be (which may take long to find out), then the keeper. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/adopt_ask.h"
#include "daemon/app_cache.h"
#include "daemon/engine.h"
#include "daemon/engine_cluster.h"
#include "daemon/engine_listen.h"
#include "daemon/launch.h"
#include "daemon/notify.h"
#include "daemon/sockets.h"
#include "daemon/users.h"

/*
 * Descriptors. A run takes up to nine of ours, and its log files up to three. Others must have some left as
 * well (clients, databases), most of all for the next try of what ran before.
 */
#define RUN_FILES      12
#define SPARE_FILES    64
#define RESPAWN_SPARES 24

/* A spawn that waits: for the user database, then for a look at its program, then for its sockets. */
struct spawn_wait {
    struct runtime *runtime; /* NULL: the process went, or this engine ends */
    struct user_wait *user;
    struct adopt_ask *adopt;
    struct sock_all *sockets; /* once the user is known */
    char *library;            /* to be preloaded, for `adopt` */
    uint64_t config;          /* which one these are of (app_cache_version) */
    uint64_t run;
    bool has_ids;
    struct user_ids ids;
};

/* What was waited for. */
struct spawn_means {
    const struct user_ids *ids; /* NULL: as the daemon */
    const uint64_t *sockets;
    size_t nsockets;
    const char *library; /* to be preloaded, or NULL */
};

static uint64_t count_open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint64_t n = 0;

    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

/* Descriptors of runs whose child has not come yet are still to come. */
static uint64_t count_unanswered(struct engine *e)
{
    struct hold *hold;
    uint64_t n = 0;

    HOLDS_FOREACH (hold, &e->holds) {
        if (hold->run && hold->pid == 0 && !hold->exited)
            n++;
    }
    return n;
}

/* Without room the child would run, and its output and its end could not be looked after. */
static int check_room(struct engine *e, const struct process *p, struct err *err)
{
    uint64_t spare = p->last.valid ? RESPAWN_SPARES : SPARE_FILES, open_now;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || RUN_FILES * (e->holds.n + 1) + 2 * spare <= limit.rlim_cur)
        return 0; /* far from it: nothing is counted */
    open_now = count_open_files();
    if (open_now > 3 && open_now + RUN_FILES * (count_unanswered(e) + 1) + spare <= limit.rlim_cur)
        return 0;
    return err_set(
        err, -EMFILE,
        "too many open files: the daemon may have %llu, and %llu are in use; raise its limit (LimitNOFILE= "
        "of its unit, or ulimit -Hn) and start it anew",
        (unsigned long long)limit.rlim_cur, (unsigned long long)open_now);
}

static int seal(const struct process *p, struct launch *l, struct err *err)
{
    _cleanup_free_ char *blob = engine_blob(p, &l->spec.blob_len);

    l->spec.blob = blob;
    return spawn_spec_seal(&l->spec, err);
}

/* Takes `spec_fd`, which stays with the hold. The write end of the birth pipe is gone afterwards, or its end
 * would never be seen. */
static int ask_keeper(struct engine *e, struct process *p, const struct launch *l, int spec_fd,
                      struct err *err)
{
    struct kw_msg m = {.type = KW_SPAWN, .token = p->run, .proc = p->id};
    struct hold *hold = holds_make(&e->holds, p->run);
    int birth = engine_birth_pipe(hold), rc = birth;

    hold->proc = p->id;
    hold_set(hold, KW_FD_SPEC, spec_fd);
    m.flags = l->ipc ? KW_WANT_IPC : 0;
    m.uid = l->spec.flags & SPAWN_SET_IDS ? l->spec.uid : (uint32_t)geteuid();
    m.note_len = (uint16_t)process_note_write(p, m.note, sizeof(m.note));
    memcpy(hold->note, m.note, m.note_len);
    hold->note_len = m.note_len;
    if (birth < 0) {
        err_set(err, rc, "cannot create a pipe: %s", strerror(-rc));
    } else {
        kw_add_fd(&m, KW_FD_SPEC, spec_fd);
        kw_add_fd(&m, KW_FD_BIRTH, birth);
        rc = engine_send(e, &m);
        close(birth);
        if (rc < 0)
            err_set(err, rc, "the keeper cannot be asked for a child: %s", strerror(-rc));
    }
    if (rc < 0)
        holds_free(&e->holds, hold);
    return rc;
}

/* After the spawn: the keeper has a record of the run only then. */
static void hold_notify(struct engine *e, uint64_t run, int take_fd)
{
    struct kw_msg held = {.type = KW_HOLD, .token = run};

    hold_set(holds_make(&e->holds, run), KW_FD_NOTIFY, take_fd);
    kw_add_fd(&held, KW_FD_NOTIFY, take_fd);
    engine_send(e, &held);
}

/* What Node is to load before the app. */
static void add_preloads(struct engine *e, struct launch_ctx *lc, const struct app_spec *s)
{
    uid_t uid = lc->ids ? lc->ids->uid : geteuid();

    if (launch_wants_graceful_http(s))
        lc->graceful_http = preload_use(&e->graceful_http, uid, s->name,
                                        "reloads of http servers may reset idle connections");
    if (launch_wants_node_probe(s))
        lc->node_probe = preload_use(&e->node_probe, uid, s->name, "there are no metrics from inside Node");
}

static int spawn_with(struct engine *e, struct process *p, const struct spawn_means *means, struct err *err)
{
    struct launch_ctx lc = {.home = e->home.path,
                            .home_id = e->home_id,
                            .ids = means->ids,
                            .sockets = means->sockets,
                            .nsockets = (uint32_t)means->nsockets,
                            .adopt_library = means->library};
    _cleanup_free_ char *adopt =
        means->library ? engine_listen_adopt_text(e, p, means->sockets, means->nsockets) : NULL;
    char name[64];
    struct launch l;
    int rc = check_room(e, p, err), notify_fd = -1;

    if (rc < 0)
        return rc;
    if (p->app->spec->wait_ready || p->app->spec->watchdog > 0) {
        notify_fd = notify_bind(e->home_id, p->run, name, sizeof(name));
        if (notify_fd >= 0)
            lc.notify_name = name;
    }
    lc.adopt = adopt;
    add_preloads(e, &lc, p->app->spec);
    launch_init(&l, &lc, p);
    rc = seal(p, &l, err);
    if (rc >= 0)
        rc = ask_keeper(e, p, &l, rc, err);
    launch_deinit(&l);
    for (size_t i = 0; rc >= 0 && i < means->nsockets; i++)
        sock_use(sockets_by_token(e->sockets, means->sockets[i]), p->run);
    if (rc >= 0 && notify_fd >= 0)
        hold_notify(e, p->run, notify_fd);
    else if (notify_fd >= 0)
        close(notify_fd);
    return rc;
}

static void wait_free(struct spawn_wait *w)
{
    user_ids_deinit(&w->ids);
    free(w->library);
    free(w);
}

/* The waiting is over: with a child that is asked for, or with words about why not. */
static void end_wait(struct spawn_wait *w, const struct spawn_means *means, int rc, const char *words)
{
    struct runtime *r = w->runtime;
    struct err err = {0};

    if (r) {
        r->spawning = NULL;
        if (means && (rc = spawn_with(r->engine, r->process, means, &err)) < 0)
            words = err.msg;
        if (rc < 0)
            supervisor_on_not_spawned(r->engine->sup, w->run, rc, words);
    }
    wait_free(w);
}

static void on_sockets(void *arg, const uint64_t *tokens, size_t n, int error, const char *words);
static void on_program(void *arg, const char *library, const struct err *e);

/* False when the process needs none: then nothing is waited for. */
static bool wait_for_sockets(struct spawn_wait *w)
{
    struct process *p = w->runtime->process;
    struct engine *e = w->runtime->engine;
    const struct app_spec *s = p->app->spec;

    w->config = app_cache_version(p->app);
    free(w->library);
    w->library = NULL;
    if (engine_listen_adopts(p))
        w->adopt = adopt_ask(&e->loop, launch_program(s), env_get(s->env, "PATH"), s->cwd, on_program, w);
    else
        w->sockets = engine_listen(e, p, on_sockets, w);
    return w->adopt || w->sockets;
}

/* Changed meanwhile, the configuration may name others: then it begins anew. */
static bool begun_anew(struct spawn_wait *w)
{
    const struct spawn_means none = {.ids = w->has_ids ? &w->ids : NULL};

    if (w->config == app_cache_version(w->runtime->process->app))
        return false;
    if (!wait_for_sockets(w))
        end_wait(w, &none, 0, NULL);
    return true;
}

static void on_sockets(void *arg, const uint64_t *tokens, size_t n, int error, const char *words)
{
    struct spawn_wait *w = arg;
    const struct spawn_means means = {
        .ids = w->has_ids ? &w->ids : NULL, .sockets = tokens, .nsockets = n, .library = w->library};

    _cleanup_free_ char *told =
        tokens || !w->runtime ? NULL : engine_listen_words(w->runtime->process, error, words);

    w->sockets = NULL;
    if (tokens && w->runtime && begun_anew(w))
        return;
    end_wait(w, tokens ? &means : NULL, error, told);
}

static void on_program(void *arg, const char *library, const struct err *e)
{
    struct spawn_wait *w = arg;

    w->adopt = NULL;
    if (!library) {
        end_wait(w, NULL, e->code, e->msg);
        return;
    }
    if (begun_anew(w))
        return;
    w->library = xstrdup(library);
    w->sockets = engine_listen(w->runtime->engine, w->runtime->process, on_sockets, w);
}

static void on_user(void *arg, const struct user_ids *ids, const struct err *e)
{
    struct spawn_wait *w = arg;
    const struct spawn_means means = {.ids = ids};

    w->user = NULL;
    if (!w->runtime || !ids) {
        end_wait(w, NULL, e ? e->code : -ECANCELED, e ? e->msg : "");
        return;
    }
    w->has_ids = true;
    w->ids = *ids;
    w->ids.name = xstrdup(ids->name);
    w->ids.home = xstrdup(ids->home);
    if (!wait_for_sockets(w))
        end_wait(w, &means, 0, NULL);
}

static void rows_stored(void *arg, int rc, const char *msg)
{
    (void)arg, (void)rc, (void)msg; /* the store tells of its trouble itself */
}

int engine_spawn(void *ctx, struct process *p, struct err *err)
{
    struct engine *e = ctx;
    struct runtime *r = runtime_of(p);
    const struct app_spec *s = p->app->spec;
    bool as_user = s->uid || s->gid;

    engine_cluster_disconnect(p);
    notify_free(r->notify);
    r->notify = NULL;
    if (!as_user && !engine_listens(p))
        return spawn_with(e, p, &(struct spawn_means){0}, err);
    if (engine_listens(p) && e->keeper_version && e->keeper_version < KEEPER_HOLDS_SOCKETS)
        return err_set(err, -ENOTSUP,
                       "the running daemon is of an older version, which cannot give listening sockets to "
                       "apps; run pm update");
    if (!e->users)
        return 0; /* this engine ends for an update; the next one finds a run without a child */
    /* The keeper hears of the run only after the look-up: until then state.db alone tells a new engine of it.
     */
    engine_save_process(e, p);
    store_commit(e->store, rows_stored, NULL);
    r->spawning = xcalloc(1, sizeof(*r->spawning));
    r->spawning->runtime = r;
    r->spawning->run = p->run;
    if (as_user)
        r->spawning->user = users_find(e->users, s->uid, s->gid, on_user, r->spawning);
    else
        wait_for_sockets(r->spawning);
    return 0;
}

void engine_spawn_cancel(struct process *p)
{
    struct spawn_wait *w = runtime_of(p)->spawning;

    if (w && w->user)
        users_cancel(w->user);
    else if (w && w->adopt)
        adopt_ask_cancel(w->adopt);
    else if (w && w->sockets)
        sock_all_cancel(w->sockets);
}

void engine_spawn_forget(struct runtime *r)
{
    struct spawn_wait *w = r->spawning;

    r->spawning = NULL;
    if (!w)
        return;
    w->runtime = NULL;
    if (w->user)
        return; /* its answer comes yet */
    if (w->adopt)
        adopt_ask_forget(w->adopt);
    if (w->sockets)
        sock_all_forget(w->sockets);
    wait_free(w);
}
