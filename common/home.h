/*
 * PM_HOME: the folder that holds one daemon's socket, lock, databases and logs.
 *
 * Sockets are addressed as /proc/self/fd/<dirfd>/<name>, so that a home whose path is longer than sun_path
 * (108 bytes) works as any other.
 */
#ifndef PM_COMMON_HOME_H
#define PM_COMMON_HOME_H

#include <sys/socket.h>
#include <sys/un.h>

struct err;

#define HOME_SOCKET  "pm.sock"     /* clients; listening socket, 0600 */
#define HOME_ATTACH  "attach.sock" /* SOCK_SEQPACKET: a new keeper attaches to a living engine */
#define HOME_LOCK    "pmd.lock"    /* flock: one daemon a home */
#define HOME_PID     "pmd.pid"     /* the keeper's pid, for people; nothing decides by it */
#define HOME_LOG     "pmd.log"
#define HOME_STATE   "state.db"
#define HOME_LOGS    "logs.db"
#define HOME_METRICS "metrics.db"

struct home {
    char *path; /* absolute, on the heap */
    int dirfd;  /* O_PATH; -1 while not opened */
};

/* The path that `flag` (may be NULL), PM_HOME or ~/.pm name, in this order, made absolute. The caller frees.
 * NULL with the message set when there is no home folder to be found. */
char *home_path(const char *flag, struct err *e);

/* Opens the home; `create` makes it (0700). 0, -ENOENT when it is not there, or another negative errno. */
int home_open(struct home *h, const char *path, int create, struct err *e);
void home_close(struct home *h);

/* Address of a socket in the home. Returns its length for bind and connect. */
socklen_t home_sockaddr(const struct home *h, const char *name, struct sockaddr_un *out);

/* "<home>/<name>"; the caller frees. */
char *home_file(const struct home *h, const char *name);

#endif
