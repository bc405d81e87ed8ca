#include "daemon/engine_listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/spawn_spec.h"

/*
 * The key of such a socket is its address and nothing else, so that it is found again whatever else of its
 * configuration changes: "listen tcp 0.0.0.0:80", or, of `slots`, "slot 3 tcp 0.0.0.0:80" for instance 3.
 */
#define SHARED "listen "
#define SLOT   "slot "

struct requests {
    struct sock_request *v;
    size_t n;
};

/* A program that adopts a socket sets its O_NONBLOCK, which all who have it share: each instance has its own.
 */
static bool has_slots(const struct listen_options *o)
{
    return o->slots || o->adopt;
}

/* The caller frees. */
static char *key_of(const struct listen_options *o, uint32_t instance)
{
    static const char *const words[] = {[LISTEN_TCP] = "tcp", [LISTEN_UDP] = "udp"};
    _cleanup_free_ char *address =
        o->kind == LISTEN_UNIX ? xasprintf("unix %s", o->path)
                               /* Of several that take any free port the name is all that tells them apart. */
                               : xasprintf("%s %s:%d%s %s", words[o->kind], *o->host ? o->host : "*", o->port,
                                           o->v6only ? " v6" : "", o->port ? "" : o->name);

    return has_slots(o) ? xasprintf(SLOT "%u %s", instance, address) : xasprintf(SHARED "%s", address);
}

static struct sock_request request_of(const struct process *p, const struct listen_options *o)
{
    static const enum sock_kind kinds[] = {
        [LISTEN_TCP] = SOCK_TCP, [LISTEN_UDP] = SOCK_UDP, [LISTEN_UNIX] = SOCK_UNIX};

    return (struct sock_request){.app = p->app->id,
                                 .key = key_of(o, p->instance),
                                 .kind = kinds[o->kind],
                                 .host = *o->host ? o->host : NULL,
                                 .port = o->port,
                                 .v6only = o->v6only,
                                 .reuse_port = has_slots(o),
                                 .backlog = (int)o->backlog,
                                 .path = o->path,
                                 .mode = (uint32_t)o->mode,
                                 .owner = o->owner,
                                 .group = o->group,
                                 .uid = p->app->spec->uid,
                                 .gid = p->app->spec->gid,
                                 .configured = true};
}

/* What the process is to get, in the order of its descriptors. The texts are the configuration's but for the
 * keys. */
static struct requests requests_of(const struct process *p)
{
    const struct listen_list *l = &p->app->spec->listen;
    struct requests r = {.n = l->n};

    if (r.n)
        r.v = xcalloc(r.n, sizeof(*r.v));
    for (size_t i = 0; i < r.n; i++)
        r.v[i] = request_of(p, &l->v[i]);
    return r;
}

static void requests_free(struct requests *r)
{
    for (size_t i = 0; i < r->n; i++)
        free((char *)r->v[i].key);
    free(r->v);
}

bool engine_listens(const struct process *p)
{
    return p->app->spec->listen.n > 0;
}

bool engine_listen_adopts(const struct process *p)
{
    const struct listen_list *l = &p->app->spec->listen;

    for (unsigned i = 0; i < l->n; i++)
        if (l->v[i].adopt)
            return true;
    return false;
}

char *engine_listen_adopt_text(struct engine *e, const struct process *p, const uint64_t *tokens, size_t n)
{
    const struct listen_list *l = &p->app->spec->listen;
    char *text = xstrdup("");

    for (unsigned i = 0; i < l->n && i < n; i++) {
        struct sock *s = sockets_by_token(e->sockets, tokens[i]);
        char *longer;

        if (!l->v[i].adopt || !s)
            continue;
        longer = xasprintf("%s%s%u=%s", text, *text ? ";" : "", LISTEN_FD_FIRST + i, sock_address(s));
        free(text);
        text = longer;
    }
    return text;
}

/* The address in a key; NULL when it is not one of ours. */
static const char *address_of(const char *key)
{
    const char *end;

    if (strncmp(key, SHARED, strlen(SHARED)) == 0)
        return key + strlen(SHARED);
    if (strncmp(key, SLOT, strlen(SLOT)) != 0)
        return NULL;
    end = strchr(key + strlen(SLOT), ' ');
    return end ? end + 1 : NULL;
}

