/*
 * Where a stream goes on: a spool that was handed in is continued at the cursors that are committed for it,
 * or, when there are none (the database was lost, or the engine died before its first commit), at the first
 * byte that is still in the spool.
 */
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "daemon/log_writer.h"

void log_file_look_up(struct log_writer *w, struct log_file *f)
{
    if (!f->id && !f->used && w->db.handle)
        f->has_rec = log_db_find_file(&w->db, f->path, &f->id, &f->rec) == SQLITE_ROW;
    else if (!f->id && w->db.handle) {
        struct log_file_record stale;

        log_db_find_file(&w->db, f->path, &f->id, &stale);
    }
}

/* Finds the row of exactly this spool. */
static bool find_stream(struct log_writer *w, struct log_stream *s)
{
    struct log_db_stream row;

    if (!w->db.handle || !s->handed || log_db_find_stream(&w->db, s->run, s->kind, &row) != SQLITE_ROW)
        return false;
    if (row.spool != s->spool_inode || strcmp(row.boot, s->l->boot) != 0)
        return false;
    s->id = row.id;
    s->last_id = s->last_id_committed = row.last_id;
    log_db_find_batch(&w->db, s->id, &s->batch_committed);
    s->batch = s->batch_committed;
    /* Never back, should the database come late; and not to where the memory is gone. */
    if (row.cursor >= s->first_page && (!s->placed || row.cursor > s->sinks[0].pos))
        s->sinks[0].pos = s->sinks[0].committed = s->sinks[0].base = row.cursor;
    return true;
}

static void place_file(struct log_writer *w, struct log_stream *s, struct log_sink *k, bool known)
{
    struct log_db_sink row;
    struct log_file *f = k->file;

    log_file_look_up(w, f);
    k->pos = k->committed = s->sinks[0].pos;
    if (!known)
        return;
    if (!f->id || log_db_find_sink(&w->db, s->id, f->id, &row) != SQLITE_ROW) {
        log_twin_find(w, s, k);
        f = k->file;
        log_file_look_up(w, f);
        if (!f->id || log_db_find_sink(&w->db, s->id, f->id, &row) != SQLITE_ROW)
            return;
    }
    k->mid = row.mid;
    k->drop_lines = row.drop_lines;
    k->drop_bytes = row.drop_bytes;
    if (row.cursor >= s->first_page) {
        f->cut_ok = true;
        k->pos = k->committed = row.cursor;
    } else {
        /* The database could not be written for so long that bytes behind its cursor were let go. They are
         * in the file already: cutting it would lose them. */
        f->cut_never = true;
        k->pos = k->committed = s->first;
    }
}

static void add_sink(struct log_writer *w, struct log_stream *s, const char *path)
{
    struct log_file *f;

    if (log_file_none(path))
        return;
    f = log_files_get(&w->files, path, s->uid, s->gid);
    if (s->n_sinks > 1 && s->sinks[1].file == f)
        log_files_put(&w->files, f); /* log_file names the same file: each line once */
    else
        s->sinks[s->n_sinks++] = (struct log_sink){.file = f, .path = path};
}

bool log_place(struct log_writer *w, struct log_stream *s)
{
    bool known;

    if (s->placed)
        return true;
    if (!log_db_usable(w) && clock_mono_ms() < w->place_until) {
        log_retry_later(w, clock_mono_ms() + LOG_RETRY_MS);
        return false;
    }
    s->sinks[0].pos = s->sinks[0].committed = s->sinks[0].base = s->first;
    s->n_sinks = 1;
    known = find_stream(w, s);
    add_sink(w, s, s->paths[0]);
    add_sink(w, s, s->paths[1]);
    for (unsigned i = 1; i < s->n_sinks; i++)
        place_file(w, s, &s->sinks[i], known);
    log_twin_drop(w, s);
    if (s->date_format)
        log_date_init(&s->date, s->date_format);
    s->placed = true;
    return true;
}

void log_place_late(struct log_writer *w)
{
    struct log_stream *s;

    TAILQ_FOREACH (s, &w->streams, by_writer) {
        if (!s->placed)
            continue;
        if (!s->id)
            find_stream(w, s);
        for (unsigned i = 1; i < s->n_sinks; i++)
            log_file_look_up(w, s->sinks[i].file);
        log_mark_dirty(w, s);
    }
}
