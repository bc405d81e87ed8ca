/* The writer thread's own state and the parts of its work. */
#ifndef PM_DAEMON_LOG_WRITER_H
#define PM_DAEMON_LOG_WRITER_H

#include "daemon/log_int.h"
#include "daemon/log_prune.h"
#include "daemon/log_split.h"
#include "logrotate/policy.h"

#define LOG_CHUNK       (256u * 1024) /* bytes read from a spool at once; holds more than one longest line */
#define LOG_PIECES      8192u
#define LOG_COMMIT_ROWS 4096u
#define LOG_COMMIT_SIZE (1024u * 1024)
#define LOG_OPEN_MS     100u /* how long the files of a new stream without a line may wait to be made */

STAILQ_HEAD(log_work, log_stream);

struct log_wipe;
struct log_worker;
struct zone;

struct log_writer {
    struct logs *l;
    struct log_db db;
    struct log_files files;
    TAILQ_HEAD(, log_stream) streams;
    struct log_work work;              /* have bytes to hand on */
    STAILQ_HEAD(, log_stream) dirty;   /* have something to commit */
    TAILQ_HEAD(, log_stream) unopened; /* new, their files may not be there yet; the oldest first */
    STAILQ_HEAD(, log_stream) done;    /* complete and committed */
    LIST_HEAD(, log_sub) subs;
    STAILQ_HEAD(, log_wipe) wipes; /* rows that are being deleted */
    struct log_prune prune;
    struct log_disk disk;
    bool emptying; /* commits to make room are allowed on a full disk too */

    bool in_txn;
    unsigned rows; /* in the open transaction */
    size_t bytes;
    uint64_t txn_row;   /* db.next_row when it began */
    uint64_t pace_from; /* the last commit, or the last look at new streams */

    bool db_failing;
    uint64_t db_retry_at, db_quiet_until;
    uint64_t aside_at;
    unsigned generation;
    uint64_t place_until; /* streams wait so long at start for a database that does not open */
    uint64_t retry_at;    /* 0 = nothing failed */

    struct log_rotate_policy rotate; /* of files whose app has none */
    struct log_worker *tidier;       /* made with the first file that has a policy */
    struct zone *zone;               /* the last that was used; NULL = local */
    char zone_name[LOG_ROTATE_WORD];
    bool rotate_wanted; /* by one of the files */
    uint64_t
        rotate_look_at; /* monotonic ms, when the clock is compared with the files' times; 0 = none has one */
    uint64_t tidy_at;   /* monotonic ms: rotated files have grown older */

    char *chunk;
    struct log_piece *pieces;
    struct buf text;
    bool settle; /* everything is to be handed on now: nothing waits for company */
    bool stop;
};

