/*
 * The primary's half of Node's cluster, spoken over the IPC channel of each worker: sockets are bound and
 * owned by the daemon (sockets.h) and given to the workers, or their connections are (round robin).
 *
 * The engine may die between any two instructions and the next one goes on. So a line is consumed only when
 * what follows from it was sent or is noted in the worker's state (cluster_state.h), which the keeper holds;
 * handling a line twice does no harm; and what must be said exactly once is said by the keeper (`answer`).
 */
#ifndef PM_DAEMON_CLUSTER_H
#define PM_DAEMON_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct channel;
struct cluster;
struct sockets;
struct worker;

enum cluster_schedule {
    CLUSTER_SHARED,      /* workers accept from one socket */
    CLUSTER_ROUND_ROBIN, /* the engine accepts and passes connections */
    CLUSTER_SLOTS,       /* a socket for each instance, with SO_REUSEPORT */
};

struct cluster_hooks {
    void *arg;
    /* A message of the application. */
    void (*message)(void *arg, uint64_t run, const char *line, size_t len);
    void (*listening)(void *arg, uint64_t run); /* it listens on one more */
    void (*drained)(void *arg, uint64_t run);   /* told to disconnect, it has closed its channel */
    /* Asks the keeper to take `consume` bytes out of the run's channel and to send `line` (with its newline,
     * at most KW_NOTE_MAX bytes). `once`: never again for this run. 0: cluster_answered follows, or
     * cluster_keeper_changed; negative: there is no keeper that can. */
    int (*answer)(void *arg, uint64_t run, size_t consume, const char *line, bool once);
    /* The keeper is to hold the run's state; the descriptor is taken. */
    void (*keep_state)(void *arg, uint64_t run, int take_fd);
    /* The token of the socket that the daemon gave the run as this descriptor; 0: it gave none. */
    uint64_t (*given)(void *arg, uint64_t run, int number);
};

struct cluster *cluster_new(uv_loop_t *loop, struct sockets *sockets, const struct cluster_hooks *hooks);
void cluster_free(struct cluster *c); /* after its workers; connections in hand are closed */

struct cluster_run {
    uint64_t run, app;
    uint32_t instance;
    bool is_worker; /* of a cluster; else it only has a channel */
    enum cluster_schedule schedule;
    const char *uid, *gid; /* of the app, as in its configuration; copied */
    int fd;                /* the channel: stays the caller's and must outlive the worker */
    int state_fd;          /* what an engine before kept; -1 = none; stays the caller's */
    bool told;             /* it was asked to disconnect */
};

/* NULL when the loop cannot watch the channel. */
struct worker *cluster_attach(struct cluster *c, const struct cluster_run *run);
void cluster_detach(struct worker *w); /* its run is over, or the engine ends; accepts NULL */
/* Its program has ended: handles what is left in the channel, without waiting for anything. Accepts NULL. */
void cluster_read_out(struct worker *w);
struct channel *cluster_channel(const struct worker *w); /* to send messages of the application */

/* KW_ANSWERED came; and: the keeper that was asked is gone, another is there. */
void cluster_answered(struct worker *w, bool once, int error);
void cluster_keeper_changed(struct worker *w);

/* Has it a socket on which it listens? Does `w` listen on all that `old` listens on? Accept NULL. */
bool cluster_listens(const struct worker *w);
bool cluster_listens_as(const struct worker *w, const struct worker *old);

/* No new connections for it any more: the run is going to be stopped. Accepts NULL. */
void cluster_leave(struct worker *w);
/* Asks it to disconnect. False: it is no worker, or has no channel any more. Accepts NULL. */
bool cluster_drain(struct worker *w);

/* An instance is at rest or deleted: sockets that are its own (CLUSTER_SLOTS) are given up. */
void cluster_slot_rests(struct cluster *c, uint64_t app, uint32_t instance);

/* Accepts nothing any more; true when no connection is in the engine's hands. */
bool cluster_quiet(struct cluster *c);
void cluster_go_on(struct cluster *c); /* accepts again */

#endif
