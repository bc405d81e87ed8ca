#include "daemon/tree_hunt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/spawn_spec.h"

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static int by_proc(const void *a, const void *b)
{
    uint32_t x = ((const struct hunt_known *)a)->proc, y = ((const struct hunt_known *)b)->proc;

    return x < y ? -1 : x > y;
}

static bool is_known(const struct tree_hunt *h, uint64_t run, uint32_t proc)
{
    const struct hunt_known key = {.proc = proc}, *k = NULL;

    if (h->n_held && bsearch(&run, h->held, h->n_held, sizeof(run), by_number))
        return true;
    if (h->n_known)
        k = bsearch(&key, h->known, h->n_known, sizeof(key), by_proc);
    if (k && k->only)
        return run == k->run;
    return run <= (k ? k->run : h->last_run);
}

/* A child of the keeper that is now has a record with it. */
static bool is_unborn(const struct tree_hunt *h, const struct proc_stat *st)
{
    char name[16];

    snprintf(name, sizeof(name), SPAWN_UNBORN "%s", h->ctx.tag);
    return strcmp(st->comm, name) == 0 && st->ppid != h->ctx.keeper;
}

static void remember(struct tree_hunt *h, uint64_t run, uint32_t proc, pid_t pid)
{
    for (size_t i = 0; i < h->n_found; i++)
        if (h->found[i].run == run && (run || h->found[i].pid == pid))
            return;
    if (h->n_found == h->cap_found) {
        h->cap_found = h->cap_found ? h->cap_found * 2 : 16;
        h->found = xrealloc(h->found, h->cap_found * sizeof(*h->found));
    }
    h->found[h->n_found++] = (struct hunt_found){run, proc, pid};
}

bool tree_hunt_wants(struct tree_hunt *h, const struct proc_stat *st)
{
    uint64_t run = 0;
    uint32_t proc = UINT32_MAX;

    /* The name was read before the environment is, which is in place when the name changes: a process that is
     * executed meanwhile shows one or the other. */
    if (!is_unborn(h, st)) {
        if (!tree_proc_claims(st->pid, &h->ctx, &run, &proc) || is_known(h, run, proc))
            return false;
    }
    remember(h, run, proc, st->pid);
    return true;
}

void tree_hunt_kill(struct tree_hunt *h)
{
    const struct tree_run all = {.hunt = h, .foreign = true};

    h->alive = tree_kill_by(tree_scan, &h->ctx, &all);
}

void tree_hunt_deinit(struct tree_hunt *h)
{
    free(h->held);
    free(h->known);
    free(h->found);
}
