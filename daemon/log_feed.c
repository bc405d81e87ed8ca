/* From a stream's spool to its sinks: one chunk is read, cut into lines once, and handed to every sink that
 * is at this place. A sink that failed stays behind alone and catches up later. */
#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "daemon/log_json.h"
#include "daemon/log_level.h"
#include "daemon/log_spool.h"
#include "daemon/log_writer.h"

struct chunk {
    uint64_t from, time_us;
    size_t n_pieces, end; /* bytes that the pieces make up */
};

bool log_sink_stopped(const struct log_writer *w, const struct log_sink *k)
{
    if (w->disk.level != DISK_STOP)
        return false;
    return !k->file || (k->file->fd >= 0 && k->file->regular && k->file->now.dev == w->db.dev);
}

bool log_sink_usable(struct log_writer *w, const struct log_stream *s, const struct log_sink *k)
{
    if (k->abandoned)
        return false;
    if (!k->file && s->no_rows)
        return true;
    if (log_sink_stopped(w, k))
        return false;
    if (!k->file)
        return log_db_usable(w);
    return !k->file->failing || clock_mono_ms() >= k->file->retry_at;
}

void log_file_failed(struct log_writer *w, struct log_file *f, int rc, const char *text)
{
    uint64_t now = clock_mono_ms();

    /* On a full disk a short line may still fit now and then: that is not the end of the trouble. */
    if (!f->failing && now >= f->quiet_until)
        log_trouble(w, "%s", text);
    f->quiet_until = now + LOG_QUIET_MS;
    log_file_ill(w->l, f->path, text);
    f->failing = true;
    f->retry_at = now + LOG_RETRY_MS;
    log_retry_later(w, f->retry_at);
    /* Space may come back to an open file; most other errors do not go away from it. */
    if (rc != -ENOSPC && rc != -EDQUOT && rc != -EFBIG && rc != -EAGAIN)
        log_file_close(f);
}

void log_file_works(struct log_writer *w, struct log_file *f)
{
    if (f->failing)
        log_file_well(w->l, f->path);
    f->failing = false;
}

/* Writes to the file of a sink, after the newline that the file lacks. */
static bool append(struct log_writer *w, struct log_stream *s, struct log_sink *k, struct iovec *body)
{
    struct log_file *f = k->file;
    struct iovec iov[2] = {{"\n", 0}, *body};
    struct err e;
    int rc;

    /* An unfinished line of somebody else, or one that we lost the thread of, is ended first. */
    if (f->now.tail && (f->now.tail != log_stream_key(s) || !k->mid))
        iov[0].iov_len = 1;
    rc = log_file_append(f, iov, 2);
    log_mark_dirty(w, s);
    if (rc == 0) {
        if (f->rotate_at && f->now.size >= f->rotate_at)
            f->rotate_wanted = w->rotate_wanted = true;
        return true;
    }
    err_set(&e, rc, "cannot write log file %s: %s", f->path, strerror(-rc));
    log_file_failed(w, f, rc, e.msg);
    return false;
}

static void put_date(struct log_writer *w, struct log_stream *s, uint64_t time_us)
{
    char date[LOG_DATE_MAX];
    size_t n = log_date_render(&s->date, time_us, date);

    buf_append(&w->text, date, n);
    buf_append(&w->text, ": ", 2);
}

/* The lines with the date before each: one date serves the whole chunk. */
static void date_lines(struct log_writer *w, struct log_stream *s, const struct log_sink *k,
                       const struct chunk *c)
{
    char date[LOG_DATE_MAX + 2];
    size_t n = log_date_render(&s->date, c->time_us, date);
    bool mid = k->mid;
    char *out;

    date[n++] = ':';
    date[n++] = ' ';
    buf_reserve(&w->text, c->end + c->n_pieces * n + 1);
    out = w->text.data;
    for (size_t i = 0; i < c->n_pieces; i++) {
        const struct log_piece *p = &w->pieces[i];
        size_t len = p->next - p->start;

        if (!mid) {
            memcpy(out, date, n);
            out += n;
        }
        memcpy(out, w->chunk + p->start, len);
        out += len;
        mid = p->flags & LOG_F_PARTIAL;
    }
    w->text.len = (size_t)(out - w->text.data);
}

