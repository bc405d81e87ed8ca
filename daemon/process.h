/* Apps and processes as the engine holds them in memory. Only the supervisor changes state, desired and
 * reason. */
#ifndef PM_DAEMON_PROCESS_H
#define PM_DAEMON_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "config/spec.h"
#include "daemon/lifecycle.h"
#include "daemon/schedule.h"

enum desired { DESIRED_UP, DESIRED_DOWN };

/*
 * What a process object is to its slot, the entry of the list that users see. During a reload there are two
 * or more of one id: the holder of the slot, the candidate that is to replace it, and those that were
 * replaced and still have connections to finish. The numbers are in the keeper's notes.
 */
enum process_role { ROLE_SLOT, ROLE_CANDIDATE, ROLE_DRAINING };

struct process;
TAILQ_HEAD(process_list, process);

struct app {
    uint64_t id; /* key in state.db; never reused */
    struct app_spec *spec;
    struct process_list processes; /* by instance */
    void *cache;                   /* the engine's own: app_cache.h */
    void *times;                   /* likewise: schedules.c; NULL = it has none */
    void *watch;                   /* the same: watch.h; NULL = its files are not watched */
    TAILQ_ENTRY(app) entry;
};
TAILQ_HEAD(app_list_head, app);

/* How the last run ended; `valid` is false before the first end. */
struct last_exit {
    bool valid;
    uint64_t run;
    uint64_t started_ms, ended_ms;
    enum lc_reason reason;
    int exit_code; /* -1 when there is none */
    int signal;    /* 0 when there is none */
    bool core;
    int step, error; /* enum kw_step and errno of a failed exec */
};

struct waiter;
TAILQ_HEAD(waiter_list, waiter);

struct process {
    uint32_t id; /* PM2's pm_id */
    struct app *app;
    uint32_t instance; /* NODE_APP_INSTANCE */
    enum process_role role;

    enum lc_state state;
    enum desired desired;
    enum lc_reason reason; /* why it is in this state, or what the pending stop is for */
    bool fresh;            /* the current run is the first since a user's start or restart */
    bool delete_when_down;
    bool held;   /* wanted up and not started yet: it waits for what it depends on (sys.hold) */
    bool acting; /* the daemon itself restarts or reloads it: act.h */
    char *by;    /* who asked for the pending change; heap, may be NULL */

    /* Of the latest command of a client, which may wait for its turn (work.c): its number and what it wants.
     */
    uint32_t order;
    bool order_up;

    struct lc_counters counters;
    struct schedule_clock times; /* of its app's cron_restart or schedule; the engine's own */
    uint64_t created_ms;         /* wall clock of creation or last manual restart */
    struct last_exit last;

    /* the current run; run == 0 when there is none */
    uint64_t run;
    pid_t pid; /* 0 until the keeper has forked; stays until the run is over */
    uint64_t start_ticks;
    uint64_t started_ms;  /* wall clock of the spawn */
    uint64_t online_ms;   /* wall clock of becoming online; 0 before */
    bool exited;          /* the exit record is here; the rest of the tree may still live */
    bool tree_empty;      /* nothing of the run is left */
    bool sweeping;        /* a look at the tree is under way */
    uint64_t signaled_ms; /* wall clock of the polite signal; 0 = not yet */
    bool said_ready;      /* its readiness was announced */
    bool said_healthy;    /* its first health check has succeeded */
    bool must_listen;     /* a candidate's: what it is to replace did listen */
    bool disconnecting;   /* asked to finish its connections (sys.drain); the polite signal comes later */
    uint64_t deadline_ms; /* wall clock: restart due (WAITING), kill due (STOPPING), ready due (LAUNCHING); 0
                             = none */

    struct waiter_list waiters;     /* commands that wait for this process */
    void *runtime;                  /* the engine's own: descriptors, channel, timers */
    TAILQ_ENTRY(process) entry;     /* in the supervisor's list, by id */
    TAILQ_ENTRY(process) app_entry; /* in app->processes */
};

#endif
