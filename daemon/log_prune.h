/* Deleting old rows: by app, by age, by the size of the database, by what is left of the disk. */
#ifndef PM_DAEMON_LOG_PRUNE_H
#define PM_DAEMON_LOG_PRUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/logs.h"

#define LOG_ROW_EXTRA 24u /* bytes that a row takes beside its text, about */

struct log_writer;

/* What is known of an app, also when it does not run. */
struct log_keep {
    char *app;
    struct log_limits limits;
    uint64_t bytes; /* of lines, as counted in this round */
};

enum log_prune_phase { PRUNE_IDLE, PRUNE_COUNT, PRUNE_DELETE, PRUNE_STREAMS, PRUNE_VACUUM };

/* One round: count what each app has, delete from the oldest row on, give the space back. In small steps. */
struct log_prune {
    struct log_bounds bounds;
    struct log_keep *keeps;
    size_t n_keeps;
    enum log_prune_phase phase;
    uint64_t cursor;     /* in the present phase */
    uint64_t fresh;      /* bytes that came since the last round */
    uint64_t due;        /* monotonic ms, of the next round whatever came; 0 = none */
    uint64_t streams_at; /* when streams without rows are looked for again */
    uint64_t excess;     /* bytes that are to go in this round, whosever they are */
    uint64_t retry_at;   /* after a failure; monotonic ms */
    bool wanted;         /* a round is to begin now */
    bool deleted;        /* this round has deleted something */
};

/* The state of the disk that holds logs.db. */
enum log_disk_level { DISK_FINE, DISK_LOW, DISK_STOP };
struct log_disk {
    enum log_disk_level level;
    uint64_t checked_at; /* monotonic ms */
    uint64_t lacking;    /* bytes up to the limit */
    uint64_t size;       /* bytes of the disk */
    bool told;
};

void log_prune_init(struct log_writer *w);
void log_prune_deinit(struct log_writer *w);
void log_prune_limit(struct log_writer *w, const char *app, const struct log_limits *limits);
void log_prune_step(struct log_writer *w);      /* a few ms of it */
void log_prune_committed(struct log_writer *w); /* rows were: a round follows soon, also when they are few */
bool log_prune_busy(const struct log_writer *w);

/* log_disk.c: looks at the disk now and then. At DISK_STOP nothing is written to it. */
void log_disk_check(struct log_writer *w);

#endif
