/* The sockets that there are. */
#include "daemon/sockets.h"

#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/plog.h"
#include "daemon/engine.h"
#include "daemon/sockets_int.h"

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

unsigned sock_count(const struct sockets *s, uint64_t app)
{
    const struct sock *k;
    unsigned n = 0;

    TAILQ_FOREACH (k, &s->list, entry)
        n += k->app == app;
    return n;
}

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
    if (s->n >= KW_SOCKETS_MAX) {
        if (b->file.ino)
            sock_remove_path(s, xstrdup(r->path), b->file);
        return NULL;
    }
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
        sock_remove_file(k);
        sock_free(k);
        return NULL;
    }
    /* Whoever has the one before keeps it, but its name is another's now. */
    if (old) {
        old->replaced = true;
        if (!old->n_runs)
            sock_close(old);
        else if (sock_keep(old) < 0) /* for the next engine */
            log_warn("the keeper is not told that %s has another socket now", old->address);
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
