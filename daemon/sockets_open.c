/* From a request to a socket: who the app is and who is to own the file (which is asked of the user
 * database), then the bind on a worker thread, then the entry. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "daemon/engine.h"
#include "daemon/sockets_int.h"

#define CLOSED_MS 1000u /* so long a socket that was closed may still have copies */

struct sock_wait {
    struct sock_open *open;
    sock_cb cb;
    void *arg;
    TAILQ_ENTRY(sock_wait) entry;
};
TAILQ_HEAD(sock_wait_list, sock_wait);

enum open_step { STEP_APP, STEP_OWNER, STEP_FILES, STEP_BIND };

struct sock_open {
    struct sockets *set; /* NULL: nobody is there any more, only the thread */
    uint64_t app;
    char *key, *path, *owner, *group, *uid, *gid;
    bool configured;
    json_t *extra;
    enum open_step step;
    struct sock_bind bind;
    struct sock_wait_list waits;
    uv_work_t work;
    TAILQ_ENTRY(sock_open) entry;
};

static void go_on(struct sock_open *o);

void sock_bind_init(struct sock_bind *b, const struct sock_request *r)
{
    *b = (struct sock_bind){.kind = r->kind,
                            .host = r->host ? xstrdup(r->host) : NULL,
                            .path = r->path ? xstrdup(r->path) : NULL,
                            .port = r->port,
                            .backlog = r->backlog > 0 ? r->backlog : SOCK_BACKLOG,
                            .v6only = r->v6only,
                            .reuse_port = r->reuse_port,
                            .reuse_address = r->reuse_address,
                            .blocking = r->configured,
                            .by_app = !r->configured,
                            .mode = r->mode,
                            .add_mode = r->add_mode,
                            .owner = UINT32_MAX,
                            .group = UINT32_MAX,
                            .fd = -1};
}

static void open_free(struct sock_open *o)
{
    struct sock_wait *w;

    while ((w = TAILQ_FIRST(&o->waits))) {
        TAILQ_REMOVE(&o->waits, w, entry);
        free(w);
    }
    sock_bind_deinit(&o->bind);
    free(o->key);
    free(o->path);
    free(o->owner);
    free(o->group);
    free(o->uid);
    free(o->gid);
    json_decref(o->extra);
    free(o);
}

/* Everybody gets the answer; a callback may cancel the others. */
static void answer(struct sock_open *o, struct sock *s, int error, const char *words)
{
    struct sock_wait *w;

    if (o->set)
        TAILQ_REMOVE(&o->set->opens, o, entry);
    o->set = NULL;
    while ((w = TAILQ_FIRST(&o->waits))) {
        sock_cb cb = w->cb;
        void *arg = w->arg;

        TAILQ_REMOVE(&o->waits, w, entry);
        free(w);
        cb(arg, s, error, words);
    }
    open_free(o);
}

static bool is_in_the_way(const struct sock *k, const struct sock_bind *b)
{
    struct sockaddr_storage has = {0}, wanted;
    socklen_t len = sizeof(has);

    if (k->kind != b->kind)
        return false;
    if (b->kind == SOCK_UNIX)
        return k->path && strcmp(k->path, b->path) == 0;
    if (k->port != b->port)
        return false;
    if (getsockname(k->fd, (struct sockaddr *)&has, &len) < 0 || !b->host || sock_any_host(&has) ||
        !sock_address_of(b, AF_UNSPEC, &wanted, &len))
        return true;
    return sock_any_host(&wanted) || sock_same_host(&has, &wanted);
}

/* The address is another app's of this daemon? That says more than a pid, which would be the daemon's own. */
static void name_app(struct sock_open *o)
{
    struct sock_bind *b = &o->bind;
    const struct sock *k;
    struct app *a;

    TAILQ_FOREACH (k, &o->set->list, entry) {
        size_t used = strlen(b->err.msg);

        if (!is_in_the_way(k, b))
            continue;
        char *by = strstr(b->err.msg, " (by pid ");
        used = by ? (size_t)(by - b->err.msg) : used;
        TAILQ_FOREACH (a, supervisor_apps(o->set->engine->sup), entry) {
            if (a->id == k->app)
                snprintf(b->err.msg + used, sizeof(b->err.msg) - used, " (by the app %s: %s)", a->spec->name,
                         k->address);
        }
        return;
    }
}

