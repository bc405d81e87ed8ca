/* Blocks of lines on their way from the writer or the reader to the loop, and the filter for them. */
#include <string.h>

#include "common/mem.h"
#include "daemon/log_int.h"

static size_t offset_of(const char *p)
{
    return (size_t)(uintptr_t)p;
}

static const char *as_offset(size_t at)
{
    return (const char *)(uintptr_t)at; /* NOLINT(performance-no-int-to-ptr) */
}

static struct log_line *new_line(struct log_block *b)
{
    if (b->n == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 64;
        b->lines = xrealloc(b->lines, b->cap * sizeof *b->lines);
    }
    return &b->lines[b->n++];
}

void log_block_add(struct log_block *b, const struct log_line *line)
{
    struct log_line *to = new_line(b);
    const struct log_line *last = b->n > 1 ? to - 1 : NULL;

    *to = *line;
    if (last && strcmp(b->bytes.data + offset_of(last->app), line->app) == 0) {
        to->app = last->app;
    } else {
        to->app = as_offset(b->bytes.len);
        buf_append(&b->bytes, line->app, strlen(line->app) + 1);
    }
    to->text = as_offset(b->bytes.len);
    buf_append(&b->bytes, line->text, line->len);
}

void log_block_move(struct log_block *to, struct log_block *from)
{
    size_t base = to->bytes.len;

    if (to->n == 0) {
        struct log_block swap = *to;

        *to = *from;
        *from = swap;
        log_block_clear(from);
        return;
    }
    buf_append(&to->bytes, from->bytes.data, from->bytes.len);
    for (size_t i = 0; i < from->n; i++) {
        struct log_line *line = new_line(to);

        *line = from->lines[i];
        line->app = as_offset(offset_of(line->app) + base);
        line->text = as_offset(offset_of(line->text) + base);
    }
    log_block_clear(from);
}

void log_block_fix(struct log_block *b)
{
    for (size_t i = 0; i < b->n; i++) {
        b->lines[i].app = b->bytes.data + offset_of(b->lines[i].app);
        b->lines[i].text = b->bytes.data + offset_of(b->lines[i].text);
    }
}

void log_block_clear(struct log_block *b)
{
    b->n = 0;
    b->bytes.len = 0;
}

void log_block_free(struct log_block *b)
{
    free(b->lines);
    buf_free(&b->bytes);
    memset(b, 0, sizeof *b);
}

size_t log_block_size(const struct log_block *b)
{
    return b->bytes.len + b->n * sizeof *b->lines;
}

void log_filter_init(struct log_filter *f, const struct log_query *q)
{
    memset(f, 0, sizeof *f);
    if (q->processes) {
        f->processes = xcalloc(q->n_processes + 1, sizeof *f->processes);
        memcpy(f->processes, q->processes, q->n_processes * sizeof *f->processes);
        f->n_processes = q->n_processes;
    }
    f->run = q->run;
    f->since_us = q->since_us;
    f->until_us = q->until_us;
    f->level = q->level;
    f->newest_run = q->newest_run;
    f->one_instance = q->one_instance;
    f->instance = q->instance;
    /* Neither is a question without an answer; it is taken for both. */
    f->out = q->out || !q->err;
    f->err = q->err || !q->out;
    f->lines = q->lines > 10000 ? 10000 : q->lines;
}

void log_filter_free(struct log_filter *f)
{
    free(f->processes);
    f->processes = NULL;
}

bool log_filter_match(const struct log_filter *f, uint64_t run, uint32_t process, unsigned kind,
                      uint32_t instance)
{
    if ((f->run && f->run != run) || (f->one_instance && f->instance != instance) ||
        !(kind == LOG_OUT ? f->out : f->err))
        return false;
    if (!f->processes)
        return true;
    for (size_t i = 0; i < f->n_processes; i++)
        if (f->processes[i] == process)
            return true;
    return false;
}
