/* The store's thread: takes what was queued, writes it in one transaction, answers those who wait. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/store_files.h"
#include "daemon/store_int.h"
#include "daemon/store_table.h"

#define GATHER_MS 50

struct store_result *store_result_new(enum store_result_kind kind, int rc, const char *msg)
{
    struct store_result *r = xcalloc(1, sizeof(*r));

    r->kind = kind;
    r->rc = rc;
    snprintf(r->msg, sizeof(r->msg), "%s", msg ? msg : "");
    return r;
}

void store_tell(struct store *s, struct store_result *r)
{
    pthread_mutex_lock(&s->lock);
    STAILQ_INSERT_TAIL(&s->results, r, entry);
    if (!s->abandoned)
        uv_async_send(&s->async);
    pthread_mutex_unlock(&s->lock);
}

/* ---- writing ---- */

/*
 * With each transaction the highest run that a row has told of: it stays when the row goes. So a run above it
 * was never stored, and one below it that has no process any more was deleted. Before the squeeze, which
 * drops the rows of what is deleted in the same transaction.
 */
static void note_last_run(struct store *s)
{
    uint64_t last = store_queue_last_run(&s->pending);

    if (!last)
        return;
    s->last_run = last > s->last_run ? last : s->last_run;
    store_queue_push(&s->pending, store_op_meta(META_LAST_RUN, s->last_run));
}

static int write_rows(struct store *s, struct err *e)
{
    struct store_op *op;
    int rc = store_db_begin(&s->db, e);

    s->rows_refused = false;
    if (rc < 0)
        return rc;
    note_last_run(s);
    store_queue_squeeze(&s->pending);
    TAILQ_FOREACH (op, &s->pending.ops, entry) {
        /* For a new database, should this one be lost before it has the row. */
        if (op->kind == OP_META && op->meta.key == META_NEXT_RUN)
            s->id.next_run = op->meta.value;
        if (op->kind == OP_META && op->meta.key == META_NEXT_APP)
            s->id.next_app = op->meta.value;
        rc = store_db_apply(&s->db, op, e);
        if (rc == -EINVAL) { /* kept, it would block all the others for ever */
            log_error("%s (one row is left out)", e->msg);
            s->rows_refused = true;
            rc = 0;
        }
        if (rc < 0)
            return rc;
    }
    return store_db_commit(&s->db, e);
}

static int try_once(struct store *s, struct err *e)
{
    int rc = s->db.h ? 0 : store_reopen(s, e);

    if (rc == 0 && s->pending.writes)
        rc = write_rows(s, e);
    /* Commits to a file that was unlinked succeed, and are lost. */
    if (rc == 0 && store_db_moved(&s->db, s->path))
        rc = err_set(e, -ESTALE, "state.db was moved, replaced or deleted");
    return rc;
}

static int try_to_write(struct store *s, struct err *e)
{
    int rc = try_once(s, e);

    if (rc == -EBADMSG || rc == -ESTALE) {
        rc = store_give_up_file(s, rc, e);
        if (rc == 0)
            rc = try_once(s, e);
    }
    return rc;
}

static void note_outcome(struct store *s, int rc, const struct err *e)
{
    s->tried_at = clock_mono_ms();
    if (rc == 0) {
        if (s->failing)
            log_info("state.db can be written again; everything that waited is stored");
        s->failing = 0;
        return;
    }
    if (s->failing != rc)
        log_error("%s; tried again every second", e->msg);
    s->failing = rc;
    s->why = *e;
    s->retry_at = s->tried_at + store_tuning.retry_ms;
}

static void free_written(struct store *s)
{
    struct store_op *op, *next;
    bool wrote = s->pending.writes > 0;

    for (op = TAILQ_FIRST(&s->pending.ops); op; op = next) {
        next = TAILQ_NEXT(op, entry);
        if (!store_op_is_write(op))
            continue;
        if (op->kind == OP_RESET)
            store_tell(s, store_result_new(RESULT_RESYNC, 0, "more changes than can wait were not stored"));
        store_queue_remove(&s->pending, op);
        free(op);
    }
    if (!wrote)
        return;
    s->changed_at = clock_mono_ms();
    if (!s->dirty)
        s->dirty_since = s->changed_at;
    s->dirty = true;
}

static void tell_resync(struct store *s)
{
    if (s->resync_now)
        store_tell(s, store_result_new(RESULT_RESYNC, 0, "state.db was replaced by a new one"));
    s->resync_now = false;
}

/* ---- answering ---- */

