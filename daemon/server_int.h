/* What the files server*.c share; nobody else includes this. */
#ifndef PM_DAEMON_SERVER_INT_H
#define PM_DAEMON_SERVER_INT_H

#include "daemon/server.h"

#define CONNECTIONS_MAX  1024
#define HELLO_MS         10000u              /* a connection that has not said hello by then is closed */
#define IN_FLIGHT_MAX    64u                 /* requests of one connection; beyond, it is not read */
#define QUEUE_MAX        (64u * 1024 * 1024) /* bytes of replies that wait to be read; beyond, it is closed */
#define UNREAD_MAX       (1024u * 1024)      /* bytes of replies; beyond, no further requests are read */
#define STREAM_QUEUE_MAX (1024u * 1024)      /* bytes; beyond, notifications are skipped and counted */
#define CLOSE_FLUSH_MS   1000u
#define LINGER_MS        5000u /* for the last words to a connection that is being closed */

TAILQ_HEAD(request_list, rpc_request);
TAILQ_HEAD(stream_list, conn_stream);

struct conn {
    struct server *server;
    uv_pipe_t pipe;
    uv_timer_t timer; /* for the hello to come, or for the end to be read */
    int open_handles;
    uint32_t uid;
    int32_t pid;
    char *by;
    json_t *env;
    bool hello;                   /* the handshake is done */
    bool eof;                     /* the peer writes no more; pending answers still go out */
    bool closing;                 /* uv_close was called */
    bool finish;                  /* close when everything is written */
    bool broken;                  /* nothing can be written any more; closed on the next turn of the loop */
    bool paused;                  /* not read because too much is in flight or unread */
    struct buf in;                /* an unfinished line */
    struct request_list requests; /* in flight */
    unsigned in_flight;
    size_t queued; /* bytes handed to libuv and not written yet */
    struct stream_list streams;
    TAILQ_ENTRY(conn) entry;
};

struct conn_stream {
    struct conn *conn; /* NULL once it is gone */
    char method[32];
    uint64_t missed;
    conn_stream_closed closed;
    void (*room)(void *arg); /* may be NULL */
    bool full;               /* `room` is to be called */
    void *arg;
    TAILQ_ENTRY(conn_stream) entry;
};

struct server {
    struct server_config cfg;
    uv_poll_t listener;
    uv_timer_t timer; /* a pause of accepting; the end of closing */
    int open_handles;
    TAILQ_HEAD(, conn) conns;
    unsigned n_conns;
    uint64_t started_ms;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* server_conn.c */
void conn_open(struct server *s, int fd, uint32_t uid, int32_t pid);
#define WRITE_PARTS_MAX 3
void conn_write_parts(struct conn *c, struct buf *take,
                      unsigned n);                 /* one line in up to three pieces; takes them */
void conn_write(struct conn *c, struct buf *take); /* a whole line; takes the bytes */
void conn_finish(struct conn *c);                  /* close when all is written */
void conn_close(struct conn *c);
void conn_turn_out(struct conn *c, int code, const char *why); /* one error line, and closed at once */
void conn_resume(struct conn *c);
void server_conn_gone(struct server *s);

/* server_stream.c */
void conn_streams_drained(struct conn *c); /* there is room in the queue again */
void conn_streams_gone(struct conn *c);

/* server_request.c */
bool conn_request(struct conn *c, const char *text, size_t len); /* one line; false: stop reading it */
void conn_requests_gone(struct conn *c);

#endif
