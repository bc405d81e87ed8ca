/*
 * The keeper's records: one for each run, from the fork until its exit is acknowledged and its descriptors
 * are dropped. Record 0 is the daemon's own: the sockets and the lock that each engine needs. Listening
 * sockets of apps are records as well, in a list of their own.
 */
#ifndef PM_KEEPER_TABLE_H
#define PM_KEEPER_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "common/kwire.h"

#define TABLE_MAX     16384u
#define TABLE_BUCKETS 1024u

/* What the engine has still to be told about a record. */
#define SAY_CHILD 0x1u
#define SAY_EXEC  0x2u
#define SAY_EXIT  0x4u

enum record_queue { QUEUE_NONE, QUEUE_SNAPSHOT, QUEUE_NEWS };

struct record {
    uint64_t token;
    uint32_t proc;
    uint32_t flags; /* KW_FOREIGN, KW_EXEC_KNOWN, KW_HAS_EXITED */
    pid_t pid;
    int32_t step, error, wait_status;
    uint64_t start_ticks, start_us, end_us;
    uint64_t utime_us, stime_us, maxrss_bytes;
    uint16_t note_len;
    uint8_t note[KW_NOTE_MAX];
    int fds[KW_FD_COUNT]; /* by kind; -1: not held */
    int exec_fd;          /* read end of the exec error pipe while the exec is in flight; -1 then */
    bool reaped;          /* own child: waited for, the pid may be another's now */
    bool acked;

    uint8_t say;       /* SAY_* */
    uint8_t next_kind; /* SAY_CHILD: the first kind that has not been sent yet */
    bool with_spec;    /* SAY_CHILD: of a snapshot, which carries the spec as well */
    uint8_t queue;     /* enum record_queue */
    bool in_pids;
    TAILQ_ENTRY(record) out;
    TAILQ_ENTRY(record) all;
    LIST_ENTRY(record) same_token, same_pid;
};
TAILQ_HEAD(record_list, record);
LIST_HEAD(record_bucket, record);

struct table {
    struct record self;     /* token 0 */
    struct record_list all; /* runs */
    struct record_list sockets;
    unsigned count; /* of runs, without `self` */
    unsigned n_sockets;
    uint64_t highest; /* token of a run ever seen */
    struct record_bucket tokens[TABLE_BUCKETS], pids[TABLE_BUCKETS];
};

void table_init(struct table *t);
void table_deinit(struct table *t); /* closes everything held */

static inline bool is_socket_token(uint64_t token)
{
    return token & SOCKET_TOKEN_BIT;
}

/* NULL with errno ENOSPC when the table is full, EEXIST for a token that is there, or ENOMEM. */
struct record *table_add(struct table *t, uint64_t token);
void table_remove(struct table *t, struct record *r); /* not in a queue any more; closes what it holds */
struct record *table_find(struct table *t, uint64_t token); /* 0 gives the daemon's own; NULL: none */

/* Own children by pid, from the fork until they are reaped: a pid is unique only in that time. */
void table_set_pid(struct table *t, struct record *r, pid_t pid);
void table_clear_pid(struct record *r); /* the pid stays in the record, for the reader */
struct record *table_find_pid(struct table *t, pid_t pid);

/* Takes the descriptor in place of the one of this kind, which is closed. */
void record_hold(struct record *r, enum kw_fd kind, int fd);
void record_drop(struct record *r, enum kw_fd kind);
bool record_holds_any(const struct record *r);

#endif