static void answer_runs(struct store *s, struct store_op *op)
{
    struct store_result *r = store_result_new(RESULT_RUNS, 0, NULL);
    struct err e = {0};

    r->op = op;
    if (s->db.h)
        r->rc = store_db_get_runs(&s->db, op->get_runs.process, op->get_runs.limit, &r->runs, &r->n_runs, &e);
    else
        r->rc = s->dead ? s->dead : s->failing ? s->failing : -EIO;
    store_tell(s, r);
}

static void answer_events(struct store *s, struct store_op *op)
{
    struct store_result *r = store_result_new(RESULT_EVENTS, 0, NULL);
    struct err e = {0};

    r->op = op;
    if (s->db.h)
        r->rc = store_db_get_events(&s->db, op->get_events.since_ms, op->get_events.limit, &r->events,
                                    &r->n_events, &e);
    else
        r->rc = s->dead ? s->dead : s->failing ? s->failing : -EIO;
    store_tell(s, r);
}

static void answer_waiting(struct store *s)
{
    int rc = s->dead ? s->dead : s->failing;
    const char *words = s->why.msg;
    struct store_op *op, *next;

    if (!rc && s->rows_refused) {
        rc = -EINVAL;
        words = "state.db refused a row; the daemon's log says more";
    }
    for (op = TAILQ_FIRST(&s->pending.ops); op; op = next) {
        next = TAILQ_NEXT(op, entry);
        if (store_op_is_write(op))
            continue;
        store_queue_remove(&s->pending, op);
        if (op->kind == OP_COMMIT) {
            struct store_result *r = store_result_new(RESULT_COMMIT, rc, rc ? words : NULL);

            r->op = op;
            store_tell(s, r);
        } else if (op->kind == OP_GET_RUNS) {
            answer_runs(s, op);
        } else {
            answer_events(s, op);
        }
    }
    if (!s->failing)
        s->rows_refused = false;
}

/* ---- the loop of the thread ---- */

static bool has_waiting(const struct store *s)
{
    const struct store_op *op;

    TAILQ_FOREACH (op, &s->pending.ops, entry)
        if (!store_op_is_write(op))
            return true;
    return false;
}

static bool time_to_try(const struct store *s, uint64_t now)
{
    if (!s->failing)
        return !TAILQ_EMPTY(&s->pending.ops) || now >= s->look_at;
    return now >= s->retry_at || (has_waiting(s) && now >= s->tried_at + store_tuning.retry_soonest_ms);
}

static void work(struct store *s, bool force)
{
    uint64_t now = clock_mono_ms();
    struct err e = {0};

    if (s->dead) {
        struct store_op *op, *next;

        for (op = TAILQ_FIRST(&s->pending.ops); op; op = next) {
            next = TAILQ_NEXT(op, entry);
            if (store_op_is_write(op)) {
                store_queue_remove(&s->pending, op);
                free(op);
            }
        }
    } else if (force || time_to_try(s, now)) {
        note_outcome(s, try_to_write(s, &e), &e);
        s->look_at = now + store_tuning.look_ms;
        if (!s->failing)
            free_written(s);
        tell_resync(s);
    }
    answer_waiting(s);
    if (s->failing) {
        size_t lost = store_queue_shrink(&s->pending, store_tuning.queue_max);

        if (lost)
            log_warn("state.db cannot be written: %zu runs and events were dropped", lost);
    }
}

static uint64_t backup_due(const struct store *s)
{
    uint64_t quiet =
        s->changed_at + (s->has_copy ? store_tuning.backup_idle_ms : store_tuning.backup_first_ms);
    uint64_t latest = s->dirty_since + store_tuning.backup_every_ms;
    uint64_t due = quiet < latest ? quiet : latest;

    if (!s->dirty || s->failing || s->dead || !s->db.h)
        return UINT64_MAX;
    return due > s->backup_at ? due : s->backup_at;
}

static void back_up(struct store *s)
{
    struct err e = {0};
    /* After the first one, which comes early, more is likely to change soon. */
    unsigned pause = s->has_copy ? store_tuning.backup_every_ms : store_tuning.backup_every_ms / 10;

    if (store_db_backup(&s->db, s->backup_path, &e) < 0)
        log_warn("%s", e.msg);
    else
        s->dirty = s->incomplete = false;
    s->has_copy = s->has_copy || !s->dirty;
    s->backup_at = clock_mono_ms() + pause;
}

static uint64_t next_deadline(const struct store *s)
{
    uint64_t at = backup_due(s);

    if (s->dead)
        return UINT64_MAX;
    if (s->failing)
        return at < s->retry_at ? at : s->retry_at;
    return at < s->look_at ? at : s->look_at;
}

/*
 * Under the lock: rows for which nobody waits get company for a moment. One event brings several, a crash
 * many; a commit for each would keep the disk busy, and a core, just when the next run is started.
 */
