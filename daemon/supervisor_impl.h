/* What the files supervisor*.c share; nobody else includes this. */
#ifndef PM_DAEMON_SUPERVISOR_IMPL_H
#define PM_DAEMON_SUPERVISOR_IMPL_H

#include <assert.h>
#include <stddef.h>

#include "daemon/idmap.h"
#include "daemon/supervisor.h"

#define SETTLE_MS           100u
#define LEFTOVER_GRACE_MS   100u   /* how long a respawn waits for what its last run left */
#define LEFTOVERS_MAX       8u     /* runs a process; beyond, the oldest is killed at once */
#define KILL_RETRY_MS       100u   /* between attempts to kill a tree... */
#define KILL_STUCK_MS       10000u /* ...for so long; then it is called stuck... */
#define KILL_STUCK_RETRY_MS 1000u  /* ...and tried so often */

#define NO_EVENT LC_EVENT_COUNT

enum want { WANT_UP, WANT_DOWN, WANT_GONE, WANT_RELOAD, WANT_NOTHING };

struct waiter {
    enum want want;
    waiter_cb cb;
    void *arg;
    struct waiter_result result;
    TAILQ_ENTRY(waiter) entry;
};

struct proc;

/* What a run whose child ended by itself may have left behind; it dies while the next run lives already. */
struct leftover {
    uint64_t run;
    struct proc *proc;
    uint64_t kill_at;    /* mono ms: the polite signal's time is over */
    uint64_t kill_since; /* mono ms of the first SIGKILL; 0 = not yet */
    bool asked;          /* an answer is under way */
    bool stuck;
    TAILQ_ENTRY(leftover) entry;
};
TAILQ_HEAD(leftover_list, leftover);

/* A process with what only the supervisor needs to know of it. `p` is the first member: see proc_of. */
struct proc {
    struct process p;
    struct supervisor *s;

    bool next_fresh;      /* the next spawn is a user's */
    uint32_t delay;       /* ms: of the verdict that led to WAITING */
    uint64_t due;         /* mono ms: restart due in WAITING, whatever holds it */
    uint64_t hold_run;    /* WAITING: the respawn waits a moment for this run's leftovers; 0 = it does not */
    uint64_t online_mono; /* mono ms */
    unsigned looks;       /* looks at the tree since the polling began */
    uint64_t kill_since;  /* mono ms of the first SIGKILL of the current run; 0 = not yet */
    bool stuck;           /* still alive KILL_STUCK_MS after it */
    unsigned alive;       /* as the last look said */

    unsigned unanswered; /* spawns in a row that died with their keeper */
    char *spawn_error;   /* words of a spawn that could not be asked for */
    struct leftover_list leftovers;
    unsigned n_leftovers;

    /* What the waiters for "up" are told once the table has moved. */
    enum { UP_PENDING, UP_OK, UP_FAILED } up;
    char up_error[256];
    uint64_t up_run;

    struct proc *candidate; /* of a slot: what is to replace it; NULL once that has failed */
    struct app *own_app; /* of a candidate: p.app, with the configuration that it brings; NULL = the app's */
    uint64_t successor;  /* of one that was replaced: the run that has the slot */
    bool drain;          /* the stop begins with sys.drain */

    bool gone; /* deleted: in the graveyard */
    SLIST_ENTRY(proc) grave;
};
static_assert(offsetof(struct proc, p) == 0, "proc_of casts");
SLIST_HEAD(proc_list, proc);

struct supervisor {
    struct sys sys;
    struct app_list_head apps;
    struct process_list processes;
    struct process_list shadows;
    unsigned count;
    uint64_t next_id;
    struct idmap by_id, by_run, by_leftover;
    struct waiter_list done;    /* answered; callbacks run when the outermost call ends */
    struct proc_list graveyard; /* freed when the outermost call ends */
    unsigned depth;
    bool flushing;
};

static inline struct proc *proc_of(struct process *p)
{
    return (struct proc *)p;
}

/* Every public function that can move a process is between these two. leave() runs the callbacks of answered
 * waiters and frees deleted processes: callbacks may give commands, so nothing may be touched after it. */
void sup_enter(struct supervisor *s);
void sup_leave(struct supervisor *s);

/* Feeds an event, and those that follow from its action, to the table. */
void sup_post(struct proc *pr, enum lc_event ev);
/* At rest and wanted up: starts it with `ev`, or holds it back. */
void sup_start_or_hold(struct proc *pr, enum lc_event ev);
/* Something other than the state is to be stored. */
void sup_changed(struct proc *pr);
void sup_forget_run(struct proc *pr);
struct proc *sup_proc_new(struct supervisor *s, struct app *app, uint32_t instance, uint32_t id);
void sup_set_by(struct proc *pr, const char *by);

