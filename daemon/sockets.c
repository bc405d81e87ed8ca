/* The sockets that there are, who uses them, and when they go. */
#include "daemon/sockets.h"

#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/engine.h"
#include "daemon/sockets_int.h"

#define LOOK_MS 500u

static void on_timer(uv_timer_t *timer);

struct sockets *sockets_new(struct engine *e)
{
    struct sockets *s = xcalloc(1, sizeof(*s));

    s->engine = e;
    TAILQ_INIT(&s->list);
    TAILQ_INIT(&s->opens);
    uv_timer_init(&e->loop, &s->timer);
    uv_unref((uv_handle_t *)&s->timer);
    s->timer.data = s;
    return s;
}

void sock_free(struct sock *k)
{
    TAILQ_REMOVE(&k->set->list, k, entry);
    k->set->n--;
    close(k->fd);
    free(k->key);
    free(k->address);
    free(k->path);
    free(k->runs);
    json_decref(k->extra);
    free(k);
}

static void timer_closed(uv_handle_t *handle)
{
    struct sockets *s = handle->data;

    s->closed = true;
    if (!s->removing)
        free(s);
}

void sockets_free(struct sockets *s)
{
    if (!s)
        return;
    sock_opens_forget(s);
    while (!TAILQ_EMPTY(&s->list))
        sock_free(TAILQ_FIRST(&s->list));
    s->engine = NULL;
    uv_close((uv_handle_t *)&s->timer, timer_closed);
}

static const struct app *find_app(const struct sockets *s, uint64_t id)
{
    const struct app *a;

    TAILQ_FOREACH (a, supervisor_apps(s->engine->sup), entry) {
        if (a->id == id)
            return a;
    }
    return NULL;
}

bool sock_app_known(const struct sockets *s, uint64_t app)
{
    return find_app(s, app) != NULL;
}

bool sock_app_up(const struct sockets *s, uint64_t app)
{
    const struct app *a = find_app(s, app);
    const struct process *p;

    if (!a)
        return false;
    TAILQ_FOREACH (p, &a->processes, app_entry) {
        if (p->state != LC_STOPPED && p->state != LC_ERRORED)
            return true;
    }
    return false;
}

unsigned sock_count(const struct sockets *s, uint64_t app)
{
    const struct sock *k;
    unsigned n = 0;

    TAILQ_FOREACH (k, &s->list, entry)
        n += k->app == app;
    return n;
}

/* ---- the end of one ---- */

struct removal {
    uv_work_t work;
    struct sockets *set;
    char *path;
    struct sock_file file;
};

static void remove_file(uv_work_t *w)
{
    struct removal *r = w->data;

    sock_file_remove(r->path, r->file);
}

static void file_removed(uv_work_t *w, int status)
{
    struct removal *r = w->data;
    struct sockets *s = r->set;

    (void)status;
    free(r->path);
    free(r);
    if (--s->removing > 0)
        return;
    if (s->engine)
        sock_opens_continue(s);
    else if (s->closed)
        free(s);
}

static void begin_removal(struct sock *k)
{
    struct removal *r;

    if (!k->file.ino || k->replaced)
        return;
    r = xcalloc(1, sizeof(*r));
    *r = (struct removal){.set = k->set, .path = k->path, .file = k->file};
    k->path = NULL;
    r->work.data = r;
    k->set->removing++;
    if (uv_queue_work(&k->set->engine->loop, &r->work, remove_file, file_removed) < 0)
        file_removed(&r->work, 0);
}

void sock_close(struct sock *k)
{
    struct kw_msg drop = {.type = KW_DROP, .token = k->token};

    log_debug("app %llu: %s is closed", (unsigned long long)k->app, k->address);
    /* At once, whoever else has a copy yet: the keeper gets its message in a moment. A datagram socket knows
     * no such thing; see may_retry. */
    if (k->kind != SOCK_UDP)
        shutdown(k->fd, SHUT_RDWR);
    kw_add_fd(&drop, KW_FD_SOCKET, -1);
    kw_add_fd(&drop, KW_FD_META, -1);
    if (sock_keeper_can(k->set))
        engine_send(k->set->engine, &drop);
    k->set->closed_ms = clock_mono_ms();
    begin_removal(k);
    sock_free(k);
}

