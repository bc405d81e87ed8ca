/*
 * Round robin: the engine accepts and passes each connection to the next worker that has answered for the
 * last one. While none is free nothing is accepted, so that connections wait in the kernel's queue, where the
 * death of engine or worker does not touch them. What is between accept and the worker's answer is at most
 * one connection for each worker and server; it is offered to another when the worker refuses it or dies.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/plog.h"
#include "daemon/cluster_int.h"

#define PAUSE_FIRST_MS 10u  /* when every worker has refused a connection... */
#define PAUSE_LAST_MS  500u /* ...and at most */
#define NO_FILES_MS    100u

struct rr_conn {
    struct rr *rr;
    int fd;
    uint32_t seq; /* of the newconn */
    unsigned refusals;
    unsigned pause_ms;
    TAILQ_ENTRY(rr_conn) entry; /* in hand: offered to nobody now */
};
TAILQ_HEAD(conn_list, rr_conn);

/* A worker's place at a socket. */
struct seat {
    struct worker *worker;
    struct rr_conn *busy; /* passed, not answered */
    bool left;            /* gets no more, and goes when it has answered */
    TAILQ_ENTRY(seat) entry;
};
TAILQ_HEAD(seat_list, seat);

struct rr {
    struct cluster *set;
    uint64_t token;
    int fd; /* a duplicate of the socket */
    uv_poll_t poll;
    uv_timer_t pause;
    int handles;
    bool polling, pausing, closing;
    bool trouble;           /* accept fails, and it was said */
    struct seat_list seats; /* whose turn is next is first */
    unsigned n_seats;
    struct conn_list in_hand;
    TAILQ_ENTRY(rr) entry;
};

static void kick(struct rr *rr);

static void on_closed(uv_handle_t *handle)
{
    struct rr *rr = handle->data;

    if (--rr->handles > 0)
        return;
    close(rr->fd);
    free(rr);
}

static void conn_free(struct rr_conn *conn)
{
    close(conn->fd);
    free(conn);
}

static void rr_close(struct rr *rr)
{
    struct rr_conn *conn;

    while ((conn = TAILQ_FIRST(&rr->in_hand))) {
        TAILQ_REMOVE(&rr->in_hand, conn, entry);
        conn_free(conn);
    }
    TAILQ_REMOVE(&rr->set->rrs, rr, entry);
    rr->closing = true;
    uv_close((uv_handle_t *)&rr->poll, on_closed);
    uv_close((uv_handle_t *)&rr->pause, on_closed);
}

static struct rr *rr_find(struct cluster *c, uint64_t token)
{
    struct rr *rr;

    TAILQ_FOREACH (rr, &c->rrs, entry) {
        if (rr->token == token)
            return rr;
    }
    return NULL;
}

static struct rr *rr_new(struct cluster *c, struct sock *s)
{
    struct rr *rr = xcalloc(1, sizeof(*rr));

    rr->set = c;
    rr->token = sock_token(s);
    rr->fd = fcntl(sock_fd(s), F_DUPFD_CLOEXEC, 3);
    if (rr->fd < 0 || fcntl(rr->fd, F_SETFL, fcntl(rr->fd, F_GETFL) | O_NONBLOCK) < 0 ||
        uv_poll_init(c->loop, &rr->poll, rr->fd) < 0) {
        log_error("cannot accept connections on %s: %s", sock_address(s), strerror(errno));
        if (rr->fd >= 0)
            close(rr->fd);
        free(rr);
        return NULL;
    }
    uv_timer_init(c->loop, &rr->pause);
    rr->poll.data = rr->pause.data = rr;
    rr->handles = 2;
    TAILQ_INIT(&rr->seats);
    TAILQ_INIT(&rr->in_hand);
    TAILQ_INSERT_TAIL(&c->rrs, rr, entry);
    return rr;
}

static struct seat *seat_of(struct rr *rr, const struct worker *w)
{
    struct seat *seat;

    TAILQ_FOREACH (seat, &rr->seats, entry) {
        if (seat->worker == w)
            return seat;
    }
    return NULL;
}

static struct seat *free_seat(struct rr *rr)
{
    struct seat *seat;

    TAILQ_FOREACH (seat, &rr->seats, entry) {
        if (!seat->busy && !seat->left && worker_may_send_fd(seat->worker))
            return seat;
    }
    return NULL;
}

/* The line that goes with the next connection for this worker; its sequence number. */
static uint32_t prepare(const struct rr *rr, struct worker *w, struct buf *line)
{
    uint32_t seq = worker_next_seq(w);
    char fields[64];

    snprintf(fields, sizeof(fields), "\"act\":\"newconn\",\"key\":\"%llu\"", (unsigned long long)rr->token);
    worker_line(w, line, fields, seq, true, false);
    return seq;
}

/* It is on its way: this worker's turn comes after all others'. */
static void passed(struct rr *rr, struct seat *seat, struct rr_conn *conn)
{
    seat->busy = conn;
    seat->worker->flight = FLIGHT_CONN;
    seat->worker->flight_conn = conn;
    TAILQ_REMOVE(&rr->seats, seat, entry);
    TAILQ_INSERT_TAIL(&rr->seats, seat, entry);
}

