/* Who uses a socket, and when it goes. */
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/engine.h"
#include "daemon/sockets_int.h"

#define LOOK_MS 500u

static void on_timer(uv_timer_t *timer);

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

void sock_remove_path(struct sockets *s, char *take_path, struct sock_file file)
{
    struct removal *r = xcalloc(1, sizeof(*r));

    *r = (struct removal){.set = s, .path = take_path, .file = file};
    r->work.data = r;
    s->removing++;
    if (uv_queue_work(&s->engine->loop, &r->work, remove_file, file_removed) < 0)
        file_removed(&r->work, 0);
}

void sock_remove_file(struct sock *k)
{
    if (!k->file.ino || k->replaced)
        return;
    sock_remove_path(k->set, k->path, k->file);
    k->path = NULL;
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
    sock_remove_file(k);
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
    if (k->replaced || k->released || !sock_app_up(k->set, k->app))
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
    bool was_configured = k->configured;

    k->released |= was_configured;
    k->configured = false;
    if (!k->n_runs)
        sock_close(k);
    else if (was_configured && sock_keep(k) < 0) /* for the next engine */
        log_warn("the keeper is not told that %s is not of `listen` any more", k->address);
}

void sock_retain(struct sock *k)
{
    if (!k->released)
        return;
    k->released = false;
    k->configured = true;
    if (sock_keep(k) < 0)
        log_warn("the keeper is not told that %s is of `listen` again", k->address);
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
