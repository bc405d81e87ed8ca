/*
 * Emptying log files and forgetting stored lines, on the writer thread, which alone writes to both.
 *
 * Files: everything taken so far is written and committed first. Then the size 0 is committed, and only then
 * the file is cut: an engine that dies in between is followed by one that cuts the file itself; the other way
 * round it would take new bytes for the old ones of the record, and write lines twice.
 *
 * Rows go in small transactions with the writer's other work in between, for there may be millions.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "daemon/log_writer.h"

#define BATCHES_A_STEP 4 /* each covers at most LOG_BATCH_SPAN rows */

struct log_wipe {
    struct log_barrier barrier; /* first: it is handed back as one */
    STAILQ_ENTRY(log_wipe) entry;
    uint32_t *processes; /* NULL = all */
    size_t n_processes;
    char **paths;
    uint64_t upto; /* newest row that goes */
    struct err err;
    int rc;
    unsigned files;
    logs_wiped_cb done;
    void *arg;
};

/* ---- the loop's side ---- */

static void passed(struct log_barrier *b)
{
    struct log_wipe *j = (struct log_wipe *)b;

    j->done(j->arg, j->rc, j->files, j->err.msg);
    strv_free(j->paths);
    free(j->processes);
    free(j);
}

void logs_wipe(struct logs *l, const struct log_wipe_request *what, logs_wiped_cb done, void *arg)
{
    struct log_wipe *j = xcalloc(1, sizeof *j);

    j->barrier.passed = passed;
    j->paths = strv_dup(what->paths);
    j->n_processes = what->n_processes;
    if (what->processes) {
        j->processes = xcalloc(what->n_processes + 1, sizeof *j->processes);
        if (what->n_processes)
            memcpy(j->processes, what->processes, what->n_processes * sizeof *j->processes);
    }
    j->done = done;
    j->arg = arg;
    /* Should the writer have ended by then. */
    j->rc = err_set(&j->err, -ECANCELED, "the daemon is ending");
    log_post(l, LOG_MSG_WIPE, &j->barrier);
}

/* ---- files ---- */

struct log_file *log_file_find_open(struct log_writer *w, const char *path)
{
    struct stat st;

    for (struct log_file *f = w->files.first; f; f = f->next)
        if (strcmp(f->path, path) == 0)
            return f->fd >= 0 && f->regular ? f : NULL;
    /* Open under another name? */
    if (stat(path, &st) < 0)
        return NULL;
    for (struct log_file *f = w->files.first; f; f = f->next)
        if (f->fd >= 0 && f->regular && f->now.dev == st.st_dev && f->now.ino == st.st_ino)
            return f;
    return NULL;
}

/* One that no stream has open now. */
static int cut_closed(struct log_wipe *j, const char *path)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : err_errno(&j->err, "cannot empty %s", path);
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
        return 0;
    if (ftruncate(fd, 0) < 0)
        return err_errno(&j->err, "cannot empty %s", path);
    j->files++;
    return 0;
}

void log_mark_writers(struct log_writer *w, const struct log_file *f)
{
    struct log_stream *s;

    TAILQ_FOREACH (s, &w->streams, by_writer)
        for (unsigned i = 1; s->placed && i < s->n_sinks; i++)
            if (s->sinks[i].file == f)
                log_mark_dirty(w, s);
}

/* Step 1: the database is to say that the open files are empty. */
static int announce(struct log_writer *w, struct log_wipe *j)
{
    struct err e = {0};

    for (char **p = j->paths; *p; p++) {
        struct log_file *f = log_file_find_open(w, *p);

        if (!f || log_file_use(w, &f, true, &e) < 0)
            continue;
        f->now.size = 0;
        f->dirty = true;
        log_mark_writers(w, f);
    }
    if (log_commit(w))
        return 0;
    return err_set(&j->err, -EIO, "%s cannot be written now, so nothing was emptied", w->l->db_path);
}

/* Step 2. What could not be cut gets its true size back with the next commit. */
static int cut(struct log_writer *w, struct log_wipe *j)
{
    struct err e = {0};
    int rc = 0;

    for (char **p = j->paths; *p; p++) {
        struct log_file *f = log_file_find_open(w, *p);

        if (!f) {
            rc = cut_closed(j, *p) < 0 ? -EIO : rc;
        } else if (ftruncate(f->fd, 0) < 0) {
            rc = err_errno(&j->err, "cannot empty %s", *p);
            log_file_use(w, &f, true, &e);
            f->dirty = true;
            log_mark_writers(w, f);
        } else {
            f->now.size = f->now.tail = 0;
            f->dirty = true;
            log_mark_writers(w, f);
            j->files++;
        }
    }
    log_commit(w);
    return rc;
}

/* ---- rows ---- */

static bool concerns(const struct log_wipe *j, uint32_t process)
{
    if (!j->processes)
        return true;
    for (size_t i = 0; i < j->n_processes; i++)
        if (j->processes[i] == process)
            return true;
    return false;
}

static void end_job(struct log_writer *w, struct log_wipe *j)
{
    log_report(w->l, LOG_EV_BARRIER, &j->barrier);
}