static void json_lines(struct log_writer *w, struct log_stream *s, const struct chunk *c)
{
    char date[LOG_DATE_MAX];

    log_json_date(s, c->time_us, date);
    for (size_t i = 0; i < c->n_pieces; i++) {
        const struct log_piece *p = &w->pieces[i];

        log_json_line(&w->text, s, date, w->chunk + p->start, p->len, p->flags);
    }
}

/* The chunk as it goes into a file, in w->text; nothing when that is the chunk itself. */
static void make_text(struct log_writer *w, struct log_stream *s, const struct log_sink *k,
                      const struct chunk *c)
{
    bool no_eol = w->pieces[c->n_pieces - 1].flags & LOG_F_NO_EOL;

    w->text.len = 0;
    if (s->json) {
        json_lines(w, s, c);
        return;
    }
    if (s->date_format)
        date_lines(w, s, k, c);
    else if (no_eol)
        buf_append(&w->text, w->chunk, c->end);
    if (no_eol)
        buf_putc(&w->text, '\n');
}

static void feed_file(struct log_writer *w, struct log_stream *s, struct log_sink *k, const struct chunk *c)
{
    const struct log_piece *last = &w->pieces[c->n_pieces - 1];
    struct iovec body = {w->chunk, c->end};

    make_text(w, s, k, c);
    if (w->text.len)
        body = (struct iovec){w->text.data, w->text.len};
    if (!append(w, s, k, &body))
        return;
    log_file_works(w, k->file);
    k->dropping = false;
    k->mid = last->flags & LOG_F_PARTIAL;
    /* Each piece of a long line is an object of its own, and ends. */
    k->file->now.tail = k->mid && !s->json ? log_stream_key(s) : 0;
    k->pos = c->from + c->end;
}

static bool any_sub(struct log_writer *w, const struct log_stream *s)
{
    struct log_sub *sub;

    LIST_FOREACH (sub, &w->subs, by_writer)
        if (log_filter_match(&sub->filter, s->run, s->process, s->kind, s->instance))
            return true;
    return false;
}

static struct log_line line_of(const struct log_stream *s, uint64_t time_us)
{
    return (struct log_line){.time_us = time_us,
                             .process = s->process,
                             .instance = s->instance,
                             .run = s->run,
                             .stream = s->kind,
                             .app = s->app};
}

/* The flags of a row: a piece in the middle of a long line has the level that the line's beginning told. */
static uint8_t row_flags(const struct log_stream *s, const struct log_piece *p, const char *text)
{
    enum log_level level =
        s->row_flags & LOG_F_PARTIAL ? log_level_in(s->row_flags) : log_level_of(text, p->len);

    return (uint8_t)(p->flags | log_level_flags(level));
}

static void feed_rows(struct log_writer *w, struct log_stream *s, const struct chunk *c)
{
    struct log_line line = line_of(s, c->time_us);
    bool live = any_sub(w, s);

    if (s->no_rows) {
        log_mark_dirty(w, s);
        w->bytes += c->end;
    }
    for (size_t i = 0; i < c->n_pieces && (live || !s->no_rows); i++) {
        const struct log_piece *p = &w->pieces[i];
        int rc = SQLITE_OK;

        line.text = w->chunk + p->start;
        line.len = p->len;
        line.flags = row_flags(s, p, line.text);
        if (s->no_rows)
            log_stage(w, s, &line);
        else
            rc = log_add_row(w, s, &line, live);
        if (rc != SQLITE_OK) {
            log_txn_failed(w, rc);
            return;
        }
    }
    s->sinks[0].pos = c->from + c->end;
}

