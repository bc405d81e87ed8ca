/*
 * The log path: pipe -> spool -> lines -> rows and flat files -> live subscribers.
 *
 * Pipes are spliced into spools on the loop (the call never blocks); a writer thread cuts the spools into
 * lines, inserts rows with their cursor in one transaction, and appends to the flat files. A spool is a memfd
 * that the keeper holds too: its file offset is the count of bytes taken, so a new engine goes on where the
 * old one was, to the byte.
 */
#ifndef PM_DAEMON_LOGS_H
#define PM_DAEMON_LOGS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct logs;
struct log_rotate_policy;

enum log_stream_kind { LOG_OUT = 1, LOG_ERR = 2 };

#define LOG_LINE_MAX  65536u /* bytes of one line; longer ones are split */
#define LOG_F_PARTIAL 0x1u   /* a piece of a longer line; more follows */
#define LOG_F_DROPPED 0x2u   /* not the app's line: tells how many were dropped here */
#define LOG_F_NO_EOL  0x4u   /* the stream ended without a newline */
/* Bits 4 to 6: LOG_F_LEVEL, in log_level.h. */

#define LOG_MARK_CONTEXT 0x1u /* not a match, but near one */
#define LOG_MARK_GAP     0x2u /* lines were left out between this one and the one before */

struct log_line {
    uint64_t id;      /* row id in logs.db; grows; 0 for a line that is not stored */
    uint64_t time_us; /* UTC */
    uint32_t process;
    uint32_t instance;
    uint64_t run;
    uint8_t stream; /* enum log_stream_kind */
    uint8_t flags;
    uint8_t marks;   /* LOG_MARK_*, of an answer */
    const char *app; /* name */
    const char *text;
    size_t len;
};

#define LOG_BLOCK_MS 5000u /* the default of log_block_timeout */

/* The bounds of an app's logs; 0 is no limit. */
struct log_limits {
    bool drop;                       /* log_policy: drop lines rather than let the app wait */
    uint64_t block_ms;               /* the app waits at most so long; 0 = LOG_BLOCK_MS */
    uint64_t rate_lines, rate_bytes; /* a second, of each stream */
    uint64_t keep_bytes, keep_ms;    /* rows */
};

/* The bounds of all logs together. */
struct log_bounds {
    uint64_t max_bytes;        /* of logs.db; 0 = no limit */
    uint64_t min_free;         /* bytes that stay free on its disk ... */
    unsigned min_free_percent; /* ... or this part of the disk, whichever is less; 0 = only the other */
};
#define LOG_BOUNDS_DEFAULT ((struct log_bounds){UINT64_C(1) << 30, UINT64_C(500) << 20, 5})

/* Where the lines of one run go. Strings are copied. */
struct log_run {
    uint64_t run;
    uint32_t process;
    uint32_t instance;
    const char *app;
    const char *out_file, *error_file, *log_file; /* absolute; NULL = none */
    const char *date_format;                      /* dayjs tokens; NULL = no timestamp before the lines */
    bool json;                                    /* log_type json: each line of the files is one object */
    bool disabled;                                /* disable_logs: take the bytes and forget them */
    bool no_rows;                                 /* files and live lines (of id 0) only */
    /* The descriptors stay the caller's, who keeps them open until `stream_done` tells of them or the log
     * path is closed. A spool that is made becomes the caller's too. */
    bool lent;
    int64_t uid, gid;                       /* owner of files that are created; -1 = as the daemon */
    const struct log_rotate_policy *rotate; /* of its files; NULL = the daemon's */
    struct log_limits limits;
};

/* The engine's side. */
struct logs_hooks {
    void *arg;
    /* A spool was made: have the keeper hold it (the descriptor stays the log path's, but see `lent`). */
    void (*spool_made)(void *arg, uint64_t run, enum log_stream_kind kind, int fd);
    /* The stream ended and everything of it is committed: pipe and spool may be dropped. */
    void (*stream_done)(void *arg, uint64_t run, enum log_stream_kind kind);
    /* Something a person should know (disk full, a file that cannot be opened): one line, at most once per
     * cause until it is over. */
    void (*trouble)(void *arg, const char *text);
};

/* Opens PM_HOME/logs.db on the writer thread. Runs can be attached at once. */
struct logs *logs_open(uv_loop_t *loop, const char *db_path, const struct logs_hooks *hooks);
/* Takes what is in the pipes, writes everything, closes; `closed` comes when nothing is left on the loop. */
void logs_close(struct logs *l, void (*closed)(void *arg), void *arg);

/*
 * Takes over (but see `lent`) the read ends (-1 = none) and the spools (-1 = make new ones) of a run. A
 * stream whose spool is handed in is replayed from its cursors. Splicing starts at once.
 */
void logs_attach(struct logs *l, const struct log_run *run, int out_fd, int err_fd, int spool_out,
                 int spool_err);

/* The limits of all runs of an app, now and for its rows also when it does not run. */
void logs_limit_app(struct logs *l, const char *app, const struct log_limits *limits);
void logs_bound(struct logs *l, const struct log_bounds *bounds);

