/*
 * Puts the state together at an engine's start from its two halves: state.db (what is wanted, and how things
 * were at the last commit) and the keeper's records (what is). Where they differ the keeper is right: its
 * note of a run is written with every change, and a record that was not acknowledged is an end that is not
 * stored.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/engine.h"
#include "daemon/engine_listen.h"
#include "daemon/saved.h"
#include "daemon/sockets.h"
#include "daemon/unstored.h"

#define RESTORE_LATER_MAX 65536

struct record {
    struct kw_msg m; /* without descriptors: they are in the holds */
    json_t *blob;
    bool latest; /* the keeper has no later one of this process id */
};

/* A process that had a child at the last commit. */
struct candidate {
    uint32_t id;
    struct run_pipes pipes;
};

struct restore {
    struct record *records; /* of runs */
    size_t n_records;
    struct candidate *candidates;
    size_t n_candidates;
    struct kw_msg *later; /* what came after a record: replayed in order */
    size_t n_later;
    bool snapshot_done, image_done;
    bool image_failed; /* state.db cannot be used, and must not be replaced */
    bool damaged;      /* state.db was lost or is old: what runs is taken in */
    bool same_boot;
    bool had_other_keeper; /* than the one that is now: that could have left what nobody knows */
    uint64_t last_run;     /* in state.db */
};

void restore_begin(struct engine *e)
{
    const struct kw_msg ask = {.type = KW_SNAPSHOT};

    e->restore = xcalloc(1, sizeof(*e->restore));
    engine_send(e, &ask);
}

static struct record *find_record(struct restore *r, uint64_t run)
{
    for (size_t i = r->n_records; i > 0; i--)
        if (r->records[i - 1].m.token == run)
            return &r->records[i - 1];
    return NULL;
}

static void take_record(struct engine *e, struct kw_msg *m)
{
    struct restore *r = e->restore;
    struct hold *hold = holds_make(&e->holds, m->token);

    hold_take_all(hold, m);
    if (m->token == 0 || find_record(r, m->token))
        return;
    hold->proc = m->proc;
    hold->pid = m->pid;
    hold->start_ticks = m->start_ticks;
    hold->start_us = m->start_us;
    hold->exited = m->flags & KW_HAS_EXITED || (m->flags & KW_EXEC_KNOWN && m->error);
    hold->foreign = m->flags & KW_FOREIGN;
    e->restore->had_other_keeper |= hold->foreign;
    memcpy(hold->note, m->note, m->note_len);
    hold->note_len = m->note_len;
    /* Orphans of all runs up to this one are not under the keeper that is now. */
    if (hold->foreign && m->token >= e->foreign_below)
        e->foreign_below = m->token + 1;
    if (!hold->exited)
        tree_root_add(m->pid, m->token);
    r->records = xrealloc(r->records, (r->n_records + 1) * sizeof(*r->records));
    r->records[r->n_records++] = (struct record){.m = *m};
}

static int by_token(const void *a, const void *b)
{
    const struct record *x = a, *y = b;

    return x->m.token < y->m.token ? -1 : x->m.token > y->m.token;
}

/* The first act of a new engine: take the bytes that wait in the pipes, before anything slower. */
static void snapshot_done(struct engine *e)
{
    struct restore *r = e->restore;

    r->snapshot_done = true;
    if (r->n_records)
        qsort(r->records, r->n_records, sizeof(*r->records), by_token);
    for (size_t i = 0; i < r->n_records; i++) {
        struct hold *hold = holds_get(&e->holds, r->records[i].m.token);

        r->records[i].blob = engine_read_blob(hold->fds[KW_FD_SPEC]);
        engine_attach_logs(e, r->records[i].m.token, r->records[i].blob);
        if (!hold->exited)
            engine_listen_resume(e, hold->run, hold->fds[KW_FD_SPEC]);
    }
}

static void finish_if_complete(struct engine *e);

void restore_message(struct engine *e, struct kw_msg *m)
{
    struct restore *r = e->restore;

    switch (m->type) {
    case KW_CHILD:
        take_record(e, m);
        break;
    case KW_KEPT:
        sockets_restore(e->sockets, m);
        break;
    case KW_EXEC:
    case KW_EXITED:
    case KW_REFUSED:
    case KW_SIGNAL: /* a shutdown must not begin before it is known what is to be stopped */
        if (r->n_later < RESTORE_LATER_MAX) {
            r->later = xrealloc(r->later, (r->n_later + 1) * sizeof(*r->later));
            r->later[r->n_later++] = *m;
        }
        break;
    case KW_SNAPSHOT_END:
        store_run_seen(e->store, m->token);
        e->engines = m->arg;
        r->had_other_keeper |= m->arg <= 1 || !r->n_records; /* or it may have been so, and all has ended */
        snapshot_done(e);
        finish_if_complete(e);
        break;
    case KW_WELCOME:
        engine_keeper_welcome(e, m);
        break;
    default:
        break;
    }
}

