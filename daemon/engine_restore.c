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
#include "daemon/engine_order.h"
#include "daemon/engine_restore_int.h"
#include "daemon/saved.h"
#include "daemon/schedules.h"
#include "daemon/sockets.h"

#define RESTORE_LATER_MAX 65536

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
    hold->told = m->flags & KW_TOLD;
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
    p->times = (struct schedule_clock){.handled = (int64_t)row->scheduled_s};
}

struct app *restore_app_by_id(struct engine *e, uint64_t id)
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

static void take_app(struct engine *e, struct app *a)
{
    engine_limit_logs(e, a);
    schedules_app(e, a);
}

/* The list as it was at the last commit. */
static void take_list(struct engine *e, const struct store_image *image)
{
    struct err err;

    for (size_t i = 0; i < image->n_apps; i++) {
        json_t *j = json_loads(image->apps[i].json, JSON_ALLOW_NUL, NULL);
        struct app_spec *s = j ? app_spec_from_json(j, &err) : NULL;

        if (s)
            take_app(e, supervisor_add_app(e->sup, image->apps[i].id, s));
        else
            log_error("app %llu in state.db cannot be read: %s", (unsigned long long)image->apps[i].id,
                      j ? err.msg : "not JSON");
        json_decref(j);
    }
    for (size_t i = 0; i < image->n_processes; i++) {
        const struct store_process *row = &image->processes[i];
        struct app *a = restore_app_by_id(e, row->app);
        struct process *p;

        if (!a)
            continue;
        p = engine_add_process(e, a, row->instance, row->id);
        restore_fill(p, row);
        /* What was missed while there was a daemon is made up, and nothing else: not after a boot, or days.
         */
        if (!e->restore->same_boot || image->ended == STORE_TERMINATED)
            p->times = (struct schedule_clock){0};
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
    restore_match(e);
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
    engine_order_look(e);
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
