#include "daemon/holds.h"

#include <unistd.h>

#include "common/mem.h"

void holds_init(struct holds *h)
{
    for (size_t i = 0; i < HOLDS_BUCKETS; i++)
        LIST_INIT(&h->bucket[i]);
    h->n = 0;
}

struct hold *holds_get(struct holds *h, uint64_t run)
{
    struct hold *hold;

    LIST_FOREACH (hold, &h->bucket[run % HOLDS_BUCKETS], entry) {
        if (hold->run == run)
            return hold;
    }
    return NULL;
}

struct hold *holds_make(struct holds *h, uint64_t run)
{
    struct hold *hold = holds_get(h, run);

    if (hold)
        return hold;
    hold = xcalloc(1, sizeof(*hold));
    hold->run = run;
    for (int i = 0; i < KW_FD_COUNT; i++)
        hold->fds[i] = -1;
    hold->birth = -1;
    LIST_INSERT_HEAD(&h->bucket[run % HOLDS_BUCKETS], hold, entry);
    h->n++;
    return hold;
}

void hold_close(struct hold *hold, enum kw_fd kind)
{
    if (hold->fds[kind] >= 0)
        close(hold->fds[kind]);
    hold->fds[kind] = -1;
}

void hold_born(struct hold *hold)
{
    if (hold->birth >= 0)
        close(hold->birth);
    hold->birth = -1;
}

void hold_set(struct hold *hold, enum kw_fd kind, int take_fd)
{
    hold_close(hold, kind);
    hold->fds[kind] = take_fd;
}

void hold_take_all(struct hold *hold, struct kw_msg *m)
{
    for (int kind = 1; kind < KW_FD_COUNT; kind++) {
        int fd = kw_take_fd(m, (enum kw_fd)kind);

        if (fd >= 0 && hold->fds[kind] >= 0)
            close(fd);
        else if (fd >= 0)
            hold->fds[kind] = fd;
    }
}

bool hold_is_empty(const struct hold *hold)
{
    for (int i = 0; i < KW_FD_COUNT; i++)
        if (hold->fds[i] >= 0 && i != KW_FD_SPEC)
            return false;
    return true;
}

void holds_free(struct holds *h, struct hold *hold)
{
    for (int i = 0; i < KW_FD_COUNT; i++)
        hold_close(hold, (enum kw_fd)i);
    hold_born(hold);
    LIST_REMOVE(hold, entry);
    h->n--;
    free(hold);
}

void holds_clear(struct holds *h)
{
    for (size_t i = 0; i < HOLDS_BUCKETS; i++)
        while (!LIST_EMPTY(&h->bucket[i]))
            holds_free(h, LIST_FIRST(&h->bucket[i]));
}