static inline uint64_t sup_mono(const struct supervisor *s)
{
    return s->sys.mono_ms(s->sys.ctx);
}

static inline uint64_t sup_wall(const struct supervisor *s)
{
    return s->sys.wall_ms(s->sys.ctx);
}

void sup_timer(struct proc *pr, enum sys_timer which, uint64_t in_ms);
void sup_timer_clear(struct proc *pr, enum sys_timer which);

/* supervisor_waiters.c */
void sup_wait(struct proc *pr, enum want want, waiter_cb cb, void *arg);
/* Answers all waiters that want `want`. error NULL: ok. */
void sup_answer(struct proc *pr, enum want want, const char *error, uint64_t failed_run);
void sup_answer_all(struct proc *pr, const char *error, uint64_t failed_run);
bool sup_has_waiter(const struct proc *pr, enum want want);
void sup_flush(struct supervisor *s);
/* At rest and nothing of any run is left: who waits for "down" is told, and a process to be deleted goes. */
void sup_settle(struct proc *pr);

/* supervisor_commands.c */
void sup_overtake(struct proc *pr, enum want want, const char *command, const char *by);
void sup_restart(struct proc *pr, const char *by, waiter_cb cb, void *arg);

/* supervisor_reload.c */
struct proc *sup_slot_of(const struct proc *shadow); /* NULL when there is none */
bool sup_has_shadows(const struct proc *slot);
/* A command for the slot overtakes its reload: the candidate goes; `hurry`: who is draining gets the signal.
 */
void sup_end_reload(struct proc *slot, const char *command, enum lc_reason why, const char *by, bool hurry);
void sup_candidate_started(struct proc *pr);
void sup_candidate_check(struct proc *pr); /* takes the place when it is fit to */
void sup_candidate_due(struct proc *pr);   /* its time is over */
/* A candidate has failed: the slot is on its own again. */
void sup_candidate_detach(struct proc *pr);
void sup_resume_candidate(struct proc *pr);
void sup_replace(struct proc *old, uint64_t successor, const char *by); /* old is a shadow: it is drained */
void sup_polite_now(struct proc *pr);                                   /* after sys.drain: the signal */
void sup_shadow_settle(struct proc *pr);
/* Something of it cannot be killed: who waits is told. */
void sup_tell_stuck(struct proc *pr, const char *words, uint64_t run);

/* supervisor_ready.c: what makes a process ready, when it says so or a health check proves it */
bool sup_waits_ready(const struct proc *pr);     /* is there something to wait for after the exec? */
bool sup_lacks_ready(const struct proc *pr);     /* not all of it has come */
uint64_t sup_ready_limit(const struct proc *pr); /* ms from the exec on */
/* "not ready within 3 s", "not healthy within 30 s: HTTP 503" */
void sup_late_words(struct proc *pr, char *out, size_t size);

/* supervisor_end.c: how runs end */
/* The current run is over without ever having been a program. Returns the event that follows. */
enum lc_event sup_run_failed(struct proc *pr, enum lc_reason reason, int step, int error);
/* Fills p->last, hands it to sys->run_ended. */
void sup_record_end(struct proc *pr, const struct run_end *end, enum lc_reason reason, int step, int error);
/* The child ended by itself (p->last is filled): judges, sees to its leftovers. Returns what follows. */
enum lc_event sup_ended_by_itself(struct proc *pr);
/* STOPPING: is the whole run gone, with all leftovers? Then what follows, else NO_EVENT. */
enum lc_event sup_stop_progress(struct proc *pr);
/* STOPPING: looks at what is left of the current run and the leftovers; next look after 5, 10, 20... ms. */
void sup_look(struct proc *pr);
void sup_look_later(struct proc *pr);
void sup_kill(struct proc *pr);

/* supervisor_leftover.c */
struct leftover *sup_leftover_add(struct proc *pr, uint64_t run);
void sup_leftovers_drop(struct proc *pr);
void sup_leftover_timer(struct proc *pr); /* SYS_TIMER_LEFTOVER fired */
void sup_leftover_swept(struct leftover *lo, unsigned alive);
void sup_leftovers_look(struct proc *pr);

/* supervisor_words.c */
void sup_duration_words(uint64_t ms, char *out, size_t size);
/* As last_exit_words, with the program or folder that a failed start could not use, and the time it lived. */
void sup_end_words(const struct proc *pr, char *out, size_t size);

#endif
