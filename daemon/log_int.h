/*
 * What the parts of the log path share. Who may touch what: fields under "loop" only the loop's thread,
 * under "writer" only the writer thread, under "lock" whoever holds logs.lock; atomics both.
 */
#ifndef PM_DAEMON_LOG_INT_H
#define PM_DAEMON_LOG_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <uv.h>

#include "common/buf.h"
#include "common/log_date.h"
#include "daemon/log_db.h"
#include "daemon/log_file.h"
#include "daemon/log_rate.h"
#include "daemon/logs.h"

#define LOG_STREAM_MAX  (4u * 1024 * 1024)  /* bytes of one stream that wait in its spool */
#define LOG_TOTAL_MAX   (64u * 1024 * 1024) /* of all streams */
#define LOG_TAKE_MAX    (1024u * 1024)      /* bytes a stream may take in one turn of the loop */
#define LOG_LIVE_MAX    (8u * 1024 * 1024)  /* bytes on the way to the subscribers */
#define LOG_ENDED_MS    60000u              /* a stream that ended waits so long for a broken database */
#define LOG_RETRY_MS    500u
#define LOG_SOON_MS     20u           /* before the writer is woken for streams that came or ended */
#define LOG_PACE_MS     20u           /* between two commits while bytes keep coming */
#define LOG_PACE_BYTES  (512u * 1024) /* ... unless so many wait */
#define LOG_QUIET_MS    10000u        /* trouble that comes back so soon was never over */
#define LOG_RUN_BUCKETS 1024u

struct log_writer;

/* One place that the bytes of a stream go to. */
struct log_sink {
    struct log_file *file;           /* NULL: the rows */
    const char *path;                /* by which the app names the file; the stream's */
    uint64_t pos;                    /* the next byte to hand in; always a boundary of pieces */
    uint64_t committed;              /* `pos` as of the last commit */
    uint64_t base;                   /* where the rows go back to when the transaction fails */
    bool mid;                        /* `pos` is inside a long line */
    bool dropping;                   /* was stuck for too long: drops at once, until it works again */
    bool slow;                       /* what is not yet told was dropped for want of speed */
    bool told;                       /* rows: the line about dropped ones is in the open transaction */
    bool abandoned;                  /* the stream ended, and this will get nothing more */
    uint64_t drop_lines, drop_bytes; /* dropped at `pos`, not yet told */
    uint64_t cut_at;                 /* dropping stopped here, inside a line, which is counted */
};

/* Lines that log_rate_limit takes out; see log_gate.c. */
struct log_gap {
    uint64_t from, to, lines;
};
struct log_gate {
    bool on;
    bool mid, mid_dropped; /* `pos` is inside a long line, which was dropped */
    bool open;             /* the last gap may still grow */
    uint64_t pos;          /* judged up to here */
    struct log_rate rate;
    struct log_gap *gaps; /* in order */
    size_t n;
};

/* Grouped by who may touch what, not packed. NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct log_stream {
    struct logs *l;
    uint64_t run;
    uint8_t kind;
    uint32_t process, instance;
    char *app, *date_format;
    char *paths[2];
    int64_t uid, gid;
    bool disabled;
    bool no_rows;                     /* the sink of the rows only keeps the cursor */
    bool json;                        /* each line of the files is one object */
    bool lent;                        /* the descriptors are the caller's: see struct log_run */
    struct log_rotate_policy *rotate; /* NULL = the daemon's; the writer's once it was attached */
    bool handed;                      /* the spool was there before this engine */
    int spool;                        /* -1 when disabled */
    uint64_t attached_at;             /* monotonic ms */
    uint64_t spool_inode;
    uint64_t first, first_page; /* of the spool when it was handed in: log_spool_first() */

    /* loop */
    LIST_ENTRY(log_stream) by_run;
    TAILQ_ENTRY(log_stream) by_pause;
    int pipe; /* -1 once closed, or given back */
    uv_poll_t poll;
    bool poll_open; /* the handle is not closed yet */
    TAILQ_ENTRY(log_stream) by_rest;
    uint64_t last_take; /* ns */
    bool in_pause;
    bool in_rest;
    bool widened; /* the pipe */
    bool writer_done;

    _Atomic uint64_t taken;        /* bytes in the spool since its beginning */
    _Atomic uint64_t released;     /* of which the memory was given back */
    _Atomic bool final;            /* set after the last change of `taken` */
    _Atomic uint64_t paused_since; /* monotonic ms; 0 = the pipe is polled */

    /* lock */
    bool queued;
    STAILQ_ENTRY(log_stream) by_queue;

    /* writer */
    TAILQ_ENTRY(log_stream) by_writer;
    STAILQ_ENTRY(log_stream) by_work;
    STAILQ_ENTRY(log_stream) by_dirty;
    STAILQ_ENTRY(log_stream) by_done;
    TAILQ_ENTRY(log_stream) by_unopened;
    uint64_t open_at; /* monotonic ms, while it is in that list; else 0 */
    bool in_work, dirty;
    bool finished;            /* on its way back to the loop */
    bool placed;              /* the sinks' positions are known */
    uint64_t id;              /* in logs.db; 0 = not yet */
    uint64_t ended_at;        /* when `final` was first seen, monotonic ms */
    uint64_t dropped_upto;    /* bytes before this are counted as dropped already, should they be */
    struct log_sink sinks[3]; /* the rows first */
    unsigned n_sinks;
    bool doubled;   /* paths[0] and paths[1] are one file: there is no sink for the second */
    bool new_sinks; /* the committed rows of its sinks are of other files */
    struct log_date date;
    struct log_limits limits;
    struct log_gate gate;
    struct log_batch batch, batch_committed;
    uint64_t last_id, last_id_committed;
    uint8_t row_flags, row_flags_committed; /* of the newest row */
};