/* 0, or negative errno: this worker takes nothing now. */
static int pass(struct rr *rr, struct seat *seat, struct rr_conn *conn)
{
    struct buf line = {0};
    int rc;

    conn->seq = prepare(rr, seat->worker, &line);
    rc = worker_send_line(seat->worker, line.data, conn->fd);
    buf_free(&line);
    if (rc == 0)
        passed(rr, seat, conn);
    else if (rc != -EAGAIN)
        seat->left = true; /* its channel is closed, which is noticed in a moment */
    return rc;
}

/* Offers it to the free workers. True: one has it. */
static bool offer(struct rr *rr, struct rr_conn *conn)
{
    struct seat *seat;

    while ((seat = free_seat(rr))) {
        if (pass(rr, seat, conn) == 0)
            return true;
        /* Its socket is full, which worker_may_send_fd knows from now on; or it is gone. */
        if (worker_may_send_fd(seat->worker) && !seat->left)
            return false;
    }
    return false;
}

static void on_pause_over(uv_timer_t *timer)
{
    struct rr *rr = timer->data;

    rr->pausing = false;
    kick(rr);
}

static void pause_for(struct rr *rr, unsigned ms)
{
    rr->pausing = true;
    uv_timer_start(&rr->pause, on_pause_over, ms, 0);
}

static void hold(struct rr *rr, struct rr_conn *conn)
{
    conn->seq = 0;
    TAILQ_INSERT_TAIL(&rr->in_hand, conn, entry);
}

/* A connection that was given up meanwhile says nothing of the next one. Else (no descriptors left; a holder
 * of the socket has shut it down) the event would come again at once, for ever. */
static void accept_failed(struct rr *rr, int error)
{
    if (error == EAGAIN || error == EINTR || error == ECONNABORTED || error == EPERM)
        return;
    if (!rr->trouble)
        log_error("cannot accept a connection: %s", strerror(error));
    rr->trouble = true;
    pause_for(rr, NO_FILES_MS);
}

static bool may_accept(struct rr *rr)
{
    return !rr->pausing && !rr->set->quiet && TAILQ_EMPTY(&rr->in_hand) && free_seat(rr);
}

/* Passes one on from the kernel's queue, to the free worker that there is. False: none was to be had. */
static bool accept_one(struct rr *rr)
{
    struct seat *seat = free_seat(rr);
    struct rr_conn *conn = xcalloc(1, sizeof(*conn));
    struct buf line = {0};
    int rc = -EAGAIN;

    conn->rr = rr;
    conn->seq = prepare(rr, seat->worker, &line);
    /* A connection that is accepted and not sent dies with this engine: nothing comes between the two. */
    conn->fd = accept4(rr->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (conn->fd >= 0)
        rc = worker_send_line(seat->worker, line.data, conn->fd);
    else
        accept_failed(rr, errno);
    rr->trouble &= conn->fd < 0;
    buf_free(&line);
    if (conn->fd < 0) {
        free(conn);
        return false;
    }
    if (rc == 0)
        passed(rr, seat, conn);
    else if (!offer(rr, conn))
        hold(rr, conn);
    return true;
}

/* The socket is watched for longer than somebody is free: to stop and start for each connection would cost
 * four system calls. Under load it is found unwatched, and kick() fetches the next one without an event. */
static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct rr *rr = poll->data;

    (void)events;
    if (status < 0)
        accept_failed(rr, -status);
    if (status < 0 || !may_accept(rr)) {
        rr->polling = false;
        uv_poll_stop(poll);
    } else {
        accept_one(rr);
    }
    kick(rr);
}

/* Passes what is in hand, then what waits in the kernel, and listens if somebody is still free. */
static void kick(struct rr *rr)
{
    struct rr_conn *conn;

    if (rr->closing)
        return;
    while (!rr->pausing && (conn = TAILQ_FIRST(&rr->in_hand))) {
        if (!offer(rr, conn))
            break;
        TAILQ_REMOVE(&rr->in_hand, conn, entry);
    }
    if (!rr->n_seats && (TAILQ_EMPTY(&rr->in_hand) || !sockets_by_token(rr->set->sockets, rr->token))) {
        rr_close(rr);
        return;
    }
    if (!rr->n_seats && !rr->pausing)
        pause_for(rr, PAUSE_LAST_MS); /* until a worker comes, or the socket goes */
    while (!rr->polling && may_accept(rr) && accept_one(rr))
        ;
    if (!rr->polling && may_accept(rr)) {
        rr->polling = true;
        uv_poll_start(&rr->poll, UV_READABLE, on_connection);
    }
}

bool rr_prepare(struct worker *w, struct sock *s)
{
    return rr_find(w->set, sock_token(s)) || rr_new(w->set, s);
}

