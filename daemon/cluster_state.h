/*
 * What the engine has agreed with a worker, in a memory file that the keeper holds and a later engine maps
 * again. Each field is written when it is true, and an entry's `phase` after the rest of it, so that any cut
 * is a sound one.
 */
#ifndef PM_DAEMON_CLUSTER_STATE_H
#define PM_DAEMON_CLUSTER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#define STATE_ENTRIES 256 /* servers of one worker; more are refused with ENFILE */

#define STATE_DATA 160 /* TLS servers: {"ticketKeys":"<96 hex digits>"} */

enum entry_phase {
    ENTRY_FREE,
    ENTRY_ASKED, /* the worker is to get the socket */
    ENTRY_SENT,  /* on its way; the worker's acknowledgement is awaited */
    ENTRY_HELD,  /* it has it; in round robin: it gets connections */
};

struct state_entry {
    uint64_t token; /* of the socket; 0: the worker bound it itself (Bun) */
    uint64_t name;  /* hash of address, type and real port: what `listening` says of it */
    uint32_t query; /* seq of the worker's request */
    uint8_t phase, round_robin, udp, listening;
    char data[STATE_DATA]; /* JSON text; "" = the socket itself has it, or there is none */
};

struct state {
    uint32_t magic, version;
    uint32_t next_seq;   /* of our messages */
    uint32_t last_query; /* 1 + seq of the last request that was answered */
    uint8_t bun;
    uint8_t midline; /* the channel's next bytes are the rest of a line */
    uint8_t told;    /* asked to disconnect without the keeper's help */
    uint8_t spare;
    uint32_t used; /* entries up to here were in use at some time; what is beyond takes no memory */
    struct state_entry entries[STATE_ENTRIES];
};

/* Maps what an engine before kept, when it can be used; else new. `*new_fd`: for the keeper to hold, the
 * caller's, or -1. Never NULL: without a memory file it is plain memory. */
struct state *state_open(int old_fd, int *new_fd);
void state_close(struct state *s);

struct state_entry *state_add(struct state *s); /* NULL: full. Its phase is still ENTRY_FREE */
void state_set_phase(struct state_entry *e, enum entry_phase phase);
struct state_entry *state_find(struct state *s, uint64_t token); /* NULL: the worker has it not */
struct state_entry *state_of_query(struct state *s, uint32_t seq);

#define STATE_FOREACH(e, s)                                                                                  \
    for (struct state_entry *e = (s)->entries; e < (s)->entries + (s)->used; e++)                            \
        if (e->phase != ENTRY_FREE)

#endif
