/*
 * The engine: everything that decides. This header is for the engine's own files; the other parts do not see
 * it.
 *
 * It can be killed between any two instructions. What it must not forget is therefore outside of it:
 * descriptors, exit records and each run's note with the keeper, the desired state in state.db, the logs'
 * bytes in the spools.
 */
#ifndef PM_DAEMON_ENGINE_H
#define PM_DAEMON_ENGINE_H

#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#include "common/home.h"
#include "common/kwire.h"
#include "daemon/events.h"
#include "daemon/holds.h"
#include "daemon/keeperlink.h"
#include "daemon/logs.h"
#include "daemon/metrics.h"
#include "daemon/preload.h"
#include "daemon/server.h"
#include "daemon/store.h"
#include "daemon/supervisor.h"
#include "daemon/tree.h"
#include "daemon/trigger.h"

/* Runs the engine until its shutdown is done. The exit status of the program. `keeper_fd` is taken. */
int engine_main(const char *home, int keeper_fd);

struct app_talk;
struct health_watch;
struct watchdog;
struct cluster;
struct hooks;
struct limit_state;
struct limits;
struct restore;
struct schedules;
struct shutdown;
struct sockets;
struct spawn_wait;
struct update;
struct users;
struct watches;
struct worker;

struct engine {
    uv_loop_t loop;
    struct home home;
    char *pmd_path; /* this program, to start a new keeper with */
    uint64_t started_ms;

    struct keeper_link *link; /* NULL while there is no keeper */
    int keeper_pid;
    uint64_t keeper_version; /* of its protocol, KW_VERSION */
    char *keeper_trouble;    /* what went wrong with the last update, in its words; NULL: nothing */
    unsigned keeper_tries;   /* keepers in a row that did not say their first word */
    uint64_t foreign_below;  /* runs before this one had another keeper: their orphans are under init */
    struct keeper_attach *attach;
    struct holds holds; /* the descriptors of each run, as the keeper holds them */

    struct store *store;
    struct logs *logs;
    struct server *server;
    struct supervisor *sup;
    struct users *users;     /* NULL once the engine ends */
    struct sockets *sockets; /* of `listen` and of cluster workers */
    struct preload graceful_http, node_probe;
    struct metrics *metrics; /* what all processes use; NULL once the engine ends */
    struct cluster *cluster; /* Node's clusters, and the channels of all runs */
    struct watches *watches; /* of files; NULL before the state is together, and at the end */
    struct limits *limits;
    struct schedules *schedules; /* NULL once the engine ends */
    struct sys sys;

    char home_id[33];
    struct restore *restore;   /* until the state is put together; then NULL */
    struct shutdown *shutdown; /* from the moment the engine was told to end */
    uint64_t ends;             /* of runs, counted in the order in which their rows are queued */
    bool acks_pending; /* exit records whose rows are queued or refused: acknowledged with the next beat that
                          finds them stored */
    bool keeper_retry; /* no new keeper could be started yet */
    bool keeper_welcomed; /* the keeper on the link has said its first word */
    bool end_asked;       /* while e->restore: done as soon as the state is together */
    char *saved[2];       /* the list of the last pm save and the one before; NULL = none */
    json_t *settings;     /* of pm set: strings */
    bool forgotten;       /* pm kill emptied the list, and nothing was started since */
    bool updating; /* the daemon becomes the installed program: nothing is changed until that is done */
    struct update *update; /* while it is asked for */
    uint64_t engines;      /* starts of the engine under this keeper, with this one; 0 = not known yet */
    struct event_listeners listeners;
    struct hooks *hooks;          /* NULL once the engine ends */
    struct trigger_list triggers; /* actions of apps whose replies are waited for */

    uv_timer_t order; /* engine_order.h: looks again at processes that wait for others */
    bool order_held;  /* there may be such */
    bool order_soon;  /* one of them waits only for another to be online for a moment */

    uv_timer_t beat;
    uv_signal_t sig_term, sig_int, sig_usr2;
};

/* A process's own handles and channels; process->runtime. */
struct runtime {
    struct engine *engine;
    struct process *process;
    uv_timer_t timers[SYS_TIMER_COUNT];
    int open_timers;             /* freed when the last is closed */
    struct worker *worker;       /* Node IPC of the current run; NULL when there is none */
    struct channel *channel;     /* the worker's, to send on */
    struct app_talk *talk;       /* what the current run announced on it; NULL = nothing */
    size_t talk_end;             /* bytes of its journal, KW_FD_TALK */
    struct notify *notify;       /* sd_notify socket of the current run */
    struct health_watch *health; /* of the current run; NULL = it is not checked */
    struct watchdog *watchdog;   /* the same */
    struct spawn_wait *spawning; /* the current run's child is not asked for yet; NULL = it is */
    bool resumed;                /* put back after the engine's start */
    bool shutting_down;          /* asked to stop because the daemon ends */
    char *detail;                /* words about the current run's end, for its record */
    char *version;               /* of the nearest package.json; NULL = none */
    struct buf record; /* constant part of its list record, of that configuration (app_cache_version) */
    uint64_t record_version;
    uint64_t sampled_run; /* whose the sample is: see metrics_of */
    struct metrics_sample sample;
    bool want_pss;
    struct limit_state *limits; /* NULL: its app has none */
};
static inline struct runtime *runtime_of(const struct process *p)
{
    return p->runtime;
}