/* ---- who uses it ---- */

void sock_linger(struct sock *k, uint64_t ms)
{
    k->unused_ms = clock_mono_ms();
    k->linger_ms = ms;
    if (!uv_is_active((uv_handle_t *)&k->set->timer))
        uv_timer_start(&k->set->timer, on_timer, LOOK_MS, LOOK_MS);
}

void sock_use(struct sock *k, uint64_t run)
{
    k->unused_ms = 0;
    for (size_t i = 0; i < k->n_runs; i++)
        if (k->runs[i] == run)
            return;
    k->runs = xrealloc(k->runs, (k->n_runs + 1) * sizeof(*k->runs));
    k->runs[k->n_runs++] = run;
}

static bool take_out(struct sock *k, uint64_t run)
{
    for (size_t i = 0; i < k->n_runs; i++) {
        if (k->runs[i] != run)
            continue;
        k->runs[i] = k->runs[--k->n_runs];
        return true;
    }
    return false;
}

/* The last user went. */
static void now_unused(struct sock *k, uint64_t linger_ms)
{
    if (k->replaced || !sock_app_up(k->set, k->app))
        sock_close(k);
    else if (!k->configured)
        sock_linger(k, linger_ms);
}

void sock_unuse(struct sock *k, uint64_t run)
{
    if (take_out(k, run) && !k->n_runs)
        now_unused(k, SOCK_CLOSED_MS);
}

void sockets_run_ended(struct sockets *s, uint64_t run)
{
    struct sock *k, *next;

    for (k = TAILQ_FIRST(&s->list); k; k = next) {
        next = TAILQ_NEXT(k, entry);
        if (take_out(k, run) && !k->n_runs)
            now_unused(k, SOCK_ENDED_MS);
    }
}

void sock_release(struct sock *k)
{
    k->configured = false;
    if (!k->n_runs)
        sock_close(k);
}

/* Has every process of the app been up since long before? While one is down or starts, it may be about to
 * ask.
 */
static bool all_are_up(const struct sockets *s, uint64_t app, uint64_t for_ms)
{
    const struct app *a = find_app(s, app);
    uint64_t now = clock_wall_ms();
    const struct process *p;

    if (!a)
        return true;
    TAILQ_FOREACH (p, &a->processes, app_entry) {
        if (p->state == LC_STOPPED || p->state == LC_ERRORED)
            continue;
        if (p->state != LC_ONLINE || now < p->online_ms + for_ms)
            return false;
    }
    return true;
}

static void on_timer(uv_timer_t *timer)
{
    struct sockets *s = timer->data;
    uint64_t now = clock_mono_ms();
    struct sock *k, *next;
    bool more = false;

    for (k = TAILQ_FIRST(&s->list); k; k = next) {
        next = TAILQ_NEXT(k, entry);
        if (!k->unused_ms)
            continue;
        if (now >= k->unused_ms + k->linger_ms &&
            (k->linger_ms <= SOCK_CLOSED_MS || all_are_up(s, k->app, k->linger_ms)))
            sock_close(k);
        else
            more = true;
    }
    if (!more)
        uv_timer_stop(timer);
}

/* Runs that never came to be are nobody's any more. */
static void drop_dead_runs(struct sock *k)
{
    for (size_t i = k->n_runs; i > 0; i--)
        if (!supervisor_by_run(k->set->engine->sup, k->runs[i - 1]))
            k->runs[i - 1] = k->runs[--k->n_runs];
}