static inline uint64_t log_stream_key(const struct log_stream *s)
{
    return s->run << 1 | (s->kind == LOG_ERR);
}

/* Loop to writer. */
enum log_msg_type {
    LOG_MSG_ATTACH,
    LOG_MSG_BARRIER,
    LOG_MSG_SUB,
    LOG_MSG_UNSUB,
    LOG_MSG_REOPEN,
    LOG_MSG_ROTATE, /* `what` is the barrier of a struct log_rotate */
    LOG_MSG_POLICY, /* `what` is a struct log_policy_news */
    LOG_MSG_DAMAGE, /* `what` is the generation of the database that a reader found damaged */
    LOG_MSG_LIMITS, /* struct log_limits_msg */
    LOG_MSG_WIPE,   /* `what` is the barrier of a struct log_wipe */
    LOG_MSG_STOP
};
struct log_msg {
    STAILQ_ENTRY(log_msg) next;
    enum log_msg_type type;
    void *what;
};

struct log_limits_msg {
    char *app; /* NULL: `bounds` */
    struct log_limits limits;
    struct log_bounds bounds;
};

/* Writer to loop. */
enum log_event_type { LOG_EV_DONE, LOG_EV_BARRIER, LOG_EV_SUB, LOG_EV_UNSUB, LOG_EV_TROUBLE, LOG_EV_STOPPED };
struct log_event {
    STAILQ_ENTRY(log_event) next;
    enum log_event_type type;
    void *what;
};

/* Comes back to the loop when everything taken before it was posted is committed. */
struct log_barrier {
    void (*passed)(struct log_barrier *b);
};

/* Lines with their own memory. Until log_block_fix, `app` and `text` are offsets. */
struct log_block {
    struct log_line *lines;
    size_t n, cap;
    struct buf bytes;
};
void log_block_add(struct log_block *b, const struct log_line *line);
void log_block_move(struct log_block *to, struct log_block *from); /* appends; both unfixed */
void log_block_fix(struct log_block *b);
void log_block_clear(struct log_block *b); /* keeps the memory */
void log_block_free(struct log_block *b);
size_t log_block_size(const struct log_block *b);

struct log_filter {
    uint32_t *processes; /* NULL = all */
    size_t n_processes;
    uint64_t run;
    bool out, err;
    unsigned lines;
    uint64_t since_us, until_us; /* 0 = no limit */
    unsigned level;
    bool newest_run, one_instance;
    uint32_t instance;
};
void log_filter_init(struct log_filter *f, const struct log_query *q);
void log_filter_free(struct log_filter *f);
/* Is this stream asked for (whether it is of the newest run is not looked at)? */
bool log_filter_match(const struct log_filter *f, uint64_t run, uint32_t process, unsigned kind,
                      uint32_t instance);
/* Is this line of such a stream? */
static inline bool log_filter_line(const struct log_filter *f, uint64_t time_us, unsigned flags)
{
    return time_us >= f->since_us && (!f->until_us || time_us < f->until_us) &&
           (!f->level || (flags >> 4 & 7) >= f->level);
}

struct log_sub {
    struct logs *l;
    struct log_filter filter;
    struct log_search *search; /* whose history ends at `boundary`; NULL = read here */
    /* loop */
    LIST_ENTRY(log_sub) by_loop;
    logs_live_cb cb;
    void *arg;
    bool ready; /* the history was handed over */
    bool dead;
    bool querying, gone; /* a query holds it; the writer forgot it */
    uint64_t boundary;   /* newest row of the history */
    /* lock */
    struct log_block pending;
    uint64_t missed;
    /* writer */
    LIST_ENTRY(log_sub) by_writer;
    struct log_block staged; /* rows of the open transaction */
    uint64_t staged_missed;
};

struct log_reader;
#define LOG_OWNER(member_pointer, type, member) ((type *)((char *)(member_pointer)-offsetof(type, member)))

