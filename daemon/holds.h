/*
 * The descriptors of each run as the engine has them: the same that the keeper holds, so that either can give
 * them to a successor of the other. Plain bookkeeping; nothing here talks to the keeper.
 */
#ifndef PM_DAEMON_HOLDS_H
#define PM_DAEMON_HOLDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "common/kwire.h"

struct foreign;
struct unanswered;

struct hold {
    uint64_t run; /* 0: the daemon's own descriptors */
    uint32_t proc;
    pid_t pid;
    uint64_t start_ticks, start_us;
    bool exited;                   /* the exit record is here */
    uint64_t ending;               /* what follows from it is being stored: which end this is, 0 = none */
    bool acked;                    /* and the keeper may forget it */
    bool told;                     /* the worker was asked to disconnect: never twice */
    bool foreign;                  /* not the keeper's child: the engine watches the pidfd */
    struct foreign *watch;         /* while it does */
    struct unanswered *unanswered; /* its keeper died before it told all of the spawn */
    int fds[KW_FD_COUNT];          /* by kind; -1 = none */
    int birth;                     /* read end of the pipe that ends with the exec; -1 once that is known */
    uint8_t note[KW_NOTE_MAX];
    uint16_t note_len;
    LIST_ENTRY(hold) entry;
};
LIST_HEAD(hold_list, hold);

#define HOLDS_BUCKETS 1024

struct holds {
    struct hold_list bucket[HOLDS_BUCKETS];
    size_t n;
};

void holds_init(struct holds *h);
struct hold *holds_get(struct holds *h, uint64_t run);          /* NULL when unknown */
struct hold *holds_make(struct holds *h, uint64_t run);         /* finds or makes */
void hold_set(struct hold *hold, enum kw_fd kind, int take_fd); /* closes what was there */
/* Moves the message's descriptors in. One that is there stays: the log path works with it. */
void hold_take_all(struct hold *hold, struct kw_msg *m);
void hold_close(struct hold *hold, enum kw_fd kind);
void hold_born(struct hold *hold);           /* its exec is over, or will be: closes the birth pipe */
bool hold_is_empty(const struct hold *hold); /* no descriptor left but the spec, which goes last */
void holds_free(struct holds *h, struct hold *hold);
void holds_clear(struct holds *h);

#define HOLDS_FOREACH(var, h)                                                                                \
    for (size_t _b = 0; _b < HOLDS_BUCKETS; _b++)                                                            \
        LIST_FOREACH (var, &(h)->bucket[_b], entry)

#endif
