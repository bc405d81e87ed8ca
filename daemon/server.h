/*
 * The client socket: accepts, checks the peer, frames, checks requests against the method table, and calls
 * the handlers. Handlers may answer at once or later; connections may go away in between.
 */
#ifndef PM_DAEMON_SERVER_H
#define PM_DAEMON_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "common/buf.h"
#include "ipc/methods.h"

struct server;
struct conn;

/* One request that waits for its answer. Freed by rpc_reply, rpc_reply_text or rpc_fail: exactly one of them
 * must be called, once, also when the connection is gone by then. */
struct rpc_request {
    struct conn *conn; /* NULL once the connection is gone */
    const struct method *method;
    json_t *params; /* owned by the request; an object that passed method_check */
    json_t *id;     /* NULL for a notification */
    TAILQ_ENTRY(rpc_request) entry;
};

typedef void (*rpc_handler)(void *arg, struct rpc_request *r);

/* What a connection told about itself. */
const char *conn_by(const struct conn *c);      /* "pm stop api (uid 0, pid 1234)"; never NULL */
json_t *conn_env(struct conn *c);               /* base environment; borrowed; NULL before env.set */
void conn_set_env(struct conn *c, json_t *env); /* takes a reference of its own */

void rpc_reply(struct rpc_request *r, json_t *result); /* steals result */
void rpc_reply_text(struct rpc_request *r,
                    struct buf *result); /* result as JSON text; the buffer is taken and emptied */
void rpc_fail(struct rpc_request *r, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A stream to a connection: notifications that are skipped and counted while the peer does not read. */
struct conn_stream;
typedef void (*conn_stream_closed)(
    void *arg); /* the connection is gone: stop feeding; the stream is freed after this */
struct conn_stream *conn_stream_new(struct conn *c, conn_stream_closed closed, void *arg);
/* Sends the line (a whole JSON message without "\n") or, when the queue is over its bound, counts `weight` as
 * missed. When there is room again, {"method":<method>,"params":{"missed":N}} is sent first. */
void conn_stream_send(struct conn_stream *s, const char *method, const char *text, size_t len,
                      uint64_t weight);
void conn_stream_missed(struct conn_stream *s, uint64_t weight); /* count without sending */
/* Sends a line that must not be lost, whatever is queued. False: send no more before `room` was called. */
bool conn_stream_must_send(struct conn_stream *s, const char *text, size_t len);
void conn_stream_on_room(struct conn_stream *s, void (*room)(void *arg));
void conn_stream_free(struct conn_stream *s);

struct server_config {
    uv_loop_t *loop;
    int listen_fd;               /* stays the caller's */
    void *arg;                   /* for the handlers */
    const rpc_handler *handlers; /* METHOD_COUNT entries; M_HELLO and M_PING are the server's own and NULL */
    const char *home;
    int keeper_pid;
    const char *update_error; /* why the last update did not take place; NULL: it did */
    bool (*refuse)(void *arg, const struct method *m); /* true: answer RPC_SHUTTING_DOWN; may be NULL */
};

struct server *server_new(const struct server_config *cfg);
void server_set_keeper_pid(struct server *s, int pid);
/* Stops accepting, flushes what is queued (at most 1 s), closes all; `closed` comes when nothing is left on
 * the loop. */
void server_close(struct server *s, void (*closed)(void *arg), void *arg);

#endif
