/* Dropping lines, as the last resort: counted exactly, and told in the log where the gap is. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "daemon/log_spool.h"
#include "daemon/log_writer.h"

size_t log_drop_text(const struct log_sink *k, char out[128])
{
    int n = snprintf(out, 128, "[pm] %llu lines dropped (%llu bytes): the log could not %s",
                     (unsigned long long)k->drop_lines, (unsigned long long)k->drop_bytes,
                     k->slow ? "keep up" : "be written");

    return (size_t)n;
}

struct tally {
    uint64_t lines, fresh; /* fresh: not yet counted for another sink */
    uint64_t boundary;     /* after the last newline; 0 = none */
};

static void count_lines(struct log_writer *w, const struct log_stream *s, uint64_t from, uint64_t upto,
                        struct tally *t)
{
    while (from < upto) {
        size_t want = upto - from < LOG_CHUNK ? (size_t)(upto - from) : LOG_CHUNK;
        ssize_t n = log_spool_read(s->spool, w->chunk, want, from);
        const char *p = w->chunk, *end = w->chunk + (n > 0 ? n : 0);

        if (n <= 0)
            return;
        while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
            p++;
            t->lines++;
            t->boundary = from + (uint64_t)(p - w->chunk);
            t->fresh += t->boundary > s->dropped_upto;
        }
        from += (uint64_t)n;
    }
}

void log_drop(struct log_writer *w, struct log_stream *s, struct log_sink *k, uint64_t avail, bool last)
{
    struct tally t = {0};
    uint64_t upto;

    if (k->pos >= avail)
        return;
    count_lines(w, s, k->pos, avail, &t);
    upto = t.boundary;
    if (last || !t.boundary) {
        /* The unfinished line at the end goes too; in a line without end there is no better place. */
        if (t.boundary < avail && !(k->mid && !t.boundary)) {
            t.lines++;
            t.fresh += avail > s->dropped_upto;
        }
        k->mid = !last && t.boundary != avail;
        upto = avail;
    } else {
        k->mid = false;
    }
    k->drop_lines += t.lines;
    k->drop_bytes += upto - k->pos;
    k->pos = k->base = upto;
    if (upto > s->dropped_upto)
        s->dropped_upto = upto;
    if (t.fresh)
        log_count_drop(w->l, s->process, t.fresh);
    log_mark_dirty(w, s);
}

static bool stuck_for(uint64_t since, uint64_t now, uint64_t limit)
{
    return since && now >= since + limit;
}

void log_drop_check(struct log_writer *w, struct log_stream *s)
{
    uint64_t now = clock_mono_ms(), taken = atomic_load(&s->taken);
    uint64_t patience = s->limits.drop ? 0 : s->limits.block_ms ? s->limits.block_ms : LOG_BLOCK_MS;
    bool full = stuck_for(atomic_load(&s->paused_since), now, patience) ||
                stuck_for(atomic_load(&w->l->full_since), now, patience);

    for (unsigned i = 0; s->placed && i < s->n_sinks; i++) {
        struct log_sink *k = &s->sinks[i];
        bool stopped = log_sink_stopped(w, k);
        bool failing = k->file ? k->file->failing || stopped : (w->db_failing || stopped) && !w->in_txn;
        bool over = stuck_for(s->ended_at, now, k->file ? LOG_BLOCK_MS : LOG_ENDED_MS);

        if (!failing || k->abandoned)
            continue;
        if (over) {
            /* A path that can never be written must not keep the streams of ended runs for ever. */
            log_drop(w, s, k, taken, true);
            k->abandoned = true;
            log_mark_dirty(w, s);
        } else if (full || (k->dropping && taken - k->pos > LOG_STREAM_MAX / 2)) {
            k->dropping = true;
            k->slow = false;
            log_drop(w, s, k, taken, s->ended_at != 0);
        }
        log_retry_later(w, now + LOG_RETRY_MS);
    }
}

void log_drop_overflow(struct log_writer *w, struct log_stream *s, uint64_t avail)
{
    if (!s->limits.drop || !s->placed || !atomic_load(&s->paused_since))
        return;
    for (unsigned i = 0; i < s->n_sinks; i++) {
        struct log_sink *k = &s->sinks[i];

        if (k->abandoned || avail < k->pos + LOG_STREAM_MAX / 2)
            continue;
        /* Rows of an open transaction must not be passed over when it fails. */
        if (w->in_txn && !log_commit(w))
            return;
        k->slow = k->slow || !k->drop_lines;
        log_drop(w, s, k, avail - LOG_STREAM_MAX / 2, false);
    }
}