/* A word of ours where rows go; only to those who listen when there are none. An SQLite code. */
static int add_note(struct log_writer *w, struct log_stream *s, const struct log_line *line)
{
    if (!s->no_rows)
        return log_add_row(w, s, line, any_sub(w, s));
    log_stage(w, s, line);
    log_mark_dirty(w, s);
    return SQLITE_OK;
}

static bool tell_rows(struct log_writer *w, struct log_stream *s, const struct log_line *line)
{
    int rc = add_note(w, s, line);

    s->sinks[0].told = rc == SQLITE_OK;
    if (rc != SQLITE_OK)
        log_txn_failed(w, rc);
    return rc == SQLITE_OK;
}

static bool write_note(struct log_writer *w, struct log_stream *s, struct log_sink *k,
                       const struct log_line *line)
{
    struct log_sink ended = *k;
    struct iovec body;

    w->text.len = 0;
    if (s->json) {
        char date[LOG_DATE_MAX];

        log_json_date(s, line->time_us, date);
        log_json_line(&w->text, s, date, line->text, line->len, line->flags);
    } else {
        if (s->date_format)
            put_date(w, s, line->time_us);
        buf_append(&w->text, line->text, line->len);
        buf_putc(&w->text, '\n');
    }
    body = (struct iovec){w->text.data, w->text.len};
    ended.mid = false; /* a line that was cut off by the gap is ended first */
    if (!append(w, s, &ended, &body))
        return false;
    /* The trouble is not over before the app's own lines can be written. */
    k->file->now.tail = 0;
    return true;
}

static bool tell_file(struct log_writer *w, struct log_stream *s, struct log_sink *k,
                      const struct log_line *line)
{
    if (!write_note(w, s, k, line))
        return false;
    k->drop_lines = k->drop_bytes = 0;
    k->slow = false;
    return true;
}

/* The word about dropped lines, where the gap is. */
static bool tell_drops(struct log_writer *w, struct log_stream *s, struct log_sink *k)
{
    char text[128];
    struct log_line line = line_of(s, clock_wall_us());

    line.len = log_drop_text(k, text);
    line.text = text;
    line.flags = (uint8_t)(LOG_F_DROPPED | log_level_flags(LOG_LEVEL_WARN));
    return k->file ? tell_file(w, s, k, &line) : tell_rows(w, s, &line);
}

/* Opens the files of the sinks in `mask` and takes those out that cannot be written. */
static unsigned prepare(struct log_writer *w, struct log_stream *s, unsigned mask)
{
    struct err e = {0};

    for (unsigned i = 0; i < s->n_sinks; i++) {
        struct log_file *f = s->sinks[i].file;
        int rc = f && (mask & 1u << i) ? log_file_use(w, &f, true, &e) : 0;

        if (rc < 0) {
            log_file_failed(w, f, rc, e.msg);
            mask &= ~(1u << i);
        }
    }
    return mask & ((1u << s->n_sinks) - 1);
}

/* A crash can only be repaired for files that the database knows before they are written. */
static bool all_recorded(const struct log_stream *s, unsigned mask)
{
    for (unsigned i = 1; i < s->n_sinks; i++)
        if ((mask & 1u << i) && !log_file_recorded(s->sinks[i].file))
            return false;
    return true;
}

/* The sinks that can work and are furthest behind; `limit` is where the next one stands. */
static unsigned pick(struct log_writer *w, struct log_stream *s, uint64_t avail, uint64_t *from,
                     uint64_t *limit)
{
    unsigned mask = 0, able = 0;

    *from = *limit = avail;
    for (unsigned i = 0; i < s->n_sinks; i++) {
        struct log_sink *k = &s->sinks[i];

        if (!log_sink_usable(w, s, k)) {
            log_drop_check(w, s);
            continue;
        }
        able |= 1u << i;
        if (k->pos < *from)
            *from = k->pos;
    }
    for (unsigned i = 0; i < s->n_sinks; i++) {
        uint64_t pos = s->sinks[i].pos;

        if (!(able & 1u << i))
            continue;
        if (pos == *from)
            mask |= 1u << i;
        else if (pos < *limit)
            *limit = pos;
    }
    return mask;
}

