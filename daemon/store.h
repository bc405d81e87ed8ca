/*
 * state.db: what is stored on disk about apps, processes, runs and events. All SQLite work happens on the
 * store's own thread; calls here queue a copy and return at once. Callbacks run on the loop.
 */
#ifndef PM_DAEMON_STORE_H
#define PM_DAEMON_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct err;
struct store;

struct store_app {
    uint64_t id;
    const char *json; /* app_spec_to_json as text */
};

struct store_process {
    uint32_t id;
    uint64_t app;
    uint32_t instance;
    const char *state;   /* lc_state_word */
    const char *desired; /* "up" or "down" */
    const char *reason;  /* lc_reason_word */
    bool fresh;
    uint64_t run; /* current or last; 0 = never */
    int32_t pid;  /* of the current run; 0 when there is none */
    uint64_t start_ticks;
    uint64_t pipe_out, pipe_err,
        pipe_in; /* inodes of the pipes, to find them again under /proc after a double fault */
    uint64_t created_ms, started_ms, online_ms, signaled_ms, deadline_ms;
    uint32_t restarts, unstable, backoff_delay;
    /* the last end; last_run 0 = none */
    uint64_t last_run, last_started_ms, last_ended_ms;
    const char *last_reason;
    int32_t last_exit_code, last_signal, last_core, last_step, last_error;
    uint64_t scheduled_s; /* times of the app's schedule up to this one are dealt with (seconds); 0 = none */
};

struct store_run {
    uint64_t run;
    uint32_t process;
    uint64_t app;
    const char *app_name;
    uint32_t instance;
    int32_t pid;
    uint64_t started_ms, ended_ms; /* ended_ms 0 = not yet */
    int32_t exit_code;             /* -1 = none */
    int32_t signal;                /* 0 = none */
    bool core;
    const char *reason; /* lc_reason_word */
    const char *detail; /* words such as "cannot exec /x: No such file or directory"; may be NULL */
    const char *by;     /* who asked; may be NULL */
    uint64_t maxrss_bytes, utime_us, stime_us;
};

/* Something that happened: see events.h. */
struct store_event {
    uint64_t time_ms;
    const char *kind;
    uint32_t process; /* STORE_NO_PROCESS: of the daemon itself */
    uint64_t run;     /* 0 = none */
    const char *json; /* all of it, as clients get it */
};
#define STORE_NO_PROCESS UINT32_MAX

/* A short text under a name: a saved list, a setting. */
struct store_text {
    const char *key;
    const char *value;
};

/* How the last daemon ended. */
enum store_end {
    STORE_NOT_ENDED,  /* it runs, or was killed */
    STORE_TERMINATED, /* by a signal, all apps stopped in order */
    STORE_FORGOTTEN   /* pm kill: nothing comes back by itself */
};

/* What was found at open. Valid during the callback only. */
struct store_image {
    struct store_app *apps;
    size_t n_apps;
    struct store_process *processes;
    size_t n_processes;
    struct store_text *saved; /* the lists that were saved: keys "last" and "before" */
    size_t n_saved;
    struct store_text *settings;
    size_t n_settings;
    char home_id[33];  /* random hex, made when the database was; part of every run's id variable */
    char boot_id[37];  /* of the boot in which the state was last written */
    uint64_t next_run; /* run ids from here on were never used */
    uint64_t next_app;
    uint64_t last_run;    /* the highest that a row ever told of, also one that was deleted since */
    bool fresh;           /* there was no database before */
    enum store_end ended; /* how the last daemon ended */
    const char *trouble;  /* a word for the user when the database was damaged and replaced; else NULL */
    bool from_backup;     /* the image comes from the copy state.db.bak */
};

typedef void (*store_opened_cb)(void *arg, int rc, const struct store_image *image, const char *msg);
typedef void (*store_done_cb)(void *arg, int rc, const char *msg); /* rc 0, or negative with words */
typedef void (*store_runs_cb)(void *arg, int rc, const struct store_run *runs, size_t n);
typedef void (*store_events_cb)(void *arg, int rc, const struct store_event *events, size_t n);
/* The database had to be replaced while running: put all apps and processes again. */
typedef void (*store_resync_cb)(void *arg, const char *msg);

/* Starts the thread and opens `path`; corrupt files are renamed aside. The callback always comes, once. */
struct store *store_open(uv_loop_t *loop, const char *path, store_opened_cb opened, store_resync_cb resync,
                         void *arg);

/* Commits what is queued, closes, joins the thread; the callback then says that no handle is left on the
 * loop. */
void store_close(struct store *s, void (*closed)(void *arg), void *arg);

void store_put_app(struct store *s, const struct store_app *app);
void store_del_app(struct store *s, uint64_t id);
void store_put_process(struct store *s, const struct store_process *p);
void store_del_process(struct store *s, uint32_t id);
void store_put_run(struct store *s,
                   const struct store_run *run); /* inserts or replaces; keeps the last 100 a process */
void store_put_event(struct store *s, const struct store_event *ev); /* the last 10,000 are kept */
void store_set_ended(struct store *s, enum store_end how);
void store_put_saved(struct store *s, const char *key, const char *value);   /* NULL removes it */
void store_put_setting(struct store *s, const char *key, const char *value); /* NULL removes it */

/*
 * Run ids: handed out from a block that is reserved in the database ahead of use, so that one is never used
 * twice, also when the engine dies before a commit.
 */
uint64_t store_next_run(struct store *s);
uint64_t store_next_app(struct store *s);
void store_run_seen(struct store *s, uint64_t run); /* ids up to this one are taken (keeper's snapshot) */

/* Calls back once everything queued so far is committed, or at once with the failure when it cannot be now
 * (it is kept and tried again every second). */
void store_commit(struct store *s, store_done_cb done, void *arg);

/* The newest `limit` runs of a process, newest first. */
void store_get_runs(struct store *s, uint32_t process, unsigned limit, store_runs_cb cb, void *arg);

/* The newest `limit` events from `since_ms` on, newest first; with them all that were put before the call. */
void store_get_events(struct store *s, uint64_t since_ms, unsigned limit, store_events_cb cb, void *arg);

#endif
