/*
 * The supervisor: apps, processes, and what happens to them. It turns keeper's news, timers and commands into
 * life-cycle events, and is the only place that assigns a process's state. Everything outside is reached
 * through struct sys.
 */
#ifndef PM_DAEMON_SUPERVISOR_H
#define PM_DAEMON_SUPERVISOR_H

#include "daemon/process.h"
#include "daemon/sys.h"

struct supervisor;

/* One command's wait for one process. `done` is called once: when the process is at rest as wanted, failed,
 * or another command overtook it. */
struct waiter_result {
    bool ok;
    char error[256];     /* one line when not ok */
    bool left;           /* not ok, because it was not tried: work.h */
    uint64_t failed_run; /* the run whose last stderr lines tell more; 0 = none */
    uint32_t id;         /* of the process, which may be deleted by now */
    uint32_t instance;
    char name[128];
    int pid;
    const char *status; /* lc_state_word; "deleted" after a delete */
};
typedef void (*waiter_cb)(void *arg, const struct waiter_result *r);

struct supervisor *supervisor_new(const struct sys *sys);
void supervisor_free(struct supervisor *s); /* frees all apps and processes; signals nobody */

/* Takes ownership of the spec. No process yet. The app is freed with its last process. */
struct app *supervisor_add_app(struct supervisor *s, uint64_t id, struct app_spec *take_spec);
/* A new process in state stopped. `id` < 0 takes the next id: ids only grow, and start again at 0 when the
 * list is empty. An `id` that is taken already (a damaged state.db) is replaced by the next one. */
struct process *supervisor_add_process(struct supervisor *s, struct app *app, uint32_t instance, int64_t id);

struct process_list *supervisor_processes(struct supervisor *s); /* ordered by id */
struct app_list_head *supervisor_apps(struct supervisor *s);
struct process *supervisor_by_id(struct supervisor *s, uint32_t id);
struct process *supervisor_by_run(struct supervisor *s, uint64_t run); /* shadows too */
/* Candidates and those that are draining; supervisor_processes has none of them. */
struct process_list *supervisor_shadows(struct supervisor *s);

/*
 * Commands. `by` (who asked; copied) goes into the records; `cb` may be NULL. The callback may come before
 * the call returns, and p may be freed by then when it is to be deleted; callbacks may give further commands.
 *
 * A stop for LC_R_SHUTDOWN leaves p->desired as it is, so that the next daemon brings the process back; every
 * other stop sets it to down. A start of a process that is up waits until it is settled; of one that is
 * stopping: a new run follows. Nothing brings up a process that is being deleted.
 */
void supervisor_start(struct supervisor *s, struct process *p, const char *by, waiter_cb cb, void *arg);
void supervisor_stop(struct supervisor *s, struct process *p, enum lc_reason why, const char *by,
                     waiter_cb cb, void *arg);
void supervisor_restart(struct supervisor *s, struct process *p, const char *by, waiter_cb cb, void *arg);
void supervisor_delete(struct supervisor *s, struct process *p, const char *by, waiter_cb cb, void *arg);
/* As supervisor_restart, but the run is killed at once. */
void supervisor_kill_and_restart(struct supervisor *s, struct process *p, const char *by, waiter_cb cb,
                                 void *arg);

/*
 * A new run takes the place of the one that is up, without a gap: it is started beside it, and when it is
 * ready (wait_ready), listens where the old one does, or, when neither is asked for, has lived for
 * min_uptime, it has the slot and the old one is drained. The callback comes when the old one is gone. When
 * the new one is not fit within listen_timeout, or ends, it is removed and the old one stays. A process that
 * is not online is restarted. start, stop, restart and delete overtake a reload.
 *
 * `take_spec`: the app's configuration once a process runs with it; NULL: no change. `force`: also while one
 * that was replaced earlier is still draining.
 */
void supervisor_reload(struct supervisor *s, struct process *p, struct app_spec *take_spec, bool force,
                       const char *by, waiter_cb cb, void *arg);
