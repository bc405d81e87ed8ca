/* Sending apps to the daemon: the environment once, and as many requests as the size of a request demands. */
#ifndef PM_CLI_APPSEND_H
#define PM_CLI_APPSEND_H

#include "cli/action.h"
#include "config/config.h"

#define APPSEND_MAX (900u * 1024) /* bytes of one request; the daemon takes 1 MiB */

/*
 * Turns apps into their wire form. Variables that all of them have with one value go to *base, which the
 * daemon puts under each app's own. Both are the caller's. Returns the array.
 */
json_t *appsend_pack(const struct app_list *apps, json_t **base);

/* Sends the base environment of the requests that follow. 0, or the exit code after the error was printed. */
int appsend_base(struct cli *c, const json_t *base);

/*
 * Moves apps from the front of `all` into a new array, as many as fit `max` bytes. NULL when `all` is empty,
 * or when its first app alone is too large: then *too_large is its size.
 */
json_t *appsend_chunk(json_t *all, size_t max, size_t *too_large);

struct appsend_how {
    const char *when_known; /* an app that runs already: "restart" or "reload" it, "force" a second one; NULL:
                               an error */
    bool force;             /* with "reload" */
    const char *done;       /* "started", "restarted" */
};

/* Starts them and prints what became of each. Returns the exit code. */
int appsend_start(struct action *t, const struct app_list *apps, const struct appsend_how *how);

#endif
