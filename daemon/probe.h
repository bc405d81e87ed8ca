/*
 * One check of one process, on the loop: a connection, an HTTP request, or a command. A probe answers once,
 * in a later turn of the loop, within its time limit; what it has open is its own and goes with it.
 */
#ifndef PM_DAEMON_PROBE_H
#define PM_DAEMON_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "config/health_check.h"

struct probe;

/* `words`: what was found, one line, in few words: "HTTP 503", "connection refused". */
typedef void (*probe_done)(void *arg, bool ok, const char *words);

/* probe_net.c. With a `url_path` an HTTP request whose answer must be 2xx or 3xx; NULL: being accepted is
 * enough. */
struct probe *probe_net(uv_loop_t *loop, const struct health_address *a, const char *url_path,
                        uint32_t timeout_ms, probe_done done, void *arg);

/* probe_exec.c */
struct probe_command {
    const char *command, *cwd;
    char *const *envp;
    bool set_ids;
    uint32_t uid, gid;
};
struct probe *probe_exec(uv_loop_t *loop, const struct probe_command *c, uint32_t timeout_ms, probe_done done,
                         void *arg);

void probe_cancel(struct probe *p); /* no answer comes; a command is killed. Accepts NULL */

/* The status of an answer that begins with `text`: 100 to 599; 0: there is more to come; -1: not HTTP. */
int http_status(const char *text, size_t len);

/* What both have; it is their first member. */
struct probe {
    void (*cancel)(struct probe *p);
};

#endif