/* Of another instance it is wanted as well: only its slot differs. */
static bool is_wanted(const struct requests *r, const char *key)
{
    const char *address = address_of(key);

    for (size_t i = 0; i < r->n; i++)
        if (key[0] == r->v[i].key[0] && strcmp(address, address_of(r->v[i].key)) == 0)
            return true;
    return false;
}

static void release_unwanted(void *arg, struct sock *s)
{
    if (address_of(sock_key(s)) && !is_wanted(arg, sock_key(s)))
        sock_release(s);
}

struct sock_all *engine_listen(struct engine *e, const struct process *p, sock_all_cb cb, void *arg)
{
    struct requests r = requests_of(p);
    struct sock_all *all = NULL;

    if (p->role == ROLE_SLOT)
        sockets_each(e->sockets, p->app->id, release_unwanted, &r);
    if (r.n)
        all = sockets_open_all(e->sockets, r.v, r.n, cb, arg);
    requests_free(&r);
    return all;
}

/* Another slot that was started meanwhile, by the old configuration, may have released it. */
static void retain_own(void *arg, struct sock *s)
{
    const struct requests *r = arg;

    for (size_t i = 0; i < r->n; i++)
        if (strcmp(sock_key(s), r->v[i].key) == 0)
            sock_retain(s);
}

void engine_listen_replaced(struct engine *e, const struct process *p)
{
    struct requests r = requests_of(p);

    sockets_each(e->sockets, p->app->id, release_unwanted, &r);
    sockets_each(e->sockets, p->app->id, retain_own, &r);
    requests_free(&r);
}

void engine_listen_failed(struct engine *e, const struct process *slot)
{
    const struct process *p;
    struct requests r;

    /* Another candidate may have the same configuration. The last one of them, or what comes of it, closes.
     */
    TAILQ_FOREACH (p, supervisor_shadows(e->sup), entry)
        if (p->role == ROLE_CANDIDATE && p->app->id == slot->app->id)
            return;
    r = requests_of(slot);
    sockets_each(e->sockets, slot->app->id, release_unwanted, &r);
    requests_free(&r);
}

char *engine_listen_words(const struct process *p, int error, const char *words)
{
    static const char by[] = "(by pid ";
    const char *at = error == -EADDRINUSE ? strstr(words, by) : NULL;
    pid_t pid = at ? (pid_t)strtol(at + strlen(by), NULL, 10) : 0;
    const struct process *q;

    TAILQ_FOREACH (q, &p->app->processes, app_entry) {
        if (pid > 0 && q->pid == pid)
            return xasprintf(
                "%s; that is this app's own process %u, which outlived the daemon and from which "
                "the socket cannot be taken: pm stop %s, then pm start %s",
                words, q->id, p->app->spec->name, p->app->spec->name);
    }
    return xstrdup(words);
}

static void release_slot(void *arg, struct sock *s)
{
    const struct process *p = arg;
    const char *key = sock_key(s);

    if (strncmp(key, SLOT, strlen(SLOT)) == 0 && strtoul(key + strlen(SLOT), NULL, 10) == p->instance)
        sock_release(s);
}

void engine_listen_rests(struct engine *e, const struct process *p)
{
    sockets_each(e->sockets, p->app->id, release_slot, (void *)p);
}

void engine_listen_resume(struct engine *e, uint64_t run, int spec_fd)
{
    struct spawn_spec spec;

    if (spec_fd < 0 || spawn_spec_map(spec_fd, &spec) < 0)
        return;
    for (uint32_t i = 0; i < spec.nsockets; i++) {
        struct sock *s = sockets_by_token(e->sockets, spec.sockets[i]);

        if (s)
            sock_use(s, run);
    }
    spawn_spec_unmap(&spec);
}

void engine_listen_take_back(struct engine *e, const struct process *p, int pidfd)
{
    struct requests r = requests_of(p);

    for (size_t i = 0; i < r.n; i++) {
        struct sock *s = sockets_take_back(e->sockets, &r.v[i], p->pid, pidfd);

        if (s)
            sock_use(s, p->run);
    }
    requests_free(&r);
}