static void begin_job(struct log_writer *w, struct log_barrier *barrier)
{
    struct log_wipe *j = (struct log_wipe *)barrier;
    struct log_stream *s;

    j->rc = 0;
    j->err.msg[0] = '\0';
    if (log_db_usable(w))
        j->rc = log_commit(w) ? announce(w, j) : -EIO;
    else
        j->rc = -EIO;
    if (j->rc < 0 && !j->err.msg[0])
        err_set(&j->err, j->rc, "%s cannot be written now, so nothing was emptied", w->l->db_path);
    if (j->rc == 0)
        j->rc = cut(w, j);
    if (j->rc < 0) {
        end_job(w, j);
        return;
    }
    j->upto = w->db.next_row - 1;
    /* Later lines begin new batches; the old ones go as a whole. */
    TAILQ_FOREACH (s, &w->streams, by_writer)
        if (concerns(j, s->process))
            s->batch = s->batch_committed = (struct log_batch){0};
    STAILQ_INSERT_TAIL(&w->wipes, j, entry);
}

void log_wipe_begin(struct log_writer *w, struct log_barrier *barrier)
{
    w->emptying = true;
    begin_job(w, barrier);
    w->emptying = false;
}

static void select_sql(const struct log_wipe *j, struct buf *sql)
{
    buf_printf(sql,
               "SELECT b.stream, b.first, b.last FROM stream s JOIN batch b ON b.stream = s.id"
               " WHERE b.first <= %llu",
               (unsigned long long)j->upto);
    if (j->processes) {
        buf_puts(sql, " AND s.process IN (");
        for (size_t i = 0; i < j->n_processes; i++)
            buf_printf(sql, i ? ",%u" : "%u", j->processes[i]);
        buf_puts(sql, ")");
    }
    buf_printf(sql, " LIMIT %d", BATCHES_A_STEP);
}

static int next_batches(struct log_writer *w, const struct log_wipe *j, uint64_t out[][3], size_t *n)
{
    sqlite3_stmt *st = NULL;
    struct buf sql = {0};
    int rc;

    *n = 0;
    select_sql(j, &sql);
    rc = sqlite3_prepare_v2(w->db.handle, sql.data, -1, &st, NULL);
    buf_free(&sql);
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW && *n < BATCHES_A_STEP) {
        for (int i = 0; i < 3; i++)
            out[*n][i] = (uint64_t)sqlite3_column_int64(st, i);
        (*n)++;
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int delete_batches(struct log_writer *w, const uint64_t batches[][3], size_t n)
{
    int rc = log_txn_begin(w);
    char sql[400];

    /* Row ids are never used again, also when the newest rows are gone. */
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO meta (key, value) VALUES ('next_row', %llu)",
             (unsigned long long)w->db.next_row);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(w->db.handle, sql, NULL, NULL, NULL);
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++) {
        const unsigned long long stream = batches[i][0], first = batches[i][1], last = batches[i][2];

        snprintf(sql, sizeof sql,
                 "DELETE FROM line WHERE id BETWEEN %llu AND %llu AND stream = %llu;"
                 "DELETE FROM batch WHERE stream = %llu AND first = %llu",
                 first, last, stream, stream, first);
        rc = sqlite3_exec(w->db.handle, sql, NULL, NULL, NULL);
    }
    return rc;
}

/* One small transaction. True when the job is done, or has failed. */
static bool step(struct log_writer *w, struct log_wipe *j)
{
    uint64_t batches[BATCHES_A_STEP][3];
    size_t n;
    int rc;

    if (!log_db_usable(w) || !log_commit(w)) {
        j->rc =
            err_set(&j->err, -EIO, "%s cannot be written now; some lines are still stored", w->l->db_path);
        return true;
    }
    rc = next_batches(w, j, batches, &n);
    if (rc == SQLITE_OK && n == 0)
        return true;
    if (rc == SQLITE_OK)
        rc = delete_batches(w, (const uint64_t(*)[3])batches, n);
    if (rc == SQLITE_OK && log_commit(w))
        return false;
    if (rc != SQLITE_OK)
        log_txn_failed(w, rc);
    j->rc = err_set(&j->err, -EIO, "%s cannot be written now; some lines are still stored", w->l->db_path);
    return true;
}

void log_wipe_step(struct log_writer *w)
{
    struct log_wipe *j = STAILQ_FIRST(&w->wipes);

    bool done;

    if (!j)
        return;
    w->emptying = true;
    done = step(w, j);
    w->emptying = false;
    if (!done)
        return;
    w->prune.wanted = true; /* to give the space back */
    STAILQ_REMOVE_HEAD(&w->wipes, entry);
    end_job(w, j);
}

void log_wipe_cancel(struct log_writer *w)
{
    struct log_wipe *j;

    while ((j = STAILQ_FIRST(&w->wipes))) {
        STAILQ_REMOVE_HEAD(&w->wipes, entry);
        j->rc = err_set(&j->err, -ECANCELED, "the daemon is ending; some lines are still stored");
        end_job(w, j);
    }
}
