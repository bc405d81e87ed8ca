/* What the files sockets*.c share; nobody else includes this. */
#ifndef PM_DAEMON_SOCKETS_INT_H
#define PM_DAEMON_SOCKETS_INT_H

#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <uv.h>

#include "common/err.h"
#include "daemon/sockets.h"
#include "daemon/users.h"

#define SOCK_BACKLOG 511
/* A worker closed its server while it lives: asked for again within this time (by the next worker) it is the
 * same socket. */
#define SOCK_CLOSED_MS 5000u
/* Its last worker ended: the next one asks for it as soon as it has started, however long that takes. */
#define SOCK_ENDED_MS 60000u

/* Which file a unix socket is; all 0: none (abstract, or another kind). */
struct sock_file {
    uint64_t dev, ino;
};

struct sock {
    struct sockets *set;
    uint64_t token, app;
    char *key;
    enum sock_kind kind;
    int fd;
    int port;
    char *address;
    char *path; /* SOCK_UNIX; "@...": abstract */
    struct sock_file file;
    bool released; /* the configuration has it no more: it goes with its last user */
    bool configured;
    bool replaced; /* its file went, another socket has its key: only its runs hold it */
    json_t *extra;
    uint64_t *runs; /* that use it */
    size_t n_runs;
    uint64_t unused_ms; /* mono: since when nobody uses it; 0 = not to be watched */
    uint64_t linger_ms; /* after which it goes */
    TAILQ_ENTRY(sock) entry;
};

struct sock_open;
TAILQ_HEAD(sock_list, sock);
TAILQ_HEAD(sock_open_list, sock_open);

struct sockets {
    struct engine *engine;
    struct sock_list list;
    unsigned n;
    uint64_t last_token; /* without the bit */
    struct sock_open_list opens;
    unsigned removing;  /* socket files that are being removed: binding to a path waits for that */
    uint64_t closed_ms; /* mono: the last time one was closed, which the keeper may have to do yet */
    uv_timer_t timer;   /* looks at the unused ones */
    bool closed;        /* the timer is; freed with the last removal */
};

/* One bind, for a worker thread: copies of what is needed, and what came of it. */
struct sock_bind {
    enum sock_kind kind;
    char *host, *path;
    int port, backlog;
    bool v6only, reuse_port, reuse_address, blocking;
    uint32_t mode;
    bool add_mode;
    bool by_app;  /* asked for by the app itself, not by the configuration, which is the daemon's owner's */
    bool as_user; /* with the rights of `ids`, which are not the daemon's */
    struct user_ids ids;   /* name and home unset */
    uint32_t owner, group; /* of the socket file; UINT32_MAX = as it is */
    bool may_retry;        /* the address may be one that was given up a moment ago */
    bool exists;           /* there is one, `file`: nothing to bind */
    /* out */
    int fd; /* -1 when it failed, or nothing was to do */
    int real_port;
    char *address;
    struct sock_file file;
    int error; /* negative errno; set before the run: nothing is done */
    struct err err;
};

/* sockets_bind.c: may block for as long as the file system does. */
void sock_bind_run(struct sock_bind *b);
void sock_bind_deinit(struct sock_bind *b);
int sock_bind_fail(struct sock_bind *b, int error, const char *what); /* "cannot <what> <address>: ..." */
char *sock_address_text(enum sock_kind kind, const struct sockaddr *a, int *port);
bool sock_address_of(const struct sock_bind *b, int family, struct sockaddr_storage *out, socklen_t *len);

/* sockets_unix.c: as sock_bind_run */
int sock_unix_bind(struct sock_bind *b);
int sock_unix_dress(struct sock_bind *b);        /* mode and owner of what is there (b->file) */
struct sock_file sock_file_at(const char *path); /* all 0: none, or no socket */
void sock_file_remove(const char *path, struct sock_file file);

/* sockets_owner.c: " (by pid 12 node)", or nothing; for error messages, on a thread. */
void sock_owner_words(enum sock_kind kind, int port, char *out, size_t size);

/* sockets_take.c: of an internet address, whatever its port */
bool sock_any_host(const struct sockaddr_storage *a);
bool sock_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

/* sockets_open.c */
void sock_opens_continue(struct sockets *s); /* no file is being removed any more */
void sock_opens_forget(struct sockets *s);
void sock_bind_init(struct sock_bind *b, const struct sock_request *r);

/* sockets.c */
/* Takes the descriptor, the file and the address of `b`. NULL when it cannot be kept (*error says why). */
struct sock *sock_new(struct sockets *s, const struct sock_request *r, struct sock_bind *b, int *error);
struct sock *sock_insert(struct sockets *s, struct sock *fresh); /* with its token set */
unsigned sock_count(const struct sockets *s, uint64_t app);
void sock_free(struct sock *s); /* the keeper keeps it */

/* sockets_life.c */
void sock_close(struct sock *s);
/* On a thread; if it still is the one that was made. */
void sock_remove_file(struct sock *s);
void sock_remove_path(struct sockets *s, char *take_path, struct sock_file file);
void sock_linger(struct sock *s, uint64_t ms);
bool sock_app_up(const struct sockets *s, uint64_t app);
bool sock_app_known(const struct sockets *s, uint64_t app);

/* sockets_keep.c: to the keeper. 0 or negative errno. */
int sock_keep(struct sock *s);
bool sock_keeper_can(const struct sockets *s); /* is it of a version that holds sockets? */

#endif
