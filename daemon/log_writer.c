/*
 * The writer thread. It sleeps until the loop has news, hands the bytes on and commits: the first line after
 * a pause at once, then at most every LOG_PACE_MS, so that a chatty app costs few commits and few wake-ups.
 * New streams that have not written come even more together.
 */
#include "daemon/log_writer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"

void log_trouble(struct log_writer *w, const char *fmt, ...)
{
    char text[640];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    log_report(w->l, LOG_EV_TROUBLE, xstrdup(text));
}

void log_retry_later(struct log_writer *w, uint64_t at)
{
    if (!w->retry_at || at < w->retry_at)
        w->retry_at = at;
}

void log_mark_dirty(struct log_writer *w, struct log_stream *s)
{
    if (s->dirty || s->finished)
        return;
    s->dirty = true;
    STAILQ_INSERT_TAIL(&w->dirty, s, by_dirty);
}

void log_mark_work(struct log_writer *w, struct log_stream *s)
{
    if (s->in_work || s->finished)
        return;
    s->in_work = true;
    STAILQ_INSERT_TAIL(&w->work, s, by_work);
}

static struct log_stream *next_work(struct log_writer *w)
{
    struct log_stream *s = STAILQ_FIRST(&w->work);

    if (s) {
        STAILQ_REMOVE_HEAD(&w->work, by_work);
        s->in_work = false;
    }
    return s;
}

static void open_files(struct log_writer *w, struct log_stream *s)
{
    struct err e = {0};

    if (s->open_at)
        TAILQ_REMOVE(&w->unopened, s, by_unopened);
    s->open_at = 0;
    if (!s->placed)
        return; /* the database is awaited: the first line opens them */
    for (unsigned i = 1; i < s->n_sinks; i++) {
        struct log_file *f = s->sinks[i].file;
        int rc = f->fd >= 0 || f->failing ? 0 : log_file_use(w, &f, false, &e);

        if (rc < 0)
            log_file_failed(w, f, rc, e.msg);
    }
    log_mark_dirty(w, s);
}

/*
 * Making a file costs about as much as starting a process, so the files of an app that has not written yet
 * wait until a start of many is through. What a crashed engine left is looked at at once.
 */
static void open_files_soon(struct log_writer *w, struct log_stream *s)
{
    if (s->handed) {
        open_files(w, s);
        return;
    }
    s->open_at = s->attached_at + LOG_OPEN_MS;
    TAILQ_INSERT_TAIL(&w->unopened, s, by_unopened);
}

static void open_due(struct log_writer *w, uint64_t now)
{
    struct log_stream *s;

    while ((s = TAILQ_FIRST(&w->unopened)) && s->open_at <= now)
        open_files(w, s);
}

/* One chunk of a stream. `upto` limits it to what was taken at some moment (UINT64_MAX = now). */
static bool turn(struct log_writer *w, struct log_stream *s, uint64_t upto)
{
    bool last = atomic_load(&s->final); /* before `taken`: then `taken` is the stream's length */
    uint64_t avail = atomic_load(&s->taken);

    if (last) {
        if (s->open_at)
            open_files(w,
                       s); /* also of a program that never wrote: who looks for its log finds an empty one */
        log_mark_dirty(w, s);
        if (!s->ended_at)
            s->ended_at = clock_mono_ms();
    }
    if (upto < avail) {
        avail = upto;
        last = false;
    }
    return log_feed(w, s, avail, last);
}

static void commit_if_large(struct log_writer *w)
{
    if (w->rows >= LOG_COMMIT_ROWS || w->bytes >= LOG_COMMIT_SIZE)
        log_commit(w);
    if (w->rotate_wanted)
        log_rotate_wanted(w);
}

/* Round robin, one chunk each; back to the messages after some, however fast the apps write. */
static void work_a_while(struct log_writer *w)
{
    struct log_stream *s;

    for (int i = 0; i < 32 && (s = next_work(w)); i++) {
        if (turn(w, s, UINT64_MAX))
            log_mark_work(w, s);
        commit_if_large(w);
    }
    if (STAILQ_EMPTY(&w->work))
        log_commit(w);
}

/* Everything that was taken up to now is handed on and committed. */
static void work_all(struct log_writer *w)
{
    struct log_stream *s;

    open_due(w, UINT64_MAX);
    w->settle = true;
    TAILQ_FOREACH (s, &w->streams, by_writer) {
        uint64_t upto = atomic_load(&s->taken);

        if (!s->in_work && !s->dirty && !atomic_load(&s->final) && s->sinks[0].pos >= upto)
            continue;
        if (atomic_load(&s->final))
            upto = UINT64_MAX;
        while (turn(w, s, upto))
            commit_if_large(w);
    }
    w->settle = false;
    log_commit(w);
}