static enum lc_state state_of_word(const char *word)
{
    for (int s = 0; s < LC_STATE_COUNT; s++)
        if (strcmp(lc_state_word((enum lc_state)s), word) == 0)
            return (enum lc_state)s;
    return LC_STOPPED;
}

void restore_fill(struct process *p, const struct store_process *row)
{
    p->state = state_of_word(row->state);
    p->desired = strcmp(row->desired, "up") == 0 ? DESIRED_UP : DESIRED_DOWN;
    p->reason = lc_reason_of_word(row->reason);
    p->fresh = row->fresh;
    p->counters = (struct lc_counters){row->restarts, row->unstable, row->backoff_delay};
    p->created_ms = row->created_ms;
    p->run = row->run;
    p->pid = row->pid;
    p->start_ticks = row->start_ticks;
    p->started_ms = row->started_ms;
    p->online_ms = row->online_ms;
    p->signaled_ms = row->signaled_ms;
    p->deadline_ms = row->deadline_ms;
    p->last = (struct last_exit){.valid = row->last_run != 0,
                                 .run = row->last_run,
                                 .started_ms = row->last_started_ms,
                                 .ended_ms = row->last_ended_ms,
                                 .reason = lc_reason_of_word(row->last_reason),
                                 .exit_code = row->last_exit_code,
                                 .signal = row->last_signal,
                                 .core = row->last_core,
                                 .step = row->last_step,
                                 .error = row->last_error};
}

static struct app *app_by_id(struct engine *e, uint64_t id)
{
    struct app *a;

    TAILQ_FOREACH (a, supervisor_apps(e->sup), entry) {
        if (a->id == id)
            return a;
    }
    return NULL;
}

static void add_candidate(struct restore *r, uint32_t id, const struct store_process *row)
{
    r->candidates = xrealloc(r->candidates, (r->n_candidates + 1) * sizeof(*r->candidates));
    r->candidates[r->n_candidates++] =
        (struct candidate){id, {.in = row->pipe_in, .out = row->pipe_out, .err = row->pipe_err}};
}

/* The list as it was at the last commit. */
static void take_list(struct engine *e, const struct store_image *image)
{
    struct err err;

    for (size_t i = 0; i < image->n_apps; i++) {
        json_t *j = json_loads(image->apps[i].json, JSON_ALLOW_NUL, NULL);
        struct app_spec *s = j ? app_spec_from_json(j, &err) : NULL;

        if (s)
            engine_limit_logs(e, supervisor_add_app(e->sup, image->apps[i].id, s));
        else
            log_error("app %llu in state.db cannot be read: %s", (unsigned long long)image->apps[i].id,
                      j ? err.msg : "not JSON");
        json_decref(j);
    }
    for (size_t i = 0; i < image->n_processes; i++) {
        const struct store_process *row = &image->processes[i];
        struct app *a = app_by_id(e, row->app);
        struct process *p;

        if (!a)
            continue;
        p = engine_add_process(e, a, row->instance, row->id);
        restore_fill(p, row);
        if (p->pid > 0 && e->restore->same_boot)
            add_candidate(e->restore, p->id, row);
    }
}

void restore_image(struct engine *e, const struct store_image *image)
{
    struct restore *r = e->restore;
    char boot_id[37];

    fs_boot_id(boot_id);
    r->same_boot = strcmp(boot_id, image->boot_id) == 0;
    r->damaged = image->fresh || image->from_backup || image->trouble;
    r->last_run = image->last_run;
    r->image_done = true;
    snprintf(e->home_id, sizeof(e->home_id), "%s", image->home_id);
    saved_load(e, image);
    if (!saved_begin(e, image, r->same_boot, r->damaged))
        take_list(e, image);
    if (image->ended == STORE_TERMINATED)
        store_set_ended(e->store, STORE_NOT_ENDED);
    finish_if_complete(e);
}

/*
 * Which children outlived both daemons? Those that the keeper does not know, which is certain only when the
 * whole snapshot is here: the image of state.db may be faster, and a pipe that is opened anew beside the
 * keeper's would be read twice.
 */
static void adopt_candidates(struct engine *e)
{
    struct restore *r = e->restore;

    for (size_t i = 0; i < r->n_candidates; i++) {
        struct process *p = supervisor_by_id(e->sup, r->candidates[i].id);

        if (p && !find_record(r, p->run))
            engine_adopt(e, p, &r->candidates[i].pipes);
    }
}