static void gather(struct store *s)
{
    uint64_t until = clock_mono_ms() + GATHER_MS;
    struct timespec at = {.tv_sec = (time_t)(until / 1000), .tv_nsec = (long)(until % 1000) * 1000000};
    int rc = 0;

    while (!TAILQ_EMPTY(&s->incoming.ops) && !s->urgent && !s->closing && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&s->wake, &s->lock, &at);
}

/* Waits until there is something to do, and takes it. True when the store is closing. */
static bool take_incoming(struct store *s)
{
    uint64_t deadline = next_deadline(s);
    struct timespec at = {.tv_sec = (time_t)(deadline / 1000), .tv_nsec = (long)(deadline % 1000) * 1000000};
    size_t lost;
    bool closing;
    int rc = 0;

    pthread_mutex_lock(&s->lock);
    while (TAILQ_EMPTY(&s->incoming.ops) && !s->closing && rc != ETIMEDOUT)
        rc = deadline == UINT64_MAX ? pthread_cond_wait(&s->wake, &s->lock)
                                    : pthread_cond_timedwait(&s->wake, &s->lock, &at);
    gather(s);
    store_queue_concat(&s->pending, &s->incoming);
    s->urgent = false;
    lost = s->lost;
    s->lost = 0;
    closing = s->closing;
    pthread_mutex_unlock(&s->lock);
    if (lost)
        log_warn("the disk is too slow for state.db: %zu runs and events were dropped", lost);
    return closing;
}

/* Gives what is left some time; a full or read-only disk is not waited for. */
static void last_tries(struct store *s)
{
    uint64_t deadline = clock_mono_ms() + store_tuning.close_ms - store_tuning.close_ms / 10;

    while (s->failing && s->failing != -ENOSPC && s->failing != -EROFS && clock_mono_ms() < deadline) {
        const struct timespec pause = {.tv_nsec = 100 * 1000000};

        nanosleep(&pause, NULL);
        work(s, true);
    }
    if (s->failing && s->pending.writes)
        log_error("%zu changes could not be stored: %s", s->pending.writes, s->why.msg);
    if (s->dirty && s->db.h && !s->failing && !s->incomplete)
        back_up(s);
}

/* The small file beside the database; its loss costs nothing as long as the database is there. */
static void keep_id(const struct store *s)
{
    char id[33];
    struct err e = {0};

    if (store_files_read_id(s->path, id) == 0 && strcmp(id, s->id.home_id) == 0)
        return;
    if (store_files_write_id(s->path, s->id.home_id, &e) < 0)
        log_warn("%s", e.msg);
}

static void first_open(struct store *s)
{
    struct store_result *r = store_result_new(RESULT_OPENED, 0, NULL);
    struct err e = {0};
    char trouble[1024] = "";
    struct store_image *image = &r->image;

    r->rc = store_first_image(s, image, trouble, sizeof(trouble), &e);
    if (r->rc < 0) {
        s->dead = r->rc;
        s->why = e;
        snprintf(r->msg, sizeof(r->msg), "%s", e.msg);
        store_tell(s, r);
        return;
    }
    s->had_rows = s->db.h || s->use_backup || image->n_apps || image->n_processes;
    memcpy(s->id.home_id, image->home_id, sizeof(s->id.home_id));
    s->has_copy = access(s->backup_path, F_OK) == 0;
    keep_id(s);
    s->last_run = image->last_run;
    s->id.next_run = image->next_run + 2 * RUN_BLOCK;
    s->id.next_app = image->next_app + 2 * APP_BLOCK;
    store_queue_push(&s->pending, store_op_meta(META_NEXT_RUN, s->id.next_run));
    store_queue_push(&s->pending, store_op_meta(META_NEXT_APP, s->id.next_app));
    note_outcome(s, try_to_write(s, &e), &e);
    if (s->failing) {
        size_t len = strlen(trouble);

        snprintf(trouble + len, sizeof(trouble) - len, "%s%s", len ? "; " : "", e.msg);
    } else {
        free_written(s);
    }
    snprintf(r->msg, sizeof(r->msg), "%s", trouble);
    store_tell(s, r);
    tell_resync(s);
}

void *store_thread_main(void *arg)
{
    struct store *s = arg;
    bool closing = false;

    first_open(s);
    while (!closing) {
        closing = take_incoming(s);
        work(s, closing);
        if (!closing && clock_mono_ms() >= backup_due(s))
            back_up(s);
    }
    last_tries(s);
    store_db_close(&s->db, s->db.h && !store_db_moved(&s->db, s->path));
    store_queue_clear(&s->pending);
    store_tell(s, store_result_new(RESULT_FINISHED, 0, NULL));
    return NULL;
}