/* As supervisor_delete, after it was asked to finish its connections. */
void supervisor_retire(struct supervisor *s, struct process *p, const char *by, waiter_cb cb, void *arg);

/*
 * What sys.hold keeps back is in state stopped with p->held until this is called and sys.hold lets it go. Who
 * waits for it is told once what it depends on has failed; it is held all the same, for that may come up
 * later. A stop ends the wait.
 */
void supervisor_try_held(struct supervisor *s, struct process *p);

/* Sets the counters of restarts to zero and the time of creation to now; nothing else changes. */
void supervisor_reset(struct supervisor *s, struct process *p);

/* News from outside; unknown runs are ignored. */
void supervisor_on_child(struct supervisor *s, uint64_t run, pid_t pid, uint64_t start_ticks,
                         uint64_t start_ms);
void supervisor_on_exec(struct supervisor *s, uint64_t run, int step,
                        int error); /* error 0: the exec succeeded */
void supervisor_on_refused(struct supervisor *s, uint64_t run, int step, int error);
/* A spawn that sys.spawn had accepted could not be asked for after all: as its negative return. For a process
 * that is being stopped meanwhile it only means that there is nothing to stop. */
void supervisor_on_not_spawned(struct supervisor *s, uint64_t run, int rc, const char *words);
/* The keeper died before it answered, and no child of this run lives: there was no run, and it is asked for
 * again. A start that takes one keeper after the other with it counts as refused. */
void supervisor_on_unanswered(struct supervisor *s, uint64_t run);
void supervisor_on_ready(struct supervisor *s, uint64_t run);
void supervisor_on_healthy(struct supervisor *s, uint64_t run);   /* its first health check has succeeded */
void supervisor_on_listening(struct supervisor *s, uint64_t run); /* sys.listens may say otherwise now */
/* A run that sys.drain was asked for has finished its connections. */
void supervisor_on_drained(struct supervisor *s, uint64_t run);
void supervisor_on_exit(struct supervisor *s, const struct run_end *end);
void supervisor_on_swept(struct supervisor *s, uint64_t run, unsigned alive);
void supervisor_on_timer(struct supervisor *s, struct process *p, enum sys_timer which);

/*
 * After an engine's start: puts a process back where it was (fields of p filled from the store and the
 * keeper's record), re-arms its timer by the wall clock, continues a stop that was under way, and respawns
 * what is wanted up and has no child. `child_alive`: the current run's child lives, or its end (an exit
 * record, a failed exec) is known and is posted right after this call; without it a dead child counts as
 * lost. A process whose delete was under way may be freed here.
 */
void supervisor_resume(struct supervisor *s, struct process *p, bool child_alive);
/*
 * A shadow that the last engine left, from the note of its run; `role` is what the note says, or
 * ROLE_DRAINING when a later run has the slot. Made before its slot is resumed, and resumed after it.
 * `take_spec` as in supervisor_reload. NULL when the note cannot be read.
 */
struct process *supervisor_add_shadow(struct supervisor *s, struct process *slot, enum process_role role,
                                      const uint8_t *note, size_t len, struct app_spec *take_spec);

/* One line of why the process is where it is: "exited with code 7 after 40 ms; restarting in 150 ms". */
void supervisor_describe_reason(struct supervisor *s, const struct process *p, char *out, size_t size);
/* "exited with code 7", "killed by SIGSEGV (core dumped)", "cannot exec /x: No such file or directory"... */
void last_exit_words(const struct last_exit *l, char *out, size_t size);

/* The note that goes with a spawn, and back: counters and the like, at most KW_NOTE_MAX bytes. */
size_t process_note_write(const struct process *p, uint8_t *out, size_t size);
int process_note_read(struct process *p, const uint8_t *note, size_t len);
/* ROLE_SLOT also when the note is of a build that had no reload, or does not parse. */
enum process_role process_note_role(const uint8_t *note, size_t len);
/* The app id in a note, to group processes whose state.db is lost; 0 when the note does not parse. */
uint64_t process_note_app(const uint8_t *note, size_t len);

#endif
