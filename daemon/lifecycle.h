/*
 * The life cycle of one process as a table [STATE][EVENT] -> {next, action}: pure, without I/O, clock or
 * memory. The supervisor turns what happens into events, looks up the row, and carries the action out.
 */
#ifndef PM_DAEMON_LIFECYCLE_H
#define PM_DAEMON_LIFECYCLE_H

#include <stdbool.h>
#include <stdint.h>

enum lc_state { LC_STOPPED, LC_LAUNCHING, LC_ONLINE, LC_STOPPING, LC_WAITING, LC_ERRORED, LC_STATE_COUNT };

enum lc_event {
    LC_EV_START,         /* wanted up (start) */
    LC_EV_STOP,          /* wanted down (stop, delete, kill of the daemon) */
    LC_EV_RESTART,       /* wanted up, by a new run */
    LC_EV_CHILD,         /* the keeper has forked: the pid is known */
    LC_EV_READY,         /* exec succeeded and, where readiness is asked for, it was announced */
    LC_EV_READY_TIMEOUT, /* listen_timeout passed without readiness */
    LC_EV_KILL_DUE,      /* kill_timeout passed since the polite signal */
    LC_EV_END_AGAIN,     /* the run is over and another follows at once */
    LC_EV_END_DELAY,     /* the run is over and another follows after a delay */
    LC_EV_END_FINAL,     /* the run is over and none follows (stopped by request, autorestart off,
                            stop_exit_codes) */
    LC_EV_END_ERRORED,   /* the run is over and the restart budget is spent, or the exec failed at the user's
                            start */
    LC_EV_RESTART_DUE,   /* the delay of a waiting process is over */
    LC_EVENT_COUNT
};

enum lc_action {
    LC_ACT_IGNORE = 1, /* defined to do nothing; a blank cell is 0 and rejected by a test */
    LC_ACT_SPAWN,
    LC_ACT_TERMINATE, /* polite signal to the tree and the kill timer */
    LC_ACT_KILL,      /* SIGKILL until the tree is empty */
    LC_ACT_ONLINE,    /* note the moment, tell who waits */
    LC_ACT_DELAY,     /* arm the restart timer */
    LC_ACT_SETTLE,    /* at rest: tell who waits; a deleted process goes */
    LC_ACT_COUNT
};

struct lc_cell {
    uint8_t next;   /* enum lc_state */
    uint8_t action; /* enum lc_action */
};

extern const struct lc_cell lc_table[LC_STATE_COUNT][LC_EVENT_COUNT];

/* PM2's words: "stopped", "launching", "online", "stopping", "waiting restart", "errored". */
const char *lc_state_word(enum lc_state s);
const char *lc_event_word(enum lc_event e);

/* Why a run ended, or why a process is where it is. Stored by word. */
enum lc_reason {
    LC_R_NONE,
    LC_R_EXIT,          /* the child ended with an exit code */
    LC_R_SIGNAL,        /* the child was ended by a signal that we did not send */
    LC_R_EXEC_FAILED,   /* exec or a step before it failed */
    LC_R_SPAWN_REFUSED, /* no fork was possible */
    LC_R_STOPPED,       /* a user's stop */
    LC_R_RESTARTED,     /* a user's restart */
    LC_R_DELETED,
    LC_R_SHUTDOWN, /* the daemon was told to end */
    LC_R_READY_TIMEOUT,
    LC_R_LOST,   /* ended while no daemon watched; status unknown */
    LC_R_BUDGET, /* max_restarts unstable runs in a row */
    /* The numbers are in the keeper's notes: new ones come last. */
    LC_R_RELOADED,      /* another run took its place */
    LC_R_RELOAD_FAILED, /* it was to take another's place and was not fit to in time */
    LC_REASON_COUNT
};
const char *
lc_reason_word(enum lc_reason r); /* "exit", "signal", "exec-failed"...: stable, for JSON and state.db */
enum lc_reason lc_reason_of_word(const char *word); /* LC_R_NONE when unknown */

/* What the restart rules need of an app's configuration; times in ms. */
struct lc_policy {
    bool autorestart;
    uint32_t min_uptime;
    uint32_t max_restarts;
    uint32_t restart_delay;
    uint32_t exp_backoff; /* first delay of the exponential backoff; 0 = off */
    const int *stop_exit_codes;
    unsigned n_stop_exit_codes;
};

/* Counters of one process; they survive the engine. */
struct lc_counters {
    uint32_t restarts;      /* PM2's restart_time */
    uint32_t unstable;      /* unstable runs in a row (PM2's unstable_restarts) */
    uint32_t backoff_delay; /* ms; 0 = none yet */
};

/* How a run ended, as far as the rules need it. */
struct lc_end {
    enum lc_reason reason;
    int exit_code;      /* valid for LC_R_EXIT */
    uint64_t uptime_ms; /* from spawn to the exit record */
    bool fresh;         /* the first run after a user's start or restart */
};

struct lc_verdict {
    enum lc_event event; /* LC_EV_END_* */
    uint32_t delay_ms;   /* for LC_EV_END_DELAY */
};

#define LC_BACKOFF_CAP_MS      15000u
#define LC_BACKOFF_RESET_MS    30000u
#define LC_FAILED_EXEC_WAIT_MS 1000u

/*
 * Judges a run that ended by itself (not by a user's request) and moves the counters: unstable runs, backoff,
 * and `restarts` when another run follows. Source: PM2's restart policy, whose budget only works in the first
 * seconds of an app's life (a defect that is not copied).
 */
struct lc_verdict lc_judge(const struct lc_policy *p, struct lc_counters *c, const struct lc_end *end);

#endif
