/*
 * What the supervisor asks of the outside world. The engine fills this with the keeper, libuv and the store;
 * tests fill it with a fake clock and scripted children. No call blocks and none calls back into the
 * supervisor before it returns.
 */
#ifndef PM_DAEMON_SYS_H
#define PM_DAEMON_SYS_H

#include <stdint.h>

#include "daemon/process.h"

enum sys_timer {
    SYS_TIMER_STATE,    /* the one deadline of the current state */
    SYS_TIMER_SWEEP,    /* look at the tree again */
    SYS_TIMER_SETTLE,   /* online for 100 ms: a start has succeeded */
    SYS_TIMER_LEFTOVER, /* kill what is left of earlier runs */
    SYS_TIMER_COUNT
};

struct run_end {
    uint64_t run;
    int wait_status;
    bool status_known; /* false: the child ended while nobody could see how */
    uint64_t end_us;
    uint64_t utime_us, stime_us, maxrss_bytes;
};

/* Why a process is not started yet. */
struct sys_hold {
    char waits[200];  /* "waits for db (started)" */
    char failed[256]; /* "its dependency db failed: exited with code 1 ..."; empty: none has */
};

struct sys {
    void *ctx;
    uint64_t (*mono_ms)(void *ctx);
    uint64_t (*wall_ms)(void *ctx);
    uint32_t (*random)(void *ctx, uint32_t below); /* jitter */

    void (*timer_set)(void *ctx, struct process *p, enum sys_timer which, uint64_t in_ms); /* replaces */
    void (*timer_clear)(void *ctx, struct process *p, enum sys_timer which);

    uint64_t (*next_run)(void *ctx); /* a run id that was never used */

    /* Asks for a child for p->run. The answer comes as supervisor_on_child/_exec/_refused/_not_spawned. A
     * negative return (environment too large) is an exec failure; `e` says which. */
    int (*spawn)(void *ctx, struct process *p, struct err *e);

    /* Is a process that is at rest not to be started yet? supervisor_try_held asks again. NULL: none is. */
    bool (*hold)(void *ctx, const struct process *p, struct sys_hold *why);

    /* Does the run listen, as far as the daemon can know: the worker of a Node cluster that has a socket.
     * NULL: nothing does. */
    bool (*listens)(void *ctx, struct process *p);
    /* Does the candidate listen on all that `old` listens on? News of it: supervisor_on_listening. */
    bool (*listens_as)(void *ctx, struct process *candidate, struct process *old);
    /* Why it is not ready yet, as the last health check found it. False, or NULL: nothing is known. */
    bool (*unready_words)(void *ctx, struct process *p, char *out, size_t size);
    /* Asks the run to finish its connections, take no new ones, and end (a cluster worker's disconnect).
     * False, or NULL: there is no such word for it, and the polite signal follows at once; else that follows
     * with supervisor_on_drained, at the latest after kill_timeout. */
    bool (*drain)(void *ctx, struct process *p);

    void (*terminate)(void *ctx, struct process *p); /* polite: stop_signal to the tree, or the IPC message */
    void (*kill)(void *ctx,
                 struct process *p); /* SIGKILL until empty; the answer comes as supervisor_on_swept */
    void (*sweep)(void *ctx, struct process *p, uint64_t run,
                  bool polite); /* what is left of a run? `polite`: and signal
                it. The answer comes as supervisor_on_swept(run, alive). */

    /* The run's child was reaped: is it known at once, without a look that takes time, that nothing else of
     * the run lives? When not, `sweep` is asked. */
    bool (*left_nothing)(void *ctx, struct process *p, uint64_t run);

    /* As kill, for a run that is over: its child is dead, p->run is another or 0. `sweep` may name such a run
     * too (its first, polite one comes while p->run still is that run). */
    void (*kill_run)(void *ctx, struct process *p, uint64_t run);

    void (*run_started)(void *ctx, struct process *p); /* the child is there: p->pid is known */
    /* p->last is filled; store and ack. Once a run; without run_started before it when there never was a
     * child. p->by is who asked for the end, NULL when the run ended by itself. */
    void (*run_ended)(void *ctx, struct process *p, const struct run_end *end);
    /* State, desired, counters or times: store. Called after the action of the new state, so that deadlines
     * are set. `old` is p->state when only other fields changed. */
    void (*changed)(void *ctx, struct process *p, enum lc_state old);
    /* Forget it; the supervisor frees it after this. p is out of all lists already: when p->app->processes is
     * empty, the app is freed as well. */
    void (*deleted)(void *ctx, struct process *p);

    /* Reload. A candidate, or one that an engine left (ROLE_DRAINING), has come to be; and it is over: the
     * supervisor frees it after this. */
    void (*shadow_made)(void *ctx, struct process *p);
    void (*shadow_gone)(void *ctx, struct process *p);
    /* p has the place of `old` in all lists and is online. */
    void (*replaced)(void *ctx, struct process *p, struct process *old);
    /* The app's configuration from now on; the old one is freed. And: an app object that only a candidate had
     * is freed after this. */
    void (*set_spec)(void *ctx, struct app *app, struct app_spec *take_spec);
    void (*app_gone)(void *ctx, struct app *app);
};

#endif