/* A failed exec is the end of its run as well; no exit record follows it. Of a run that had another keeper
 * there is none either: its end was acknowledged when the pidfd is gone. */
static bool is_over(struct engine *e, const struct kw_msg *m)
{
    const struct hold *hold = holds_get(&e->holds, m->token);

    return m->flags & KW_HAS_EXITED || (m->flags & KW_EXEC_KNOWN && m->error) ||
           (m->flags & KW_FOREIGN && hold && hold->fds[KW_FD_PIDFD] < 0);
}

/* Process ids begin anew when the list is empty, while the late output of a deleted process's run may keep
 * its record: the app tells whose it is. */
static struct process *known_process(struct engine *e, const struct record *rec)
{
    struct process *p = supervisor_by_id(e->sup, rec->m.proc);
    uint64_t app = process_note_app(rec->m.note, rec->m.note_len);

    if (!p || !app || p->app->id == app)
        return p;
    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        if (p->run == rec->m.token)
            return p;
    }
    return NULL;
}

static struct process *add_unstored(struct engine *e, const struct record *rec)
{
    uint64_t app_id = (uint64_t)json_integer_value(json_object_get(rec->blob, "app"));
    struct app *a = app_by_id(e, app_id);

    if (!a) {
        struct app_spec *s = app_spec_from_json(json_object_get(rec->blob, "spec"), NULL);

        if (!s)
            return NULL;
        a = supervisor_add_app(e->sup, app_id, s);
        engine_save_app(e, a);
    }
    return engine_add_process(e, a, (uint32_t)json_integer_value(json_object_get(rec->blob, "instance")),
                              rec->m.proc);
}

/* The process of a record; one that state.db does not know is added when it is to go on (see unstored.h). */
static struct process *process_of_record(struct engine *e, const struct record *rec)
{
    const struct hold *hold = holds_get(&e->holds, rec->m.token);
    struct process *p = known_process(e, rec);
    const struct unstored u = {.run = rec->m.token,
                               .last_run = e->restore->last_run,
                               .over = is_over(e, &rec->m),
                               .acked = !hold || hold->fds[KW_FD_PIDFD] < 0,
                               .superseded = !rec->latest,
                               .damaged = e->restore->damaged};
    enum unstored_act act = unstored_judge(&u);

    if (p || !rec->blob || act == UNSTORED_LEAVE)
        return p;
    p = add_unstored(e, rec);
    if (!p)
        return NULL;
    p->delete_when_down = act == UNSTORED_END;
    log_warn("run %llu (%s, pid %d) is not in state.db: %s", (unsigned long long)rec->m.token,
             p->app->spec->name, (int)rec->m.pid, act == UNSTORED_TAKE ? "taken in" : "it will be stopped");
    return p;
}

/* What the keeper knows of the process's current run. */
static void fill_from_record(struct engine *e, struct process *p, const struct record *rec)
{
    const struct kw_msg *m = &rec->m;
    bool news = p->run != m->token;

    p->run = m->token;
    p->pid = m->pid;
    p->start_ticks = m->start_ticks;
    p->started_ms = m->start_us / 1000;
    if (process_note_read(p, m->note, m->note_len) < 0)
        log_warn("the note of run %llu cannot be read", (unsigned long long)m->token);
    if (news)
        engine_save_process(e, p);
}

static struct run_end end_of_record(const struct kw_msg *m)
{
    return (struct run_end){.run = m->token,
                            .wait_status = m->wait_status,
                            .status_known = true,
                            .end_us = m->end_us,
                            .utime_us = m->utime_us,
                            .stime_us = m->stime_us,
                            .maxrss_bytes = m->maxrss_bytes};
}

static void resume_record(struct engine *e, struct process *p, const struct record *rec)
{
    const struct kw_msg *m = &rec->m;
    bool drop_it = p->delete_when_down;

    p->delete_when_down = false;
    runtime_of(p)->resumed = true;
    if (!rec->blob)
        engine_attach_process_logs(e, p); /* taken back after a double fault: its spec is lost */
    engine_connect_run(e, p);
    supervisor_resume(e->sup, p, true);
    if (m->flags & KW_EXEC_KNOWN && m->error) /* a success would begin the wait for readiness anew */
        supervisor_on_exec(e->sup, m->token, m->step, m->error);
    if (m->flags & KW_HAS_EXITED) {
        struct run_end end = end_of_record(m);

        logs_drain(e->logs, m->token);
        supervisor_on_exit(e->sup, &end);
    } else if (m->flags & KW_FOREIGN) {
        engine_watch_foreign(e, m->token);
    }
    if (drop_it)
        supervisor_delete(e->sup, p, "left over by a command that was not finished", NULL, NULL);
}

/* Is the end of this run stored, and with it all that followed? Such a record is still there only because its
 * late output is not. Rows are written in order, so the end of a later run tells the same. */
