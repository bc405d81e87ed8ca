/*
 * The sockets that the daemon owns: those of `listen` in a configuration and those that Node's cluster
 * workers ask for. They outlive every worker, every reload and the engine: the keeper holds each one together
 * with what is known of it, under a token of its own (SOCKET_TOKEN_BIT), and children get them from it.
 */
#ifndef PM_DAEMON_SOCKETS_H
#define PM_DAEMON_SOCKETS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/kwire.h"

struct engine;
struct sockets;
struct sock;
struct sock_wait;
struct user_ids;

enum sock_kind { SOCK_TCP, SOCK_UDP, SOCK_UNIX };

/* What is asked for. All texts are copied. */
struct sock_request {
    uint64_t app;
    const char *key; /* identity within the app; the asker's choice */
    enum sock_kind kind;
    const char *host; /* numeric address or "localhost" (127.0.0.1); NULL = all, IPv6 with IPv4, or IPv4 where
                         there is no IPv6 */
    int port;         /* 0 = any */
    bool v6only;
    bool reuse_port;    /* several sockets of this app on one address, each with a queue of its own */
    bool reuse_address; /* UDP; a TCP socket always has it */
    int backlog;        /* <= 0: 511, as Node */
    const char *path;   /* SOCK_UNIX: absolute; "@name": abstract, the name may hold any bytes but NUL */
    uint32_t mode;      /* of the socket file; 0 = as the umask leaves it */
    bool add_mode;      /* `mode` is added to what the umask leaves (Node's readableAll, writableAll) */
    const char *owner, *group; /* of the socket file; NULL = the app's */
    const char *uid, *gid;     /* the app's, as in its configuration: with whose rights it is bound */
    /* Of the app's `listen`: children take it by its number, so it is a blocking one, as they expect it, and
     * it stays while the app is up, whether a run uses it or not. Its port may be a low one: the
     * configuration is the daemon's owner's. */
    bool configured;
    json_t *extra; /* kept with it, see sock_extra; may be NULL */
};

/* `error`: 0 and the socket, or negative errno and NULL, `words` then says what failed. In a later turn of
 * the loop, exactly once unless cancelled. */
typedef void (*sock_cb)(void *arg, struct sock *s, int error, const char *words);

#define KEEPER_HOLDS_SOCKETS 3u    /* from this KW_VERSION on */
#define SOCKETS_AN_APP       1024u /* beyond: -ENFILE */

struct sockets *sockets_new(struct engine *e);
void sockets_free(struct sockets *s); /* closes the engine's copies; the keeper's stay */

/* The socket of that app and key if there is one, else NULL. A unix socket whose file was removed or replaced
 * does not count: asking for it binds anew. */
struct sock *sockets_find(struct sockets *s, uint64_t app, const char *key);

/* Finds or binds. Two requests for the same one share it. */
struct sock_wait *sockets_open(struct sockets *s, const struct sock_request *r, sock_cb cb, void *arg);
void sockets_cancel(struct sock_wait *w); /* no answer comes */

/*
 * Finds or binds all of a list, in its order. `tokens`: of the sockets, valid during the call; NULL when one
 * failed, and then `error` and `words` are that one's. Once, in a later turn of the loop.
 */
typedef void (*sock_all_cb)(void *arg, const uint64_t *tokens, size_t n, int error, const char *words);
struct sock_all;
struct sock_all *sockets_open_all(struct sockets *s, const struct sock_request *r, size_t n, sock_all_cb cb,
                                  void *arg);
void sock_all_cancel(struct sock_all *a); /* not wanted any more: the answer is -ECANCELED, in a later turn */
void sock_all_forget(struct sock_all *a); /* no answer comes */

/* A run uses it from now on, or no longer. Runs that ended are taken out by sockets_run_ended. */
void sock_use(struct sock *s, uint64_t run);
void sock_unuse(struct sock *s, uint64_t run);
void sockets_run_ended(struct sockets *s, uint64_t run);
/* Every process of the app is at rest, or it is deleted: what no run uses is closed now. */
void sockets_app_rests(struct sockets *s, uint64_t app);
void sockets_app_deleted(struct sockets *s, uint64_t app);

/* Not of `listen` any more (its configuration changed): goes when no run uses it, now or later. */
void sock_release(struct sock *s);
void sock_retain(struct sock *s); /* but it is again */

int sock_fd(const struct sock *s); /* non-blocking, but for a `configured` one; stays the module's */
uint64_t sock_token(const struct sock *s);
uint64_t sock_app(const struct sock *s);
const char *sock_key(const struct sock *s);
enum sock_kind sock_kind(const struct sock *s);
int sock_port(const struct sock *s);            /* the real one; 0 for a unix socket */
const json_t *sock_extra(const struct sock *s); /* NULL when there is none */
const char *sock_address(const struct sock *s); /* for people: "0.0.0.0:3000", "[::]:80", "unix:/run/x" */

/* For each socket of the app, in the order in which they came. */
void sockets_each(struct sockets *s, uint64_t app, void (*fn)(void *arg, struct sock *s), void *arg);

struct sock *sockets_by_token(struct sockets *s, uint64_t token); /* NULL: none */

/* From the keeper's snapshot: takes the message's descriptors. Those of apps that are not known are dropped
 * by sockets_restored, which is called once when the state is together. */
void sockets_restore(struct sockets *s, struct kw_msg *m);
void sockets_restored(struct sockets *s);

/* The socket that was asked for so, taken out of a child that outlived both daemons (pidfd_getfd, which needs
 * the right to trace it). NULL when it has none, or it cannot be taken: what asks for it binds anew. */
struct sock *sockets_take_back(struct sockets *s, const struct sock_request *r, pid_t pid, int pidfd);

/* To a new keeper: everything once more. */
void sockets_hand_over(struct sockets *s);

#endif
