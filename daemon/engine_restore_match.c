/*
 * After an engine's start: which of the keeper's records is which process's, and how each life cycle goes on.
 */
#include "daemon/engine_restore_int.h"

#include <stdlib.h>

#include "common/mem.h"
#include "common/plog.h"
#include "daemon/unstored.h"

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
    struct app *a = restore_app_by_id(e, app_id);

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

static void fill_run(struct process *p, const struct kw_msg *m)
{
    p->run = m->token;
    p->pid = m->pid;
    p->start_ticks = m->start_ticks;
    p->started_ms = m->start_us / 1000;
}

/* What the keeper knows of the process's current run. */
static void fill_from_record(struct engine *e, struct process *p, const struct record *rec)
{
    const struct kw_msg *m = &rec->m;
    bool news = p->run != m->token;

    fill_run(p, m);
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

static void go_on(struct engine *e, struct process *p, const struct record *rec)
{
    const struct kw_msg *m = &rec->m;

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
}

static void resume_record(struct engine *e, struct process *p, const struct record *rec)
{
    bool drop_it = p->delete_when_down;

    p->delete_when_down = false;
    go_on(e, p, rec);
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

/* The configuration that a candidate brings, from what was sent with its spawn; NULL when it is the app's. */
static struct app_spec *spec_of_candidate(const struct process *slot, const struct record *rec)
{
    json_t *brought = json_object_get(rec->blob, "spec"), *has = app_spec_to_json(slot->app->spec);
    bool same = !brought || json_equal(brought, has);

    json_decref(has);
    return same ? NULL : app_spec_from_json(brought, NULL);
}

static void find_latest(struct restore *r)
{
    for (size_t i = 0; i < r->n_records; i++) {
        struct record *rec = &r->records[i];

        rec->latest = rec->role == ROLE_SLOT;
        for (size_t k = i + 1; k < r->n_records && rec->latest; k++)
            rec->latest = r->records[k].m.proc != rec->m.proc || r->records[k].role != ROLE_SLOT;
    }
}

static void find_shadow(struct engine *e, size_t i)
{
    struct record *rec = &e->restore->records[i];
    struct process *slot = known_process(e, rec);
    const struct kw_msg *m = &rec->m;

    /* The last engine died after the new run had the slot, and before the old one was told to go. */
    if (rec->role == ROLE_SLOT && !is_over(e, m) && !rec->latest)
        rec->role = ROLE_DRAINING;
    if (!slot)
        rec->role = ROLE_SLOT; /* it is dealt with as any run that nobody knows of */
    if (rec->role == ROLE_SLOT || (is_over(e, m) && end_is_stored(slot, m)))
        return;
    rec->shadow = supervisor_add_shadow(e->sup, slot, rec->role, m->note, m->note_len,
                                        rec->role == ROLE_CANDIDATE ? spec_of_candidate(slot, rec) : NULL);
    if (rec->shadow)
        fill_run(rec->shadow, m);
}

/* Before any slot goes on: one whose run has ended must not start another while a candidate is on its way. */
static void find_shadows(struct engine *e)
{
    struct restore *r = e->restore;

    for (size_t i = 0; i < r->n_records; i++)
        r->records[i].role = process_note_role(r->records[i].m.note, r->records[i].m.note_len);
    find_latest(r);
    for (size_t i = 0; i < r->n_records; i++)
        if (r->records[i].role == ROLE_SLOT)
            process_of_record(e, &r->records[i]); /* takes in what state.db does not know */
    for (size_t i = 0; i < r->n_records; i++)
        find_shadow(e, i);
    find_latest(r); /* some have another role now */
}

static void resume_shadows(struct engine *e)
{
    const struct restore *r = e->restore;

    for (size_t i = 0; i < r->n_records; i++)
        if (r->records[i].shadow)
            go_on(e, r->records[i].shadow, &r->records[i]);
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

        if (rec->shadow)
            continue;
        of[i] = rec->role == ROLE_SLOT ? process_of_record(e, rec) : known_process(e, rec);
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

void restore_match(struct engine *e)
{
    find_shadows(e);
    match_records(e);
    resume_rest(e);
    resume_shadows(e);
}