static bool end_is_stored(const struct process *p, const struct kw_msg *m)
{
    return p->last.valid && p->last.run >= m->token;
}

/* Is this record the process's current run, with news for us? Else it is an old one that was dealt with. */
static bool is_current(const struct process *p, const struct kw_msg *m)
{
    return m->token >= p->run && !end_is_stored(p, m);
}

/* The latest record of each process is its current run; earlier ones have ended and were judged before the
 * later was spawned, although their end may not be stored. */
static void match_record(struct engine *e, const struct record *rec, struct process *p)
{
    if (p && rec->latest && is_current(p, &rec->m)) {
        resume_record(e, p, rec);
    } else if (is_over(e, &rec->m) || (p && end_is_stored(p, &rec->m))) {
        if (p && rec->m.flags & KW_HAS_EXITED && !end_is_stored(p, &rec->m))
            engine_store_old_end(e, p, &rec->m);
        engine_ack(e, rec->m.token);
    }
}

/* First all are found, and those that are new to state.db on their way to it: a life cycle that goes on may
 * start a run, whose row must not be there before theirs. */
static void match_records(struct engine *e)
{
    struct restore *r = e->restore;
    _cleanup_free_ struct process **of = xcalloc(r->n_records + 1, sizeof(struct process *));

    for (size_t i = 0; i < r->n_records; i++) {
        struct record *rec = &r->records[i];

        rec->latest = true;
        for (size_t k = i + 1; k < r->n_records && rec->latest; k++)
            rec->latest = r->records[k].m.proc != rec->m.proc;
        of[i] = process_of_record(e, rec);
        if (of[i] && rec->latest && is_current(of[i], &rec->m))
            fill_from_record(e, of[i], rec);
    }
    for (size_t i = 0; i < r->n_records; i++)
        match_record(e, &r->records[i], of[i]);
}

/* Processes without a record that has news: nothing of theirs runs under the keeper, or its end is stored
 * already and what follows from it (a delay, a respawn) is to be continued. */
static void resume_rest(struct engine *e)
{
    struct process *p, *next;

    for (p = TAILQ_FIRST(supervisor_processes(e->sup)); p; p = next) {
        struct hold *hold = p->run ? holds_get(&e->holds, p->run) : NULL;
        bool stored = p->last.valid && p->last.run == p->run;

        next = TAILQ_NEXT(p, entry);
        if (runtime_of(p)->resumed)
            continue;
        runtime_of(p)->resumed = true;
        if (!e->restore->same_boot && p->run && !stored) {
            p->state = LC_STOPPED; /* ended with the machine */
            p->pid = 0;
        }
        if (hold && hold->foreign)
            engine_watch_foreign(e, p->run);
        supervisor_resume(e->sup, p, hold && hold->pid > 0 && !hold->exited && !stored);
    }
}

/* With nothing running the whole daemon ends, for the next try would be no better; else the keeper keeps what
 * runs. */
static _Noreturn void give_up(struct engine *e)
{
    const struct kw_msg bye = {.type = KW_BYE, .arg = 1};

    if (e->restore->n_records == 0)
        engine_send(e, &bye);
    _exit(1);
}

void restore_image_failed(struct engine *e)
{
    e->restore->image_failed = true;
    e->restore->image_done = true;
    finish_if_complete(e);
}

static void finish(struct engine *e)
{
    struct restore *r = e->restore;

    adopt_candidates(e);
    match_records(e);
    resume_rest(e);
    sockets_restored(e->sockets);
    e->restore = NULL;
    for (size_t i = 0; i < r->n_later; i++)
        engine_keeper_message(e, &r->later[i]);
    for (size_t i = 0; i < r->n_records; i++)
        json_decref(r->records[i].blob);
    free(r->records);
    free(r->candidates);
    free(r->later);
    free(r);
    engine_ready(e);
    if (e->end_asked)
        engine_shutdown(e, false, "signal to the daemon", NULL, NULL);
}

/* Within one boot, and not under the keeper that has started all, there may be children of which neither half
 * tells: started just before the last keeper and engine were killed. */
static void finish_if_complete(struct engine *e)
{
    struct restore *r = e->restore;

    if (!r->snapshot_done || !r->image_done)
        return;
    if (r->image_failed)
        give_up(e);
    if (!r->same_boot || !r->had_other_keeper) {
        finish(e);
        return;
    }
    _cleanup_free_ uint64_t *held = xcalloc(r->n_records + 1, sizeof(*held));
    for (size_t i = 0; i < r->n_records; i++)
        held[i] = r->records[i].m.token;
    engine_end_strays(e, held, r->n_records, r->last_run, r->damaged, finish);
}