/* log_writer.c */
void log_trouble(struct log_writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_retry_later(struct log_writer *w, uint64_t at);
void log_mark_dirty(struct log_writer *w, struct log_stream *s);
void log_mark_work(struct log_writer *w, struct log_stream *s);

/* log_commit.c */
bool log_db_usable(struct log_writer *w); /* opens it when it is time to try again */
/*
 * Makes everything that is dirty durable, then gives spool memory back, finishes ended streams and hands live
 * lines on. False when the database could not take it: rows are then to be fed again.
 */
bool log_commit(struct log_writer *w);
int log_txn_begin(struct log_writer *w);
void log_txn_failed(struct log_writer *w, int rc); /* rolls back and decides what next */
/* Keeps a line for those who listen to the stream until the next commit. */
void log_stage(struct log_writer *w, const struct log_stream *s, const struct log_line *line);
/* A reader found the open database damaged, which the writer, who only appends, may never meet. */
void log_db_damaged(struct log_writer *w);
/* Inserts a line (its id is given here); `live` = somebody listens to this stream. An SQLite code. */
int log_add_row(struct log_writer *w, struct log_stream *s, const struct log_line *line, bool live);

/* log_feed.c */
bool log_sink_usable(struct log_writer *w, const struct log_stream *s, const struct log_sink *k);
bool log_sink_stopped(const struct log_writer *w, const struct log_sink *k); /* by the low-disk guard */
/*
 * Hands one chunk of what lies before `avail` on to the sinks that are furthest behind; `last` = nothing will
 * follow. True when there may be more to do.
 */
bool log_feed(struct log_writer *w, struct log_stream *s, uint64_t avail, bool last);
void log_file_failed(struct log_writer *w, struct log_file *f, int rc, const char *text);
void log_file_works(struct log_writer *w, struct log_file *f);

/* log_drop.c */
void log_drop(struct log_writer *w, struct log_stream *s, struct log_sink *k, uint64_t avail, bool last);
void log_drop_check(struct log_writer *w, struct log_stream *s); /* after the timeouts */
size_t log_drop_text(const struct log_sink *k, char out[128]);

/* log_policy drop: the app is not kept waiting by a log that is only slow. */
void log_drop_overflow(struct log_writer *w, struct log_stream *s, uint64_t avail);

/* log_gate.c: up to where the sinks may go, at most `avail` */
uint64_t log_gate_pass(struct log_writer *w, struct log_stream *s, uint64_t avail, bool last);
/* The gap that `from` is in, or NULL with `limit` lowered to the next one. */
const struct log_gap *log_gate_gap(const struct log_stream *s, uint64_t from, uint64_t *limit);
size_t log_gap_text(const struct log_gap *gap, char out[128]);

/* log_wipe.c; everything taken was handed on before */
void log_wipe_begin(struct log_writer *w, struct log_barrier *barrier);
void log_wipe_step(struct log_writer *w); /* a few rows of the first one */
void log_wipe_cancel(struct log_writer *w);

/* log_rotate.c */
void log_rotate_watch(struct log_writer *w, struct log_file *f); /* it was opened: looks its policy up */
void log_rotate_wanted(struct log_writer *w); /* rotates what has asked for it, and can be */
void log_rotate_clock(struct log_writer *w);  /* what is due by the time */
void log_rotate_close(struct log_writer *w);
/*
 * Renames the open file and goes on in a new one. What was taken is in it, committed, before; a crash at any
 * moment neither loses nor doubles a line. 0 with the new name (heap) and its size, 1 when it must wait for
 * the end of a line (it rotates by itself then), or negative with the message set.
 */
int log_rotate_file(struct log_writer *w, struct log_file *f, char **to, uint64_t *bytes, struct err *e);
/* One that no stream has open: it is only renamed. */
int log_rotate_closed(struct log_writer *w, const char *path, const struct log_rotate_policy *p, char **to,
                      uint64_t *bytes, struct err *e);
const struct log_rotate_policy *log_rotate_policy_of(struct log_writer *w, const struct log_file *f);

/* log_rotate_ask.c; everything taken was handed on before */
void log_rotate_request(struct log_writer *w, struct log_barrier *barrier);
struct log_policy_news;
void log_rotate_policy_news(struct log_writer *w, struct log_policy_news *take);

/* log_wipe.c: the open, regular file that the path leads to, or NULL */
struct log_file *log_file_find_open(struct log_writer *w, const char *path);
void log_mark_writers(struct log_writer *w,
                      const struct log_file *f); /* dirty: all streams that write to it */

/* log_place.c: where a stream that was handed in goes on */
bool log_place(struct log_writer *w, struct log_stream *s);      /* false: not yet */
void log_place_late(struct log_writer *w);                       /* the database has been opened (anew) */
void log_file_look_up(struct log_writer *w, struct log_file *f); /* its key and record, unless it has one */

/* log_twin.c: log_file_prepare (`to_write`) or log_file_open, and never LOG_FILE_TWIN: `f` is replaced then,
 * also in the sinks. A stream may lose the sink for its second file by that. */
int log_file_use(struct log_writer *w, struct log_file **f, bool to_write, struct err *e);
/* Of a stream that was there before: did it write to this sink's file through another name? */
void log_twin_find(struct log_writer *w, struct log_stream *s, struct log_sink *k);
void log_twin_drop(struct log_writer *w,
                   struct log_stream *s);  /* the second of two sinks for one file: each line once */
void log_twins_part(struct log_writer *w); /* all files are closed: each sink has its own name again */

#endif
