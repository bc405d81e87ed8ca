/* What the files cluster*.c share; nobody else includes this. */
#ifndef PM_DAEMON_CLUSTER_INT_H
#define PM_DAEMON_CLUSTER_INT_H

#include <jansson.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "daemon/channel.h"
#include "daemon/cluster.h"
#include "daemon/cluster_state.h"
#include "daemon/sockets.h"

struct rr;
struct rr_conn;
TAILQ_HEAD(rr_list, rr);
TAILQ_HEAD(worker_list, worker);

struct cluster {
    uv_loop_t *loop;
    struct sockets *sockets;
    struct cluster_hooks hooks;
    struct worker_list workers;
    struct rr_list rrs;
    bool quiet; /* nothing is accepted any more */
};

/* A request under way: of the line that waits in the channel. */
struct query {
    bool active;
    uint32_t seq;
    struct sock_wait *wait; /* the bind is under way */
    bool found;             /* it is over: `token`, or `error` */
    uint64_t token;
    int error; /* negative errno */
};

enum in_flight { FLIGHT_NONE, FLIGHT_ENTRY, FLIGHT_CONN };

/* What the keeper is asked for. */
enum asked { ASKED_NOTHING, ASKED_ACK, ASKED_DISCONNECT };

struct worker {
    struct cluster *set;
    uint64_t run, app;
    uint32_t instance;
    bool is_worker;
    enum cluster_schedule schedule;
    char *uid, *gid;

    struct channel *channel;
    struct state *state; /* NULL for what is no worker, until there is something to note */
    uv_timer_t timer;    /* resending after a NACK; the last moment of a drained worker */
    bool told;           /* asked to disconnect */
    bool want_told;      /* to be asked for */
    bool left;           /* takes no connections any more */
    bool ended;          /* the channel is closed */
    enum asked asked;
    bool message_told; /* the application's message in the line that is being answered */
    struct query query;

    /* One handle is on its way at a time. */
    enum in_flight flight;
    struct state_entry *flight_entry;
    uint32_t flight_query;
    struct rr_conn *flight_conn;
    unsigned nacks; /* of this handle */
    bool blocked;   /* the socket is full */
    bool starved;   /* blocked, until the timer is over */
    bool waiting;   /* a moment, after a NACK */
    TAILQ_ENTRY(worker) entry;
};

/* cluster.c */
void worker_pump(struct worker *w); /* sends what is due and possible */
bool worker_may_send_fd(const struct worker *w);
uint32_t worker_next_seq(struct worker *w);
/* A cluster message: `fields` without braces and without cmd and seq. 0, or negative errno; at -EAGAIN
 * worker_pump comes when there is room. */
int worker_send(struct worker *w, const char *fields, int fd, bool udp);
void worker_resume(struct worker *w); /* looks at the line that waits once more */
void worker_ask_disconnect(struct worker *w);
int worker_send_line(struct worker *w, const char *line, int fd);
void worker_line(const struct worker *w, struct buf *out, const char *fields, uint32_t seq, bool with_fd,
                 bool udp);
struct state *worker_state(struct worker *w);

/* cluster_query.c */
enum channel_verdict query_line(struct worker *w, json_t *msg);
void query_cancel(struct worker *w);
void query_pump(struct worker *w); /* sockets that the worker is to get */
void query_acked(struct worker *w, bool received);
/* The name under which `listening` will speak of it. */
uint64_t query_name(json_t *msg, int real_port);
/* The engine before this one had given it these. */
void query_restore(struct worker *w);

/* cluster_address.c: what the worker wants, as a request to sockets.h */
struct wanted {
    struct sock_request r;
    struct buf key, path;
    uint64_t token; /* a socket that is there already, of `listen`; 0 = to be asked for */
};
/* 0, or negative errno: what Node's error will say. */
int wanted_init(struct wanted *d, struct worker *w, json_t *msg);
void wanted_deinit(struct wanted *d);

/* cluster_rr.c */
bool rr_prepare(struct worker *w, struct sock *s); /* false: its connections cannot be accepted */
void rr_join(struct worker *w, struct state_entry *e);
void rr_leave(struct worker *w, uint64_t token); /* 0: all */
void rr_gone(struct worker *w);                  /* its channel is closed: what it had not answered goes on */
void rr_answer(struct worker *w, uint32_t seq, bool accepted);
void rr_acked(struct worker *w, bool received);
void rr_pump(struct worker *w); /* it may take handles again */
void rr_free_all(struct cluster *c);

#endif
