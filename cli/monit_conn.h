/* A connection to the daemon that never waits: for a screen that must go on. */
#ifndef PM_CLI_MONIT_CONN_H
#define PM_CLI_MONIT_CONN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

struct home;
struct err;

struct monit_conn {
    int fd; /* -1: none */
    struct buf in, out;
    size_t seen; /* bytes of `in` that hold no line break */
    long long next_id;
};

/* One message of the daemon, lent. False: look at no more of them; the connection may be closed then. */
typedef bool (*monit_conn_take)(void *arg, const json_t *msg);

/* Connects and sends hello, whose id is 1. 0 or -errno (-ENOENT, -ECONNREFUSED: no daemon). */
int monit_conn_open(struct monit_conn *c, const struct home *home, const char *by);
void monit_conn_close(struct monit_conn *c);

/* Queues a request; `params` is stolen. Returns its id. */
long long monit_conn_send(struct monit_conn *c, const char *method, json_t *params);

/* Writes what can be written. 0 or -errno. */
int monit_conn_flush(struct monit_conn *c);

/* Reads at most `most` bytes and hands over the whole messages. 0, or -errno (-ECONNRESET: the daemon's end).
 */
int monit_conn_read(struct monit_conn *c, size_t most, monit_conn_take take, void *arg);

#endif
