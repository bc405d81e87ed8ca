#include "keeper/table.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void record_init(struct record *r, uint64_t token)
{
    *r = (struct record){.token = token, .exec_fd = -1};
    for (int i = 0; i < KW_FD_COUNT; i++)
        r->fds[i] = -1;
}

static void record_close_all(struct record *r)
{
    for (int i = 0; i < KW_FD_COUNT; i++)
        record_drop(r, (enum kw_fd)i);
    if (r->exec_fd >= 0)
        close(r->exec_fd);
    r->exec_fd = -1;
}

void table_init(struct table *t)
{
    *t = (struct table){0};
    TAILQ_INIT(&t->all);
    TAILQ_INIT(&t->sockets);
    record_init(&t->self, 0);
    for (unsigned i = 0; i < TABLE_BUCKETS; i++) {
        LIST_INIT(&t->tokens[i]);
        LIST_INIT(&t->pids[i]);
    }
}

void table_deinit(struct table *t)
{
    while (!TAILQ_EMPTY(&t->all))
        table_remove(t, TAILQ_FIRST(&t->all));
    while (!TAILQ_EMPTY(&t->sockets))
        table_remove(t, TAILQ_FIRST(&t->sockets));
    record_close_all(&t->self);
}

static struct record *lookup(struct table *t, uint64_t token)
{
    struct record *r;

    LIST_FOREACH (r, &t->tokens[token % TABLE_BUCKETS], same_token) {
        if (r->token == token)
            return r;
    }
    return NULL;
}

struct record *table_add(struct table *t, uint64_t token)
{
    bool socket = is_socket_token(token);
    struct record *r;

    if (lookup(t, token)) {
        errno = EEXIST;
        return NULL;
    }
    if (socket ? t->n_sockets >= KW_SOCKETS_MAX : t->count >= TABLE_MAX) {
        errno = ENOSPC;
        return NULL;
    }
    r = malloc(sizeof(*r));
    if (!r) {
        errno = ENOMEM;
        return NULL;
    }
    record_init(r, token);
    TAILQ_INSERT_TAIL(socket ? &t->sockets : &t->all, r, all);
    LIST_INSERT_HEAD(&t->tokens[token % TABLE_BUCKETS], r, same_token);
    *(socket ? &t->n_sockets : &t->count) += 1;
    if (!socket && token > t->highest)
        t->highest = token;
    return r;
}

void table_remove(struct table *t, struct record *r)
{
    bool socket = is_socket_token(r->token);

    table_clear_pid(r);
    record_close_all(r);
    TAILQ_REMOVE(socket ? &t->sockets : &t->all, r, all);
    LIST_REMOVE(r, same_token);
    *(socket ? &t->n_sockets : &t->count) -= 1;
    free(r);
}

struct record *table_find(struct table *t, uint64_t token)
{
    return token ? lookup(t, token) : &t->self;
}

void table_set_pid(struct table *t, struct record *r, pid_t pid)
{
    r->pid = pid;
    r->in_pids = true;
    LIST_INSERT_HEAD(&t->pids[(unsigned)pid % TABLE_BUCKETS], r, same_pid);
}

void table_clear_pid(struct record *r)
{
    if (r->in_pids)
        LIST_REMOVE(r, same_pid);
    r->in_pids = false;
}

struct record *table_find_pid(struct table *t, pid_t pid)
{
    struct record *r;

    LIST_FOREACH (r, &t->pids[(unsigned)pid % TABLE_BUCKETS], same_pid) {
        if (r->pid == pid)
            return r;
    }
    return NULL;
}

void record_hold(struct record *r, enum kw_fd kind, int fd)
{
    record_drop(r, kind);
    r->fds[kind] = fd;
}

void record_drop(struct record *r, enum kw_fd kind)
{
    if (r->fds[kind] >= 0)
        close(r->fds[kind]);
    r->fds[kind] = -1;
}

bool record_holds_any(const struct record *r)
{
    for (int i = 0; i < KW_FD_COUNT; i++)
        if (r->fds[i] >= 0)
            return true;
    return false;
}