/* engine_sys.c: the supervisor's outside world */
void engine_sys_init(struct engine *e);
void runtime_new(struct engine *e, struct process *p);
void runtimes_end(struct engine *e); /* of all processes; their memory lasts until the loop's next turn */
void engine_save_process(struct engine *e, const struct process *p);
void engine_limit_logs(struct engine *e, const struct app *a);
void engine_save_app(struct engine *e, struct app *a); /* also after every change of its configuration */
/* Another configuration for the app, from the next run of each process on. Queued for state.db. */
void engine_set_spec(struct engine *e, struct app *a, struct app_spec *take_spec);
void engine_store_old_end(struct engine *e, const struct process *p,
                          const struct kw_msg *m); /* of an earlier run */
struct process *engine_add_process(struct engine *e, struct app *a, uint32_t instance, int64_t id);
struct tree_ctx engine_tree_ctx(const struct engine *e);

/* engine_events.c: which events the news of the supervisor are */
void engine_tell_started(struct engine *e, const struct process *p);
void engine_tell_ended(struct engine *e, const struct process *p, uint64_t run);
void engine_tell_changed(struct engine *e, const struct process *p, enum lc_state old);
void engine_tell_reloaded(struct engine *e, const struct process *p); /* p: the new run */
void engine_tell_deleted(struct engine *e, const struct process *p);

/* engine_spawn.c */
int engine_spawn(void *engine, struct process *p, struct err *err); /* sys.spawn */
void engine_spawn_cancel(
    struct process *p); /* a child not asked for yet need not come: news of that follows */
void engine_spawn_forget(struct runtime *r); /* without news */

/* engine_keeper.c: news from the keeper, and its replacement */
int engine_link(struct engine *e, int fd);
/* 0 also when there is no keeper: the next one gets all that is held, and spawns are refused then. Negative
 * when the message is lost although there is one. */
int engine_send(struct engine *e, const struct kw_msg *m);
void engine_ack(struct engine *e, uint64_t run);
void engine_run_ended(struct engine *e, struct hold *hold, const struct run_end *end);
void engine_note(struct engine *e, const struct process *p); /* the keeper's note of the current run */
void engine_stream_done(struct engine *e, uint64_t run, enum log_stream_kind kind);
void engine_spool_made(struct engine *e, uint64_t run, enum log_stream_kind kind, int fd);
void engine_reopen_logs(struct engine *e);
void engine_keeper_message(struct engine *e, struct kw_msg *m);
void engine_keeper_tick(struct engine *e); /* once a second: what could not be done before */
void engine_keeper_lost(void *arg);
void engine_keeper_welcome(struct engine *e, const struct kw_msg *m);
void engine_keeper_asked(void *arg, int fd);

/* engine_unanswered.c: spawns that a dead keeper had not answered */
int engine_birth_pipe(struct hold *hold);    /* the write end for the request, the caller's; or -errno */
void engine_settle_spawns(struct engine *e); /* each once nobody can be before its exec */
void engine_unanswered_drop(struct hold *hold);

/* engine_runs.c: what a run's descriptors are connected to */
void engine_connect_run(struct engine *e,
                        struct process *p); /* channel and notify socket of the current run */
void engine_attach_logs(struct engine *e, uint64_t run, const json_t *blob);
void engine_attach_process_logs(struct engine *e, struct process *p);
/* The new process of a reload that has ended already, though its end is still to be handled: what it said of
 * its readiness is not to cost the old one its place. */
bool engine_candidate_died(struct engine *e, uint64_t run);
void engine_watch_foreign(struct engine *e, uint64_t run);
void engine_unwatch(struct engine *e, struct hold *h);
char *engine_blob(const struct process *p,
                  size_t *len); /* the text that goes with a spawn; the caller frees */
json_t *engine_read_blob(int spec_fd);

/* engine_restore.c */
void restore_begin(struct engine *e);
void restore_message(struct engine *e,
                     struct kw_msg *m); /* from the keeper, while e->restore; takes its descriptors */
void restore_image_failed(struct engine *e);
void restore_image(struct engine *e, const struct store_image *image);

void restore_fill(struct process *p, const struct store_process *row);

/*
 * engine_strays.c: ends what an earlier daemon started and nobody knows of, before any life cycle goes on.
 * `held`: the runs that the keeper knows, ascending. `last_run`: the highest of state.db. `damaged`: state.db
 * is an old one, or none, and tells little about what should not run. `done` comes from the loop.
 */
void engine_end_strays(struct engine *e, const uint64_t *held, size_t n_held, uint64_t last_run, bool damaged,
                       void (*done)(struct engine *e));

/* engine.c: the state is together, clients may come */
void engine_ready(struct engine *e);

/* engine_adopt.c: a child that outlived both daemons. False when it is not there any more. */
struct run_pipes {
    uint64_t in, out, err; /* inodes; 0 = unknown */
};
bool engine_adopt(struct engine *e, struct process *p, const struct run_pipes *pipes);

/* engine_shutdown.c. `forget`: the list goes too (pm kill). `done` is called when all is stopped, before the
 * end. */
void engine_shutdown(struct engine *e, bool forget, const char *by, void (*done)(void *arg, unsigned stopped),
                     void *arg);

void engine_shutdown_free(struct engine *e);
void engine_end(struct engine *e); /* engine.c: close everything; engine_main returns after it */

/* methods_*.c: METHOD_COUNT handlers; arg is the engine */
extern const rpc_handler engine_handlers[METHOD_COUNT];

#endif
