/* How a child is asked for: who it is to be (which may take long to find out), then the keeper. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "daemon/channel.h"
#include "daemon/engine.h"
#include "daemon/launch.h"
#include "daemon/notify.h"
#include "daemon/users.h"

/*
 * Descriptors. A run takes up to nine of ours, and its log files up to three. Others must have some left as
 * well (clients, databases), most of all for the next try of what ran before.
 */
#define RUN_FILES      12
#define SPARE_FILES    64
#define RESPAWN_SPARES 24

/* A spawn that waits for the user database. */
struct spawn_wait {
    struct runtime *runtime; /* NULL: the process went, or this engine ends */
    struct user_wait *wait;
    uint64_t run;
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

static int spawn_as(struct engine *e, struct process *p, const struct user_ids *ids, struct err *err)
{
    struct launch_ctx lc = {.home = e->home.path, .home_id = e->home_id, .ids = ids};
    char name[64];
    struct launch l;
    int rc = check_room(e, p, err), notify_fd = -1;

    if (rc < 0)
        return rc;
    if (p->app->spec->wait_ready) {
        notify_fd = notify_bind(e->home_id, p->run, name, sizeof(name));
        if (notify_fd >= 0)
            lc.notify_name = name;
    }
    launch_init(&l, &lc, p);
    rc = seal(p, &l, err);
    if (rc >= 0)
        rc = ask_keeper(e, p, &l, rc, err);
    launch_deinit(&l);
    if (rc >= 0 && notify_fd >= 0)
        hold_notify(e, p->run, notify_fd);
    else if (notify_fd >= 0)
        close(notify_fd);
    return rc;
}

static void on_user(void *arg, const struct user_ids *ids, const struct err *e)
{
    struct spawn_wait *w = arg;
    struct runtime *r = w->runtime;
    struct err err = {0};
    int rc;

    if (r) {
        r->spawning = NULL;
        rc = ids ? spawn_as(r->engine, r->process, ids, &err) : e->code;
        if (rc < 0)
            supervisor_on_not_spawned(r->engine->sup, w->run, rc, ids ? err.msg : e->msg);
    }
    free(w);
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

    channel_free(r->channel);
    r->channel = NULL;
    notify_free(r->notify);
    r->notify = NULL;
    if (!s->uid && !s->gid)
        return spawn_as(e, p, NULL, err);
    if (!e->users)
        return 0; /* this engine ends for an update; the next one finds a run without a child */
    /* The keeper hears of the run only after the look-up: until then state.db alone tells a new engine of it.
     */
    engine_save_process(e, p);
    store_commit(e->store, rows_stored, NULL);
    r->spawning = xcalloc(1, sizeof(*r->spawning));
    r->spawning->runtime = r;
    r->spawning->run = p->run;
    r->spawning->wait = users_find(e->users, s->uid, s->gid, on_user, r->spawning);
    return 0;
}

void engine_spawn_cancel(struct process *p)
{
    struct spawn_wait *w = runtime_of(p)->spawning;

    if (w)
        users_cancel(w->wait);
}

void engine_spawn_forget(struct runtime *r)
{
    if (r->spawning)
        r->spawning->runtime = NULL;
    r->spawning = NULL;
}