static bool read_chunk(struct log_writer *w, struct log_stream *s, struct chunk *c, uint64_t limit,
                       enum log_split_mode mode)
{
    size_t want = limit - c->from < LOG_CHUNK ? (size_t)(limit - c->from) : LOG_CHUNK;
    ssize_t n = log_spool_read(s->spool, w->chunk, want, c->from);

    if (n <= 0)
        return false;
    if (c->from + (uint64_t)n < limit)
        mode = LOG_SPLIT_KEEP;
    c->n_pieces = log_split(w->chunk, (size_t)n, mode, w->pieces, LOG_PIECES);
    if (c->n_pieces == 0)
        return false;
    c->end = w->pieces[c->n_pieces - 1].next;
    c->time_us = clock_wall_us();
    return true;
}

static unsigned tell_all_drops(struct log_writer *w, struct log_stream *s, unsigned mask)
{
    for (unsigned i = 0; i < s->n_sinks; i++) {
        struct log_sink *k = &s->sinks[i];

        if ((mask & 1u << i) && k->drop_lines && !k->told && !tell_drops(w, s, k))
            mask &= ~(1u << i);
    }
    return mask;
}

/* Takes a sink over a gap. False when it has to try again. */
static bool pass_gap(struct log_writer *w, struct log_stream *s, struct log_sink *k,
                     const struct log_gap *gap)
{
    char text[128];
    struct log_line line = line_of(s, clock_wall_us());
    int rc;

    if (k->pos != gap->from) { /* it was dropped up to the middle of the gap */
        log_drop(w, s, k, gap->to, true);
        k->mid = false;
        return true;
    }
    line.len = log_gap_text(gap, text);
    line.text = text;
    line.flags = LOG_F_DROPPED;
    if (k->file) {
        if (!write_note(w, s, k, &line))
            return false;
        k->file->failing = k->dropping = false;
    } else if ((rc = add_note(w, s, &line)) != SQLITE_OK) {
        log_txn_failed(w, rc);
        return false;
    }
    k->mid = false;
    k->pos = gap->to;
    return true;
}

bool log_feed(struct log_writer *w, struct log_stream *s, uint64_t avail, bool last)
{
    struct chunk c = {0};
    const struct log_gap *gap;
    uint64_t limit, all = avail;
    unsigned mask;

    if (s->finished || !log_place(w, s))
        return false;
    log_drop_overflow(w, s, avail);
    avail = log_gate_pass(w, s, avail, last);
    last = last && avail == all;
    mask = pick(w, s, avail, &c.from, &limit);
    if (!mask)
        return false;
    mask = prepare(w, s, mask);
    if (!all_recorded(s, mask) && log_db_usable(w)) {
        log_mark_dirty(w, s);
        if (log_commit(w))
            return true;
        mask &= ~1u; /* the rows were rolled back: they are somewhere else now */
    }
    mask = tell_all_drops(w, s, mask);
    if (!mask || c.from >= avail)
        return false;
    gap = log_gate_gap(s, c.from, &limit);
    if (gap) {
        bool moved = false;

        for (unsigned i = 0; i < s->n_sinks; i++)
            if (mask & 1u << i)
                moved = pass_gap(w, s, &s->sinks[i], gap) || moved;
        return moved;
    }
    if (!read_chunk(w, s, &c, limit, limit < avail ? LOG_SPLIT_CUT : last ? LOG_SPLIT_END : LOG_SPLIT_KEEP))
        return false;
    for (unsigned i = 1; i < s->n_sinks; i++)
        if (mask & 1u << i)
            feed_file(w, s, &s->sinks[i], &c);
    if (mask & 1u)
        feed_rows(w, s, &c);
    return true;
}