void logs_drain(struct logs *l, uint64_t run); /* take what is in the run's pipes now */
void logs_forget(struct logs *l,
                 uint64_t run);   /* close the pipes even if somebody still holds the other end */
void logs_reopen(struct logs *l); /* reopen all flat files */
uint64_t logs_dropped(struct logs *l, uint32_t process); /* lines dropped since the engine's start */
/* Why this log file cannot be written now, in words; false when it can, as far as was tried. */
bool logs_file_trouble(struct logs *l, const char *path, char *words, size_t size);

/* Calls back when every byte taken before this call is in the rows and files (or could not be written). */
void logs_flush(struct logs *l, void (*done)(void *arg), void *arg);

/*
 * Empties flat files and forgets stored lines, both up to what was taken before this call; what an app writes
 * later is kept. `files` is the number of files that were emptied. rc 0, or negative with words.
 */
struct log_wipe_request {
    char *const *paths;        /* NULL-terminated */
    const uint32_t *processes; /* whose lines are forgotten; NULL = all */
    size_t n_processes;
};
typedef void (*logs_wiped_cb)(void *arg, int rc, unsigned files, const char *msg);
void logs_wipe(struct logs *l, const struct log_wipe_request *what, logs_wiped_cb done, void *arg);

/* The policy (copied) of files whose app has none, and of a process whose app has changed (NULL = the
 * daemon's). */
void logs_rotate_default(struct logs *l, const struct log_rotate_policy *p);
void logs_rotate_process(struct logs *l, uint32_t process, const struct log_rotate_policy *p);

/* What became of a file: rotated (`to`), or not (`why`), which is an error when `failed`. */
struct log_rotate_result {
    const char *path;
    char *to, *why;
    uint64_t bytes;
    bool failed;
};

/* Rotates files now, whatever their size, empty ones apart: all that was taken before the call goes into the
 * old ones. The results are the caller's during the callback. */
typedef void (*logs_rotated_cb)(void *arg, const struct log_rotate_result *v, size_t n);
void logs_rotate(struct logs *l, char *const *paths, logs_rotated_cb done, void *arg);

struct log_query {
    const uint32_t *processes; /* NULL = all */
    size_t n_processes;
    uint64_t run; /* only this run; 0 = all */
    bool out, err;
    unsigned lines; /* the last so many, merged by time; at most 10,000 but for logs_search */
    /* What follows is for logs_search alone. */
    uint64_t since_us, until_us; /* from, and before; 0 = no limit */
    unsigned level;              /* at least: 1 trace .. 6 fatal; 0 = any, also unknown */
    bool newest_run;             /* of each process that one of its runs that wrote last */
    bool one_instance;
    uint32_t instance;
    struct log_grep *grep;  /* taken; NULL = all lines */
    unsigned before, after; /* lines of context */
    bool reverse;           /* newest first */
    bool count;             /* only the number */
};
#define LOG_LINES_ALL UINT_MAX
/* Lines in order of time; valid during the callback. What was taken before the call is included. */
typedef void (*logs_lines_cb)(void *arg, int rc, const struct log_line *lines, size_t n);
void logs_query(struct logs *l, const struct log_query *q, logs_lines_cb cb, void *arg);

/*
 * As logs_query, then every later line, without gap or repeat: the first call of `cb` brings the history
 * (also when it is empty), later ones the live lines. `missed` > 0 tells that so many lines were not handed
 * over.
 */
struct log_sub;
typedef void (*logs_live_cb)(void *arg, const struct log_line *lines, size_t n, uint64_t missed);
struct log_sub *logs_subscribe(struct logs *l, const struct log_query *q, logs_live_cb cb, void *arg);
void logs_unsubscribe(struct log_sub *s);

/*
 * A question with all that struct log_query can ask, answered piece by piece at the pace of the one who asks;
 * it never holds a read transaction while it waits. Many questions take turns, so that a long one holds up
 * nobody.
 */
struct log_search;
struct log_search_end {
    int rc; /* 0, or negative with words: what was handed over is not all */
    const char *msg;
    uint64_t matched;
    bool cut; /* `bytes_max` was reached, and there would be more */
};
struct log_search_hooks {
    void *arg;
    /* Lines of the history. False: no more before logs_search_resume(). */
    bool (*lines)(void *arg, const struct log_line *lines, size_t n);
    /* The history is complete. Without `live` the search is freed after this. */
    void (*end)(void *arg, const struct log_search_end *end);
    /* Later lines, without gap or repeat; NULL = not asked for. */
    logs_live_cb live;
    /* With it: a live line could not be matched (one line of words); nothing more comes. */
    void (*failed)(void *arg, const char *msg);
};
/* `bytes_max`: end after so many bytes of text; 0 = no limit. */
struct log_search *logs_search(struct logs *l, const struct log_query *q, uint64_t bytes_max,
                               const struct log_search_hooks *hooks);
void logs_search_resume(struct log_search *s);
void logs_search_cancel(struct log_search *s); /* no callback comes after this; accepts NULL */

#endif