static void reopen_files(struct log_writer *w)
{
    struct log_stream *s;

    for (struct log_file *f = w->files.first; f; f = f->next) {
        log_file_close(f);
        log_file_works(w, f); /* as far as is known: it is tried at once */
    }
    log_twins_part(w);
    TAILQ_FOREACH (s, &w->streams, by_writer)
        if (s->placed)
            open_files(w, s);
}

static void set_limits(struct log_writer *w, struct log_limits_msg *m)
{
    struct log_stream *s;

    if (m->app) {
        log_prune_limit(w, m->app, &m->limits);
        TAILQ_FOREACH (s, &w->streams, by_writer)
            if (strcmp(s->app, m->app) == 0)
                s->limits = m->limits;
    } else {
        w->prune.bounds = m->bounds;
        w->prune.wanted = true;
        w->disk.checked_at = 0;
    }
    log_limits_msg_free(m);
}

static void handle(struct log_writer *w, const struct log_msg *m)
{
    struct log_sub *sub = m->what;

    switch (m->type) {
    case LOG_MSG_ATTACH:
        break; /* done before */
    case LOG_MSG_BARRIER:
        work_all(w);
        log_report(w->l, LOG_EV_BARRIER, m->what);
        break;
    case LOG_MSG_SUB:
        /* Registered between two commits: rows up to here are history, all later ones are live. */
        work_all(w);
        sub->boundary = w->db.next_row ? w->db.next_row - 1 : 0;
        LIST_INSERT_HEAD(&w->subs, sub, by_writer);
        log_report(w->l, LOG_EV_SUB, sub);
        break;
    case LOG_MSG_UNSUB:
        LIST_REMOVE(sub, by_writer);
        log_block_free(&sub->staged);
        log_report(w->l, LOG_EV_UNSUB, sub);
        break;
    case LOG_MSG_REOPEN:
        /* What was taken before belongs into the old files. */
        work_all(w);
        reopen_files(w);
        log_commit(w);
        break;
    case LOG_MSG_DAMAGE:
        if (w->generation == (unsigned)(uintptr_t)m->what)
            log_db_damaged(w);
        break;
    case LOG_MSG_LIMITS:
        set_limits(w, m->what);
        break;
    case LOG_MSG_WIPE:
        work_all(w);
        log_wipe_begin(w, m->what);
        break;
    case LOG_MSG_ROTATE:
        work_all(w);
        log_rotate_request(w, m->what);
        break;
    case LOG_MSG_POLICY:
        log_rotate_policy_news(w, m->what);
        break;
    case LOG_MSG_STOP:
        w->stop = true;
        break;
    }
}

STAILQ_HEAD(msg_list, log_msg);

/* All streams of one delivery get their places before any of them writes: a file that several share is cut
 * back by what the first of them finds, and the cut is right for all. */
static void attach_all(struct log_writer *w, struct msg_list *msgs)
{
    struct log_msg *m;
    bool any = false;

    STAILQ_FOREACH(m, msgs, next)
    {
        if (m->type != LOG_MSG_ATTACH)
            continue;
        TAILQ_INSERT_TAIL(&w->streams, (struct log_stream *)m->what, by_writer);
        log_mark_work(w, m->what);
        any = true;
        log_place(w, m->what);
    }
    if (!any)
        return;
    w->pace_from = clock_mono_ms();
    STAILQ_FOREACH(m, msgs, next)
    {
        struct log_stream *s = m->what;

        if (m->type == LOG_MSG_ATTACH && s->placed)
            open_files_soon(w, s);
    }
    log_commit(w);
}

static void sleep_until(struct logs *l, uint64_t until_ms)
{
    struct timespec ts = {.tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000};

    if (until_ms == UINT64_MAX)
        pthread_cond_wait(&l->cond, &l->lock);
    else
        pthread_cond_timedwait(&l->cond, &l->lock, &ts);
}