void sockets_app_rests(struct sockets *s, uint64_t app)
{
    struct sock *k, *next;

    for (k = TAILQ_FIRST(&s->list); k; k = next) {
        next = TAILQ_NEXT(k, entry);
        if (k->app != app)
            continue;
        drop_dead_runs(k);
        if (!k->n_runs)
            sock_close(k);
    }
}

void sockets_app_deleted(struct sockets *s, uint64_t app)
{
    struct sock *k, *next;

    for (k = TAILQ_FIRST(&s->list); k; k = next) {
        next = TAILQ_NEXT(k, entry);
        if (k->app == app)
            sock_close(k);
    }
}

/* ---- what there is ---- */

static bool file_went(const struct sock *k)
{
    struct sock_file now;

    if (!k->file.ino)
        return false;
    now = sock_file_at(k->path);
    return now.dev != k->file.dev || now.ino != k->file.ino;
}

static struct sock *find(const struct sockets *s, uint64_t app, const char *key)
{
    struct sock *k;

    TAILQ_FOREACH (k, &s->list, entry) {
        if (k->app == app && !k->replaced && strcmp(k->key, key) == 0)
            return k;
    }
    return NULL;
}

struct sock *sockets_find(struct sockets *s, uint64_t app, const char *key)
{
    struct sock *k = find(s, app, key);

    return k && !file_went(k) ? k : NULL;
}

struct sock *sockets_by_token(struct sockets *s, uint64_t token)
{
    struct sock *k;

    TAILQ_FOREACH (k, &s->list, entry) {
        if (k->token == token)
            return k;
    }
    return NULL;
}

void sockets_each(struct sockets *s, uint64_t app, void (*fn)(void *arg, struct sock *k), void *arg)
{
    struct sock *k, *next;

    for (k = TAILQ_FIRST(&s->list); k; k = next) {
        next = TAILQ_NEXT(k, entry);
        if (k->app == app && !k->replaced)
            fn(arg, k);
    }
}

struct sock *sock_insert(struct sockets *s, struct sock *k)
{
    k->set = s;
    TAILQ_INSERT_TAIL(&s->list, k, entry);
    s->n++;
    if ((k->token & ~SOCKET_TOKEN_BIT) > s->last_token)
        s->last_token = k->token & ~SOCKET_TOKEN_BIT;
    return k;
}

struct sock *sock_new(struct sockets *s, const struct sock_request *r, struct sock_bind *b, int *error)
{
    struct sock *old = find(s, r->app, r->key), *k;

    *error = -ENFILE;
    if (s->n >= KW_SOCKETS_MAX)
        return NULL;
    k = xcalloc(1, sizeof(*k));
    *k = (struct sock){.token = SOCKET_TOKEN_BIT | (s->last_token + 1),
                       .app = r->app,
                       .key = xstrdup(r->key),
                       .kind = r->kind,
                       .fd = b->fd,
                       .port = b->real_port,
                       .address = b->address,
                       .path = r->path ? xstrdup(r->path) : NULL,
                       .file = b->file,
                       .configured = r->configured,
                       .extra = json_incref(r->extra)};
    b->fd = -1;
    b->address = NULL;
    sock_insert(s, k);
    *error = sock_keep(k);
    if (*error < 0) {
        begin_removal(k);
        sock_free(k);
        return NULL;
    }
    /* Whoever has the one before keeps it, but its name is another's now. */
    if (old) {
        old->replaced = true;
        if (!old->n_runs)
            sock_close(old);
    }
    return k;
}

int sock_fd(const struct sock *k)
{
    return k->fd;
}

uint64_t sock_token(const struct sock *k)
{
    return k->token;
}

uint64_t sock_app(const struct sock *k)
{
    return k->app;
}

const char *sock_key(const struct sock *k)
{
    return k->key;
}

enum sock_kind sock_kind(const struct sock *k)
{
    return k->kind;
}

int sock_port(const struct sock *k)
{
    return k->port;
}

const json_t *sock_extra(const struct sock *k)
{
    return k->extra;
}

const char *sock_address(const struct sock *k)
{
    return k->address;
}
