#include "daemon/log_tail.h"

#include <string.h>

#include "common/mem.h"

#define RING_BYTES (1024u * 1024) /* older lines are left out of the context rather than kept beyond this */

static void drop_oldest(struct log_tail *t)
{
    t->ring_bytes -= t->ring[0].len;
    free((char *)t->ring[0].text);
    free((char *)t->ring[0].app);
    memmove(t->ring, t->ring + 1, --t->n_ring * sizeof *t->ring);
}

static void keep(struct log_tail *t, const struct log_line *line)
{
    struct log_line *to;
    char *text;

    if (!t->before)
        return;
    if (!t->ring)
        t->ring = xcalloc(t->before, sizeof *t->ring);
    if (t->n_ring == t->before)
        drop_oldest(t);
    text = xmalloc(line->len + 1);
    if (line->len)
        memcpy(text, line->text, line->len);
    to = &t->ring[t->n_ring++];
    *to = *line;
    to->text = text;
    to->app = xstrdup(line->app);
    t->ring_bytes += line->len;
    while (t->ring_bytes > RING_BYTES && t->n_ring > 1)
        drop_oldest(t);
}

static void show(struct log_tail *t, const struct log_line *line, uint64_t seq, bool context,
                 struct log_block *out)
{
    struct log_line copy = *line;

    copy.marks = context ? LOG_MARK_CONTEXT : 0;
    if ((t->before || t->after) && t->last_seq && seq != t->last_seq + 1)
        copy.marks |= LOG_MARK_GAP;
    t->last_seq = seq;
    log_block_add(out, &copy);
}

static void show_ring(struct log_tail *t, struct log_block *out)
{
    uint64_t first = t->seq - t->n_ring;

    for (size_t i = 0; i < t->n_ring; i++)
        show(t, &t->ring[i], first + i, true, out);
    while (t->n_ring)
        drop_oldest(t);
}

int log_tail_filter(struct log_tail *t, const struct log_line *lines, size_t n, struct log_block *out,
                    struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        const struct log_line *line = &lines[i];
        int match = log_filter_line(t->filter, line->time_us, line->flags);

        if (match && t->grep)
            match = log_grep_match(t->grep, line->text, line->len, e);
        if (match < 0)
            return match;
        t->seq++;
        if (match) {
            show_ring(t, out);
            show(t, line, t->seq, false, out);
            t->after_left = t->after;
        } else if (t->after_left) {
            t->after_left--;
            show(t, line, t->seq, true, out);
        } else {
            keep(t, line);
        }
    }
    return 0;
}

void log_tail_deinit(struct log_tail *t)
{
    while (t->n_ring)
        drop_oldest(t);
    free(t->ring);
}
