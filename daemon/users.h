/*
 * Users and groups by name. The system's user database may ask a server (LDAP, and DNS for it) and then takes
 * as long as that takes, so it is asked on threads of its own: neither the loop nor libuv's few threads,
 * which have processes to stop, ever wait for it, and a thread that hangs does not keep the daemon from
 * ending.
 */
#ifndef PM_DAEMON_USERS_H
#define PM_DAEMON_USERS_H

#include <stdint.h>
#include <uv.h>

#include "common/spawn_spec.h"

struct err;

/* Who a child is to be. */
struct user_ids {
    uint32_t uid, gid, ngroups;
    uint32_t groups[SPAWN_GROUPS_MAX];
    char *name, *home; /* of the user's entry; NULL when there is none */
};
void user_ids_deinit(struct user_ids *ids);

/*
 * Asks the system, and blocks meanwhile. `uid` and `gid` are names or numbers; NULL = the daemon's own, and
 * the group of the user. 0, or negative with words in `e`; user_ids_deinit in both cases.
 */
int users_ask(const char *uid, const char *gid, struct user_ids *out, struct err *e);

typedef int (*users_ask_fn)(const char *uid, const char *gid, struct user_ids *out, struct err *e);

struct users;
struct user_wait;

/* `ids` is NULL when it failed; then `e` says why. Both are valid during the call only. */
typedef void (*users_cb)(void *arg, const struct user_ids *ids, const struct err *e);

/* `ask` is users_ask, but for tests. It may outlive users_close on a thread. NULL when out of descriptors. */
struct users *users_open(uv_loop_t *loop, users_ask_fn ask);

/* The answer comes in a later turn of the loop, after 30 s at the latest; who asks the same at the same time
 * shares it. */
struct user_wait *users_find(struct users *u, const char *uid, const char *gid, users_cb cb, void *arg);

/* The answer is not wanted any more: it comes in the next turn, as -ECANCELED. */
void users_cancel(struct user_wait *w);

/* Answers all who wait with -ECANCELED, before it returns. Accepts NULL. */
void users_close(struct users *u);

#endif
