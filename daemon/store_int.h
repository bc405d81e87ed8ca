/* The inside of the store, for store*.c and its tests. Three owners: the loop, the thread, and the lock. */
#ifndef PM_DAEMON_STORE_INT_H
#define PM_DAEMON_STORE_INT_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "common/err.h"
#include "daemon/store.h"
#include "daemon/store_db.h"
#include "daemon/store_op.h"

#define RUN_BLOCK 1024
#define APP_BLOCK 64

/* Durations in ms. Tests shorten them before store_open. */
struct store_tuning {
    size_t queue_max;          /* rows that wait while nothing can be written */
    unsigned retry_ms;         /* between two tries while failing */
    unsigned retry_soonest_ms; /* the same, when a commit is waiting for the answer */
    unsigned backup_idle_ms;   /* no change for so long */
    unsigned backup_first_ms;  /* the same, while there is no copy at all */
    unsigned backup_every_ms;  /* at most one copy in this time */
    unsigned look_ms;          /* is the file still there? */
    unsigned close_ms;         /* store_close waits no longer */
};
extern struct store_tuning store_tuning;

enum store_result_kind {
    RESULT_OPENED,
    RESULT_COMMIT,
    RESULT_RUNS,
    RESULT_EVENTS,
    RESULT_RESYNC,
    RESULT_FINISHED
};

/* What the thread tells the loop. */
struct store_result {
    STAILQ_ENTRY(store_result) entry;
    enum store_result_kind kind;
    int rc;
    char msg[1024];
    struct store_op *op;      /* the OP_COMMIT or OP_GET_* that is answered */
    struct store_image image; /* RESULT_OPENED */
    struct store_run *runs;
    size_t n_runs;
    struct store_event *events;
    size_t n_events;
};

STAILQ_HEAD(store_result_list, store_result);

/* Ids are handed out up to `reserved`, which is (or is about to be) in the database. */
struct id_block {
    uint64_t next, reserved;
};

struct store {
    /* the loop's */
    uv_loop_t *loop;
    uv_async_t async;
    uv_timer_t close_timer;
    unsigned open_handles;
    store_opened_cb opened;
    store_resync_cb resync;
    void *arg;
    void (*closed)(void *arg);
    void *closed_arg;
    struct id_block runs, apps;
    bool ids_known;     /* the database told where they begin */
    uint64_t run_floor; /* ids below were seen before that */
    pthread_t thread;

    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct store_queue incoming;
    struct store_result_list results;
    bool urgent; /* somebody waits for what is in `incoming` */
    size_t lost; /* events and runs thrown away from the incoming queue since the thread looked */
    bool closing;
    bool abandoned; /* the loop does not wait any more: tell it nothing */

    /* the thread's */
    char *path, *backup_path;
    struct store_db db;
    struct store_queue pending;
    struct store_identity id;
    uint64_t last_run; /* the highest that a row told of */
    bool use_backup;   /* when there is no database: take the copy, not a new one */
    bool has_copy;     /* there is a state.db.bak */
    bool had_rows;     /* a new database is not enough: the engine has to put all again */
    bool resync_now;   /* tell the engine so, as soon as the present step is done */
    bool incomplete;   /* replaced, and not copied since: the old copy is better for a while */
    int dead;          /* the open failed for good with this errno; nothing is stored */
    int failing;       /* the last try failed with this errno; 0 = all is well */
    bool rows_refused; /* a row of the last transaction did not fit the database */
    struct err why;    /* words for dead or failing */
    uint64_t retry_at, tried_at, look_at;
    uint64_t changed_at, dirty_since, backup_at; /* backup_at: not before */
    bool dirty;                                  /* the copy is older than the database */
};

/* store_thread.c */
void *store_thread_main(void *arg);
void store_tell(struct store *s, struct store_result *r); /* takes the result */
struct store_result *store_result_new(enum store_result_kind kind, int rc, const char *msg);

/* store_recover.c; on the thread */

/* The first open: what was stored, from the database, its copy, or nothing. 0 or negative errno. */
int store_first_image(struct store *s, struct store_image *image, char *trouble, size_t cap, struct err *e);

/* The database again, after it was lost or could not be opened for writing. 0 or negative errno. */
int store_reopen(struct store *s, struct err *e);

/* The database is damaged (-EBADMSG) or its file was taken away (-ESTALE): closes it and renames what is
 * there aside. The next store_reopen makes a new one and asks for a resync. 0 or negative errno. */
int store_give_up_file(struct store *s, int why, struct err *e);

#endif
