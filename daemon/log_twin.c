/*
 * One file under two names: a link, or two paths to one place. Were it open twice, each would be cut back
 * after a crash to what its own record says, and the other's lines would be gone. So whoever finds that the
 * file is open already writes through that one. When the files are opened anew each goes to its own name
 * again: a link may lead elsewhere by then.
 */
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "daemon/log_writer.h"

static void use_file(struct log_writer *w, struct log_stream *s, struct log_sink *k, struct log_file *take)
{
    log_files_put(&w->files, k->file);
    k->file = take;
    s->new_sinks = true;
    log_mark_dirty(w, s);
}

void log_twin_drop(struct log_writer *w, struct log_stream *s)
{
    if (s->n_sinks < 3 || s->sinks[1].file != s->sinks[2].file)
        return;
    log_files_put(&w->files, s->sinks[2].file);
    s->sinks[2] = (struct log_sink){0};
    s->n_sinks = 2;
    s->doubled = true;
}

static struct log_file *ref(struct log_writer *w, const struct log_file *f)
{
    return log_files_get(&w->files, f->path, f->uid, f->gid);
}

/* All who write to `f` write to `to` from now on; `f` is freed. */
static void join(struct log_writer *w, struct log_file *f, struct log_file *to)
{
    struct log_stream *s;

    ref(w, f); /* until all have gone */
    TAILQ_FOREACH (s, &w->streams, by_writer) {
        for (unsigned i = 1; s->placed && i < s->n_sinks; i++)
            if (s->sinks[i].file == f)
                use_file(w, s, &s->sinks[i], ref(w, to));
        if (s->placed)
            log_twin_drop(w, s);
    }
    log_files_put(&w->files, f);
}

int log_file_use(struct log_writer *w, struct log_file **f, bool to_write, struct err *e)
{
    for (;;) {
        int rc = to_write ? log_file_prepare(*f, e) : log_file_open(*f, e);
        struct log_file *twin = (*f)->twin;

        if (rc == 0 && !(*f)->rotate_known)
            log_rotate_watch(w, *f);
        if (rc != LOG_FILE_TWIN)
            return rc;
        join(w, *f, twin);
        *f = twin;
    }
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

void log_twin_find(struct log_writer *w, struct log_stream *s, struct log_sink *k)
{
    _cleanup_free_ char *path = NULL;

    for (unsigned i = 0; log_db_find_sink_path(&w->db, s->id, i, &path) == SQLITE_ROW; i++) {
        if (path && strcmp(path, k->path) != 0 && same_file(path, k->path)) {
            use_file(w, s, k, log_files_get(&w->files, path, s->uid, s->gid));
            return;
        }
        free(path);
        path = NULL;
    }
}

void log_twins_part(struct log_writer *w)
{
    struct log_stream *s;

    TAILQ_FOREACH (s, &w->streams, by_writer) {
        if (!s->placed)
            continue;
        for (unsigned i = 1; i < s->n_sinks; i++) {
            struct log_sink *k = &s->sinks[i];

            if (strcmp(k->file->path, k->path) != 0)
                use_file(w, s, k, log_files_get(&w->files, k->path, s->uid, s->gid));
            log_file_look_up(w, k->file);
        }
        if (!s->doubled)
            continue;
        s->doubled = false;
        s->sinks[2] = s->sinks[1];
        s->sinks[2].path = s->paths[1];
        s->sinks[2].file = log_files_get(&w->files, s->paths[1], s->uid, s->gid);
        log_file_look_up(w, s->sinks[2].file);
        s->n_sinks = 3;
        s->new_sinks = true;
        log_mark_dirty(w, s);
    }
}
