/* What the life cycle of processes asks about workers, and of them. */
#include <stdio.h>
#include <string.h>

#include "daemon/cluster_int.h"

bool cluster_listens(const struct worker *w)
{
    if (!w || !w->is_worker || !w->state || w->ended)
        return false;
    STATE_FOREACH(e, w->state)
    if (e->listening)
        return true;
    return false;
}

static bool has_name(const struct worker *w, const struct state_entry *wanted)
{
    /* By name as well: a unix socket is another one when the app has removed its file before it asked. */
    STATE_FOREACH(e, w->state)
    if (e->listening && (e->name == wanted->name || (e->token && e->token == wanted->token)))
        return true;
    return false;
}

bool cluster_listens_as(const struct worker *w, const struct worker *old)
{
    if (!old || !old->state)
        return true;
    if (!w || !w->state || w->ended)
        return false;
    STATE_FOREACH(e, old->state)
    if (e->listening && !has_name(w, e))
        return false;
    return true;
}

void cluster_leave(struct worker *w)
{
    if (!w || !w->is_worker)
        return;
    w->left = true;
    query_cancel(w);
    rr_leave(w, 0);
    worker_resume(w); /* a request that waits gets no answer any more */
}

bool cluster_drain(struct worker *w)
{
    if (!w || !w->is_worker || w->ended)
        return false;
    cluster_leave(w);
    if (!w->told) {
        w->want_told = true;
        worker_ask_disconnect(w);
    }
    return true;
}

struct slot {
    const char *prefix;
};

static void release_slot(void *arg, struct sock *s)
{
    const struct slot *slot = arg;

    if (strncmp(sock_key(s), slot->prefix, strlen(slot->prefix)) == 0)
        sock_release(s);
}

void cluster_slot_rests(struct cluster *c, uint64_t app, uint32_t instance)
{
    char prefix[40];
    struct slot slot = {prefix};

    snprintf(prefix, sizeof(prefix), "node-slot %u ", instance);
    sockets_each(c->sockets, app, release_slot, &slot);
}