static struct sock *enter(struct sock_open *o)
{
    struct sock_bind *b = &o->bind;
    struct sock_request r = {.app = o->app,
                             .key = o->key,
                             .kind = b->kind,
                             .path = o->path,
                             .configured = o->configured,
                             .extra = o->extra};
    struct sock *k;
    int error;

    if (!sock_app_known(o->set, o->app)) {
        if (b->file.ino)
            sock_remove_path(o->set, xstrdup(o->path), b->file);
        b->error = err_set(&b->err, -ECANCELED, "the app was deleted meanwhile");
        return NULL;
    }
    k = sock_new(o->set, &r, b, &error);
    if (!k) {
        b->error = error;
        sock_bind_fail(b, error, "keep");
        return NULL;
    }
    /* Until somebody says that a run uses it. */
    if (!o->configured)
        sock_linger(k, SOCK_CLOSED_MS);
    return k;
}

static void bind_work(uv_work_t *w)
{
    struct sock_open *o = w->data;

    sock_bind_run(&o->bind);
}

static void bind_done(uv_work_t *w, int status)
{
    struct sock_open *o = w->data;
    struct sock_bind *b = &o->bind;
    bool fresh = b->fd >= 0;
    struct sock *k;

    if (!o->set) {
        if (fresh)
            sock_file_remove(o->path ? o->path : "", b->file);
        open_free(o);
        return;
    }
    if (status < 0 && !b->error)
        sock_bind_fail(b, status, "listen on");
    if (!b->error && b->fd < 0) {
        k = sockets_find(o->set, o->app, o->key);
        if (!k) { /* it went in this turn */
            b->exists = false;
            b->file = (struct sock_file){0, 0};
            o->step = STEP_APP;
            go_on(o);
            return;
        }
        if (b->kind != SOCK_UDP)
            listen(k->fd, b->backlog); /* as it is asked for now */
        k->configured |= o->configured;
        k->released &= !o->configured;
    } else if (!b->error) {
        k = enter(o);
    } else {
        k = NULL;
    }
    if (b->error == -EADDRINUSE)
        name_app(o);
    /* Its spawn was cancelled: a new one is in nobody's hands, and connections would wait in it for good. */
    if (k && TAILQ_EMPTY(&o->waits) && (fresh || !sock_app_up(o->set, o->app))) {
        sock_close(k);
        k = NULL;
    }
    answer(o, k, b->error, b->error ? b->err.msg : "");
}

static void fail_late(struct sock_open *o, int error, const char *words)
{
    o->bind.error = err_set(&o->bind.err, error, "%s", words);
    o->step = STEP_BIND;
    go_on(o);
}

static void on_ids(void *arg, const struct user_ids *ids, const struct err *e)
{
    struct sock_open *o = arg;
    struct sock_bind *b = &o->bind;

    if (!o->set) {
        open_free(o);
        return;
    }
    if (!ids) {
        struct err words = *e;

        if (o->step == STEP_OWNER)
            err_wrap(&words, "owner and group of unix:%.300s", o->path);
        answer(o, NULL, words.code, words.msg);
        return;
    }
    if (o->step == STEP_APP) {
        b->as_user = true;
        b->ids = *ids;
        b->ids.name = b->ids.home = NULL;
    } else {
        b->owner = o->owner ? ids->uid : UINT32_MAX;
        b->group = o->group ? ids->gid : UINT32_MAX;
    }
    o->step++;
    go_on(o);
}