/* A piece of work for the reader's thread: short, because others wait for it. */
struct log_task {
    STAILQ_ENTRY(log_task) next;
    void (*work)(struct log_task *t, struct log_reader *r, unsigned generation);
    void (*done)(struct log_task *t, int rc); /* on the loop; rc < 0: `work` was not called */
};
STAILQ_HEAD(log_tasks, log_task);

struct logs {
    uv_loop_t *loop;
    struct logs_hooks hooks;
    char *db_path;
    char boot[37];
    pthread_t thread;
    struct log_writer *writer;

    /* loop */
    uv_async_t wake;
    uv_timer_t retry; /* runs only after a pipe could not be read */
    unsigned handles; /* uv handles that are not closed yet */
    LIST_HEAD(, log_stream) runs[LOG_RUN_BUCKETS];
    uv_timer_t rest; /* runs only while an app floods */
    uv_timer_t soon; /* runs only while the writer is not told yet of streams that came or ended */
    TAILQ_HEAD(, log_stream) paused;
    TAILQ_HEAD(, log_stream) resting;
    LIST_HEAD(, log_sub) subs;
    struct log_tasks tasks;   /* to be run, in this order */
    struct log_tasks waiting; /* long ones, until fewer of them take turns */
    unsigned turns;           /* long ones that take turns */
    struct log_task *running;
    unsigned running_generation;
    uv_work_t work;
    bool joined;
    struct log_reader *reader; /* of the task that runs */
    LIST_HEAD(, log_search) searches;
    void (*closed)(void *arg); /* set while closing */
    void *closed_arg;

    _Atomic uint64_t used;       /* bytes in all spools */
    _Atomic uint64_t full_since; /* monotonic ms; 0 = there is room for all */
    _Atomic unsigned n_paused;
    _Atomic unsigned db_generation; /* 0 = not open; a new file has a new number */
    _Atomic uint64_t live_bytes;

    pthread_mutex_t lock;
    pthread_cond_t cond;
    STAILQ_HEAD(, log_msg) msgs;
    STAILQ_HEAD(, log_stream) queue; /* streams with news */
    STAILQ_HEAD(, log_event) events;
    size_t queued_bytes;
    bool urgent; /* a message that does not wait for company is among them */
    /* Of the writer. Much news, any news, and also new streams wake it up. */
    enum { LOG_AWAKE, LOG_PACING, LOG_COLLECTING, LOG_ASLEEP } sleep;
    struct log_drop {
        uint32_t process;
        uint64_t lines;
    } * drops;
    size_t n_drops;
    struct log_ill {
        char *path, *why;
    } * ills; /* the files that cannot be written */
    size_t n_ills;
};

/* log_queue.c */
void log_post(struct logs *l, enum log_msg_type type, void *what);
void log_news(struct logs *l, struct log_stream *s, size_t bytes);
/* A new stream, and the end of one of whose bytes the writer knows: it hears of them soon, not at once. Loop
 * only. */
void log_attached(struct logs *l, struct log_stream *s);
void log_ended(struct logs *l, struct log_stream *s);
void log_report(struct logs *l, enum log_event_type type, void *what);
void log_count_drop(struct logs *l, uint32_t process, uint64_t lines);
void log_file_ill(struct logs *l, const char *path, const char *why);
void log_file_well(struct logs *l, const char *path);

/* log_intake.c: the loop's side of a stream */
void log_intake_start(struct log_stream *s);
void log_intake_take(struct log_stream *s);  /* moves what is in the pipe, also over the bound */
void log_intake_end(struct log_stream *s);   /* closes the pipe; the stream is final */
void log_intake_resume(struct logs *l);      /* polls pipes again whose spool has room */
void log_intake_stop(struct log_stream *s);  /* closes the handle only */
void log_intake_close(struct log_stream *s); /* closes the pipe, or leaves it to whom it belongs */

/* logs.c */
void log_stream_free(struct log_stream *s);
void log_limits_msg_free(struct log_limits_msg *m);
void log_maybe_closed(struct logs *l);

/* log_query.c, log_live.c: on the loop */
void log_query_start(struct logs *l, struct log_sub *sub);
void log_query_cancel(struct logs *l);
void log_task_add(struct logs *l, struct log_task *t);       /* its turn comes after those that wait */
void log_task_add_first(struct logs *l, struct log_task *t); /* before them: for first answers */
void log_search_start_live(struct log_search *s);            /* its subscription has its boundary */
void log_search_end_all(struct logs *l); /* the reader is at its end: answers what is open */
void log_search_free_all(struct logs *l);
void log_live_history(struct log_sub *s, struct log_block *b);
void log_live_deliver(struct logs *l);
void log_live_gone(struct log_sub *s);
void log_live_close(struct logs *l);

/* log_live.c: on the writer */
void log_live_stage(struct log_sub *s, const struct log_line *line);
void log_live_publish(struct log_sub *s);
void log_live_rollback(struct log_sub *s);

/* log_writer.c */
void *log_writer_main(void *logs);

#endif