void rr_join(struct worker *w, struct state_entry *e)
{
    struct sock *s = sockets_by_token(w->set->sockets, e->token);
    struct rr *rr = s && rr_prepare(w, s) ? rr_find(w->set, e->token) : NULL;
    struct seat *seat;

    if (!rr)
        return;
    if ((seat = seat_of(rr, w))) {
        seat->left = false;
        return;
    }
    seat = xcalloc(1, sizeof(*seat));
    seat->worker = w;
    TAILQ_INSERT_HEAD(&rr->seats, seat, entry);
    rr->n_seats++;
    kick(rr);
}

static void leave(struct rr *rr, struct seat *seat)
{
    struct worker *w = seat->worker;
    struct rr_conn *conn = seat->busy;

    if (conn && w->flight == FLIGHT_CONN && w->flight_conn == conn) {
        w->flight = FLIGHT_NONE;
        w->flight_conn = NULL;
    }
    if (conn)
        hold(rr, conn);
    TAILQ_REMOVE(&rr->seats, seat, entry);
    rr->n_seats--;
    free(seat);
}

void rr_leave(struct worker *w, uint64_t token)
{
    struct rr *rr, *next;

    for (rr = TAILQ_FIRST(&w->set->rrs); rr; rr = next) {
        struct seat *seat = seat_of(rr, w);

        next = TAILQ_NEXT(rr, entry);
        if (!seat || (token && rr->token != token))
            continue;
        seat->left = true;
        if (!seat->busy)
            leave(rr, seat);
        kick(rr);
    }
}

void rr_gone(struct worker *w)
{
    struct rr *rr, *next;

    for (rr = TAILQ_FIRST(&w->set->rrs); rr; rr = next) {
        struct seat *seat = seat_of(rr, w);

        next = TAILQ_NEXT(rr, entry);
        if (seat)
            leave(rr, seat);
        if (seat || !rr->n_seats) /* or it was to come here, and did not live to */
            kick(rr);
    }
}

/* Another gets it; when all have refused, after a moment. */
static void refused(struct rr *rr, struct rr_conn *conn)
{
    hold(rr, conn);
    if (++conn->refusals < rr->n_seats)
        return;
    conn->refusals = 0;
    conn->pause_ms = conn->pause_ms ? conn->pause_ms * 2 : PAUSE_FIRST_MS;
    if (conn->pause_ms > PAUSE_LAST_MS)
        conn->pause_ms = PAUSE_LAST_MS;
    pause_for(rr, conn->pause_ms);
}

static void free_up(struct rr *rr, struct seat *seat)
{
    seat->busy = NULL;
    if (seat->left)
        leave(rr, seat);
}

void rr_answer(struct worker *w, uint32_t seq, bool accepted)
{
    struct rr *rr;

    TAILQ_FOREACH (rr, &w->set->rrs, entry) {
        struct seat *seat = seat_of(rr, w);
        struct rr_conn *conn = seat ? seat->busy : NULL;

        if (!conn || conn->seq != seq)
            continue;
        if (w->flight == FLIGHT_CONN && w->flight_conn == conn) {
            w->flight = FLIGHT_NONE; /* who answers has received it */
            w->flight_conn = NULL;
        }
        free_up(rr, seat);
        if (!accepted)
            refused(rr, conn);
        worker_pump(w);
        kick(rr);
        if (accepted)
            conn_free(conn); /* last: the worker has the next one by now */
        return;
    }
}

void rr_acked(struct worker *w, bool received)
{
    struct rr_conn *conn = w->flight_conn;
    struct rr *rr = conn->rr;
    struct seat *seat = seat_of(rr, w);

    w->flight = FLIGHT_NONE;
    w->flight_conn = NULL;
    if (received) {
        w->nacks = 0;
        return;
    }
    /* The worker has no descriptor left for it. */
    w->nacks++;
    if (seat)
        free_up(rr, seat);
    refused(rr, conn);
    kick(rr);
}

void rr_pump(struct worker *w)
{
    struct rr *rr, *next;

    for (rr = TAILQ_FIRST(&w->set->rrs); rr; rr = next) {
        next = TAILQ_NEXT(rr, entry);
        if (seat_of(rr, w))
            kick(rr);
    }
}

bool cluster_quiet(struct cluster *c)
{
    struct rr *rr, *next;
    bool none = true;

    c->quiet = true;
    for (rr = TAILQ_FIRST(&c->rrs); rr; rr = next) {
        struct seat *seat;

        next = TAILQ_NEXT(rr, entry);
        none &= TAILQ_EMPTY(&rr->in_hand);
        TAILQ_FOREACH (seat, &rr->seats, entry) {
            none &= !seat->busy;
        }
        kick(rr);
    }
    return none;
}

void cluster_go_on(struct cluster *c)
{
    struct rr *rr, *next;

    c->quiet = false;
    for (rr = TAILQ_FIRST(&c->rrs); rr; rr = next) {
        next = TAILQ_NEXT(rr, entry);
        kick(rr);
    }
}

void rr_free_all(struct cluster *c)
{
    while (!TAILQ_EMPTY(&c->rrs))
        rr_close(TAILQ_FIRST(&c->rrs));
}