/* Sleeps until there is something to do and takes it. */
static void wait_for_work(struct log_writer *w, struct msg_list *msgs)
{
    struct logs *l = w->l;
    struct log_stream *s;

    pthread_mutex_lock(&l->lock);
    while (!l->urgent && STAILQ_EMPTY(&w->work) && STAILQ_EMPTY(&w->wipes) && !log_prune_busy(w)) {
        uint64_t now = clock_mono_ms(), until = w->retry_at ? w->retry_at : UINT64_MAX;

        if (!TAILQ_EMPTY(&w->unopened) && TAILQ_FIRST(&w->unopened)->open_at < until)
            until = TAILQ_FIRST(&w->unopened)->open_at;
        if (w->rotate_look_at && w->rotate_look_at < until)
            until = w->rotate_look_at;
        if (w->prune.due && w->prune.due < until)
            until = w->prune.due;
        if (now >= until)
            break;
        l->sleep = LOG_ASLEEP;
        if (!STAILQ_EMPTY(&l->queue) || !STAILQ_EMPTY(&l->msgs)) {
            bool news = !STAILQ_EMPTY(&l->queue);
            uint64_t due = w->pace_from + (news ? LOG_PACE_MS : LOG_OPEN_MS);

            if (now >= due || l->queued_bytes >= LOG_PACE_BYTES)
                break;
            l->sleep = news ? LOG_PACING : LOG_COLLECTING;
            until = due < until ? due : until;
        }
        sleep_until(l, until);
    }
    l->sleep = LOG_AWAKE;
    l->urgent = false;
    STAILQ_CONCAT(msgs, &l->msgs);
    while ((s = STAILQ_FIRST(&l->queue))) {
        STAILQ_REMOVE_HEAD(&l->queue, by_queue);
        s->queued = false;
        log_mark_work(w, s);
    }
    l->queued_bytes = 0;
    pthread_mutex_unlock(&l->lock);
}

/* Something failed a while ago: whoever is behind tries again. */
static void retry(struct log_writer *w)
{
    struct log_stream *s;

    if (!w->retry_at || clock_mono_ms() < w->retry_at)
        return;
    w->retry_at = 0;
    TAILQ_FOREACH (s, &w->streams, by_writer) {
        bool behind = s->dirty || !s->placed;

        log_drop_check(w, s);
        for (unsigned i = 0; i < s->n_sinks; i++)
            behind |= s->sinks[i].pos < atomic_load(&s->taken) || s->sinks[i].drop_lines;
        if (behind)
            log_mark_work(w, s);
    }
}

/* What nobody writes to any more is in no trouble. */
static void let_go(struct log_writer *w, struct log_file *f)
{
    if (f->refs == 1)
        log_file_works(w, f);
    log_files_put(&w->files, f);
}

/* Hands ended streams back. Apart from the commit, because that happens while lists are walked. */
static void reap(struct log_writer *w)
{
    struct log_stream *s;

    while ((s = STAILQ_FIRST(&w->done))) {
        STAILQ_REMOVE_HEAD(&w->done, by_done);
        TAILQ_REMOVE(&w->streams, s, by_writer);
        if (s->in_work)
            STAILQ_REMOVE(&w->work, s, log_stream, by_work);
        if (s->dirty)
            STAILQ_REMOVE(&w->dirty, s, log_stream, by_dirty);
        for (unsigned i = 1; i < s->n_sinks; i++)
            let_go(w, s->sinks[i].file);
        log_report(w->l, LOG_EV_DONE, s);
    }
}

static void start(struct log_writer *w)
{
    TAILQ_INIT(&w->streams);
    STAILQ_INIT(&w->work);
    STAILQ_INIT(&w->dirty);
    TAILQ_INIT(&w->unopened);
    STAILQ_INIT(&w->done);
    LIST_INIT(&w->subs);
    STAILQ_INIT(&w->wipes);
    w->chunk = xmalloc(LOG_CHUNK);
    w->pieces = xcalloc(LOG_PIECES, sizeof *w->pieces);
    w->place_until = clock_mono_ms() + LOG_BLOCK_MS;
    tzset();
    log_rotate_defaults(&w->rotate);
    log_prune_init(w);
    log_db_usable(w);
}

static void finish(struct log_writer *w)
{
    struct log_stream *s;

    work_all(w);
    log_wipe_cancel(w);
    log_prune_deinit(w);
    reap(w);
    log_rotate_close(w);
    log_db_close(&w->db, true);
    free(w->db.path);
    TAILQ_FOREACH (s, &w->streams, by_writer)
        for (unsigned i = 1; i < s->n_sinks; i++)
            log_files_put(&w->files, s->sinks[i].file);
    free(w->chunk);
    free(w->pieces);
    buf_free(&w->text);
}

void *log_writer_main(void *arg)
{
    struct logs *l = arg;
    struct log_writer *w = xcalloc(1, sizeof *w);
    struct log_msg *m;

    w->l = l;
    start(w);
    while (!w->stop) {
        struct msg_list msgs = STAILQ_HEAD_INITIALIZER(msgs);

        wait_for_work(w, &msgs);
        attach_all(w, &msgs);
        while ((m = STAILQ_FIRST(&msgs))) {
            STAILQ_REMOVE_HEAD(&msgs, next);
            handle(w, m);
            free(m);
        }
        log_disk_check(w);
        retry(w);
        open_due(w, clock_mono_ms());
        work_a_while(w);
        log_rotate_clock(w);
        log_wipe_step(w);
        log_prune_step(w);
        reap(w);
    }
    finish(w);
    free(w);
    log_report(l, LOG_EV_STOPPED, NULL);
    return NULL;
}
