/*
 * log_rate_limit: which lines of a stream the sinks may see. They are judged once, before any sink has them,
 * so that rows and files agree about what is dropped. A run of dropped lines is a gap; sinks stand before it
 * until it is closed, and then pass it in one step together with the line that tells how many they were: so
 * the count is exact also over a crash.
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "daemon/log_spool.h"
#include "daemon/log_writer.h"

#define GAP_MAX (1024u * 1024) /* bytes; the spool must not fill up with what will be dropped */

static bool limited(const struct log_stream *s)
{
    return s->limits.rate_lines || s->limits.rate_bytes;
}

static uint64_t lowest(const struct log_stream *s)
{
    uint64_t low = UINT64_MAX;

    for (unsigned i = 0; i < s->n_sinks; i++) {
        const struct log_sink *k = &s->sinks[i];
        uint64_t at = k->file ? k->pos : k->base; /* rows may have to go back */

        if (!k->abandoned && at < low)
            low = at;
    }
    return low;
}

static void close_gap(struct log_writer *w, struct log_stream *s)
{
    struct log_gate *g = &s->gate;
    const struct log_gap *gap;

    if (!g->open)
        return;
    g->open = false;
    gap = &g->gaps[g->n - 1];
    if (gap->lines && s->dropped_upto <= gap->from)
        log_count_drop(w->l, s->process, gap->lines);
    if (gap->to > s->dropped_upto)
        s->dropped_upto = gap->to;
}

static void drop_piece(struct log_writer *w, struct log_stream *s, uint64_t from, uint64_t to, bool new_line)
{
    struct log_gate *g = &s->gate;

    if (g->open && to - g->gaps[g->n - 1].from > GAP_MAX)
        close_gap(w, s);
    if (!g->open) {
        if ((g->n & (g->n - 1)) == 0)
            g->gaps = xrealloc(g->gaps, (g->n ? g->n * 2 : 1) * sizeof *g->gaps);
        g->gaps[g->n++] = (struct log_gap){.from = from};
        g->open = true;
    }
    g->gaps[g->n - 1].to = to;
    g->gaps[g->n - 1].lines += new_line;
}

static void judge(struct log_writer *w, struct log_stream *s, uint64_t now, size_t n_pieces)
{
    struct log_gate *g = &s->gate;

    for (size_t i = 0; i < n_pieces; i++) {
        const struct log_piece *p = &w->pieces[i];
        bool pass = g->mid ? !g->mid_dropped : log_rate_allow(&g->rate, now, p->next - p->start);

        if (pass)
            close_gap(w, s);
        else
            drop_piece(w, s, g->pos + p->start, g->pos + p->next, !g->mid);
        if (pass && g->mid)
            log_rate_charge(&g->rate, p->next - p->start);
        g->mid = p->flags & LOG_F_PARTIAL;
        g->mid_dropped = !pass;
    }
    g->pos += w->pieces[n_pieces - 1].next;
}

static void judge_all(struct log_writer *w, struct log_stream *s, uint64_t now, uint64_t avail, bool last)
{
    struct log_gate *g = &s->gate;

    while (g->pos < avail) {
        size_t want = avail - g->pos < LOG_CHUNK ? (size_t)(avail - g->pos) : LOG_CHUNK, n_pieces;
        ssize_t n = log_spool_read(s->spool, w->chunk, want, g->pos);

        if (n <= 0)
            return;
        n_pieces = log_split(w->chunk, (size_t)n,
                             last && g->pos + (uint64_t)n >= avail ? LOG_SPLIT_END : LOG_SPLIT_KEEP,
                             w->pieces, LOG_PIECES);
        if (!n_pieces)
            return;
        judge(w, s, now, n_pieces);
    }
}

static void forget_passed(struct log_stream *s, uint64_t low)
{
    struct log_gate *g = &s->gate;
    size_t passed = 0;

    while (passed < g->n - g->open && g->gaps[passed].to <= low)
        passed++;
    if (!passed)
        return;
    memmove(g->gaps, g->gaps + passed, (g->n - passed) * sizeof *g->gaps);
    g->n -= passed;
}

/* The limit may be new, other, or gone. */
static void follow_limits(struct log_stream *s, uint64_t now)
{
    struct log_gate *g = &s->gate;

    if (!g->on) {
        g->pos = 0;
        for (unsigned i = 0; i < s->n_sinks; i++) {
            if (s->sinks[i].abandoned || s->sinks[i].pos < g->pos)
                continue;
            g->pos = s->sinks[i].pos;
            g->mid = s->sinks[i].mid;
        }
        g->mid_dropped = false;
    }
    g->on = true;
    if (g->rate.lines != s->limits.rate_lines || g->rate.bytes != s->limits.rate_bytes)
        log_rate_init(&g->rate, s->limits.rate_lines, s->limits.rate_bytes, now);
}

uint64_t log_gate_pass(struct log_writer *w, struct log_stream *s, uint64_t avail, bool last)
{
    struct log_gate *g = &s->gate;
    uint64_t now, low;

    if (!limited(s)) {
        if (g->on) {
            close_gap(w, s);
            g->on = false;
        }
        if (g->n)
            forget_passed(s, lowest(s));
        return avail;
    }
    now = clock_mono_ms();
    follow_limits(s, now);
    low = lowest(s);
    if (low != UINT64_MAX && g->pos < low) { /* dropped by all sinks before it was judged */
        close_gap(w, s);
        g->pos = low;
        g->mid = false;
    }
    judge_all(w, s, now, avail, last);
    if (g->open) {
        uint64_t wait = log_rate_wait(&g->rate, now);

        if (!wait || last || w->settle)
            close_gap(w, s);
        else
            log_retry_later(w, now + wait);
    }
    forget_passed(s, low);
    low = g->open ? g->gaps[g->n - 1].from : g->pos;
    return low < avail ? low : avail;
}

const struct log_gap *log_gate_gap(const struct log_stream *s, uint64_t from, uint64_t *limit)
{
    for (size_t i = 0; i < s->gate.n; i++) {
        const struct log_gap *gap = &s->gate.gaps[i];

        if (gap->from <= from && from < gap->to)
            return gap;
        if (gap->from > from) {
            if (gap->from < *limit)
                *limit = gap->from;
            return NULL;
        }
    }
    return NULL;
}

size_t log_gap_text(const struct log_gap *gap, char out[128])
{
    int n = snprintf(out, 128, "[pm] %llu lines dropped (%llu bytes): more than log_rate_limit allows",
                     (unsigned long long)gap->lines, (unsigned long long)(gap->to - gap->from));

    return (size_t)n;
}
