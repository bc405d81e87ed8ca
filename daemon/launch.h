/* From an app's configuration to what the keeper needs for a child: program, arguments, environment, rights.
 */
#ifndef PM_DAEMON_LAUNCH_H
#define PM_DAEMON_LAUNCH_H

#include "common/spawn_spec.h"
#include "daemon/process.h"

struct user_ids;

struct launch {
    struct spawn_spec spec; /* points into what is below and into the app_spec */
    char **argv, **envp;
    bool ipc;    /* a Node channel is wanted */
    bool notify; /* an sd_notify socket is wanted */
};

struct launch_ctx {
    const char *home;
    const char *home_id;
    const char *notify_name;    /* abstract address without the leading NUL, or NULL */
    const char *graceful_http;  /* path of graceful_http.js; NULL = not wanted, or none can be given */
    const char *node_probe;     /* the same of node_probe.js */
    const struct user_ids *ids; /* who the child is to be; NULL = as the daemon */
    const uint64_t *sockets;    /* tokens of what it gets as descriptors 3, 4...; at most SPAWN_SOCKETS_MAX */
    uint32_t nsockets;
    const char *adopt_library; /* preloaded for sockets with `adopt`; NULL = there are none */
    const char *adopt;         /* which those are: "3=0.0.0.0:80;4=[::1]:81" */
};

/* Never blocks: names of users were looked up before, the interpreter is looked for by the child. */
void launch_init(struct launch *l, const struct launch_ctx *ctx, const struct process *p);
void launch_deinit(struct launch *l);

/* Does the child speak Node's IPC (a Node program, or an app that is to be asked over it)? */
bool launch_wants_ipc(const struct app_spec *s);

/* Is this a cluster worker that is to be loaded with graceful_http.js? Not where it would not start with it:
 * Node's permission model may forbid it to read the file. */
bool launch_wants_graceful_http(const struct app_spec *s);

/* Is this a Node program that is to be loaded with node_probe.js? */
bool launch_wants_node_probe(const struct app_spec *s);

/* What is executed: the interpreter, or the script itself. A path, or a name to be looked for on the PATH. */
const char *launch_program(const struct app_spec *s);

#endif
