/* A blocking client of the daemon's socket, for the CLI and tests. */
#ifndef PM_IPC_CLIENT_H
#define PM_IPC_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "common/buf.h"
#include "common/home.h"

struct err;

struct rpc_client {
    int fd; /* -1 when not connected */
    long long next_id;
    struct buf in;
    json_t *server; /* result of hello */
    /* Is offered each notification that comes during a call; false: it is kept for rpc_next. May be NULL. */
    bool (*notify)(void *arg, const json_t *msg);
    void *notify_arg;
    int wake_fd;               /* waits end with -EINTR when it can be read; -1: none. Stays the caller's */
    json_t *pending;           /* notifications that came during calls */
    unsigned long long missed; /* those beyond their bound, counted as the daemon counts */
};

/*
 * Connects and says hello. `timeout_ms` bounds the connect and the handshake.
 * 0; -ENOENT or -ECONNREFUSED when no daemon runs; -ETIMEDOUT when one holds the socket but does not answer;
 * -EPROTO when the versions do not fit (the message says which side to update): the connection is then open
 * all the same, for ping and kill; after any other failure it is closed. -EPERM when the daemon refuses this
 * user.
 */
int rpc_connect(struct rpc_client *c, const struct home *home, const char *by, int timeout_ms, struct err *e);
void rpc_close(struct rpc_client *c);

/*
 * One call. `params` is stolen (NULL = {}). 0 and the result (caller owns), or: the server's error as a
 * positive number -code (e.g. 32011) with its message in `e` and its data (may be NULL) in *result; a
 * negative errno when the connection failed. timeout_ms < 0 waits for ever. SIGINT interrupts with -EINTR.
 */
int rpc_call(struct rpc_client *c, const char *method, json_t *params, int timeout_ms, json_t **result,
             struct err *e);

/*
 * As rpc_call, for an answer that comes in parts: each notification before the reply is handed over (it is
 * the client's; not to be freed), and the time counts anew. When `part` returns other than 0, that is
 * returned, and the connection is of no more use.
 */
typedef int (*rpc_part)(void *arg, const json_t *msg);
int rpc_call_parts(struct rpc_client *c, const char *method, json_t *params, int timeout_ms, rpc_part part,
                   void *arg, json_t **result, struct err *e);

/* JSON text as it came, NUL-terminated; rpc_text_free frees it. Zeroed: none. */
struct rpc_text {
    const char *text;
    size_t len;
    char *memory; /* what it stands in */
};
void rpc_text_free(struct rpc_text *t);

/* As rpc_call, but the result is the untouched text: for printing large answers. */
int rpc_call_raw(struct rpc_client *c, const char *method, json_t *params, int timeout_ms,
                 struct rpc_text *result, struct err *e);

/* The next notification (those that arrived during calls first). Same returns; method and params in *msg. */
int rpc_next(struct rpc_client *c, int timeout_ms, json_t **msg, struct err *e);

#endif
