#include "daemon/log_pick.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

static void show(struct log_pick *p, const struct pick_item *item, uint64_t seq, bool context)
{
    if (p->n_out == p->cap_out) {
        p->cap_out = p->cap_out ? p->cap_out * 2 : 64;
        p->out = xrealloc(p->out, p->cap_out * sizeof *p->out);
    }
    p->out[p->n_out++] =
        (struct pick_out){.id = item->id, .seq = seq, .source = item->source, .context = context};
}

static void show_ring(struct log_pick *p)
{
    for (unsigned i = 0; i < p->ring_n; i++) {
        unsigned at = (p->ring_at + p->before - p->ring_n + i) % p->before;

        show(p, &p->ring[at], p->seq - p->ring_n + i, true);
    }
    p->ring_n = 0;
}

static void keep(struct log_pick *p, const struct pick_item *item)
{
    if (p->before == 0)
        return;
    if (!p->ring)
        p->ring = xcalloc(p->before, sizeof *p->ring);
    p->ring[p->ring_at] = *item;
    p->ring_at = (p->ring_at + 1) % p->before;
    if (p->ring_n < p->before)
        p->ring_n++;
}

bool log_pick_full(const struct log_pick *p)
{
    return p->matched >= p->limit && p->after_left == 0;
}

void log_pick_add(struct log_pick *p, const struct pick_item *item)
{
    if (log_pick_full(p))
        return;
    p->seq++; /* from 1 */
    if (item->match && p->matched < p->limit) {
        show_ring(p);
        show(p, item, p->seq, false);
        p->matched++;
        p->after_left = p->after;
    } else if (p->after_left > 0) {
        show(p, item, p->seq, true);
        p->after_left--;
    } else {
        keep(p, item);
    }
}

void log_pick_deinit(struct log_pick *p)
{
    free(p->ring);
    free(p->out);
    memset(p, 0, sizeof *p);
}