/* The next thing to do for it; each ends in a later turn. */
static void go_on(struct sock_open *o)
{
    struct engine *e = o->set->engine;
    struct sock_bind *b = &o->bind;

    if (o->step == STEP_APP && !o->uid && !o->gid)
        o->step++;
    if (o->step == STEP_OWNER && (b->kind != SOCK_UNIX || (!o->owner && !o->group)))
        o->step++;
    if (o->step < STEP_FILES && !e->users) {
        fail_late(o, -ECANCELED, "the daemon is ending");
        return;
    }
    if (o->step == STEP_APP || o->step == STEP_OWNER) {
        bool app = o->step == STEP_APP;

        users_find(e->users, app ? o->uid : o->owner, app ? o->gid : o->group, on_ids, o);
        return;
    }
    /* Else what is removed could be what is bound next. */
    if (o->step == STEP_FILES && b->kind == SOCK_UNIX && o->set->removing)
        return;
    o->step = STEP_BIND;
    b->may_retry = clock_mono_ms() < o->set->closed_ms + CLOSED_MS;
    o->work.data = o;
    if (uv_queue_work(&e->loop, &o->work, bind_work, bind_done) < 0) {
        sock_bind_fail(b, -EAGAIN, "listen on");
        answer(o, NULL, b->error, b->err.msg);
    }
}

void sock_opens_continue(struct sockets *s)
{
    struct sock_open *o, *next;

    for (o = TAILQ_FIRST(&s->opens); o; o = next) {
        next = TAILQ_NEXT(o, entry);
        if (o->step == STEP_FILES)
            go_on(o);
    }
}

void sock_opens_forget(struct sockets *s)
{
    struct sock_open *o;

    while ((o = TAILQ_FIRST(&s->opens))) {
        TAILQ_REMOVE(&s->opens, o, entry);
        o->set = NULL;
        if (o->step == STEP_FILES)
            open_free(o); /* nothing comes back to it */
    }
}

static struct sock_open *open_new(struct sockets *s, const struct sock_request *r)
{
    struct sock_open *o = xcalloc(1, sizeof(*o));

    o->set = s;
    o->app = r->app;
    o->key = xstrdup(r->key);
    o->path = r->path ? xstrdup(r->path) : NULL;
    o->owner = r->owner ? xstrdup(r->owner) : NULL;
    o->group = r->group ? xstrdup(r->group) : NULL;
    o->uid = r->uid ? xstrdup(r->uid) : NULL;
    o->gid = r->gid ? xstrdup(r->gid) : NULL;
    o->configured = r->configured;
    o->extra = json_incref(r->extra);
    sock_bind_init(&o->bind, r);
    TAILQ_INIT(&o->waits);
    TAILQ_INSERT_TAIL(&s->opens, o, entry);
    return o;
}

/* Begins to look for what there is, or to bind. */
static void begin(struct sock_open *o)
{
    struct sockets *s = o->set;
    struct sock *k = sockets_find(s, o->app, o->key);
    char words[100];

    if (k) {
        o->bind.fd = -1;
        o->bind.exists = true;
        o->bind.file = k->file;
        if (!o->configured || k->kind != SOCK_UNIX)
            o->step = STEP_FILES;
        go_on(o);
    } else if (sock_count(s, o->app) >= SOCKETS_AN_APP) {
        snprintf(words, sizeof(words), "the app has %u listening sockets already: there is no room for more",
                 SOCKETS_AN_APP);
        fail_late(o, -ENFILE, words);
    } else {
        go_on(o);
    }
}

struct sock_wait *sockets_open(struct sockets *s, const struct sock_request *r, sock_cb cb, void *arg)
{
    struct sock_wait *w = xcalloc(1, sizeof(*w));
    struct sock_open *o;

    *w = (struct sock_wait){.cb = cb, .arg = arg};
    TAILQ_FOREACH (o, &s->opens, entry) {
        if (o->app == r->app && strcmp(o->key, r->key) == 0)
            break;
    }
    if (o) {
        w->open = o;
        TAILQ_INSERT_TAIL(&o->waits, w, entry);
        return w;
    }
    o = open_new(s, r);
    w->open = o;
    TAILQ_INSERT_TAIL(&o->waits, w, entry);
    begin(o);
    return w;
}

void sockets_cancel(struct sock_wait *w)
{
    TAILQ_REMOVE(&w->open->waits, w, entry);
    free(w);
}
