/* Sending apps to the daemon: the environment once, and as many requests as the size of a request demands. */
#ifndef PM_CLI_APPSEND_H
#define PM_CLI_APPSEND_H

#include "cli/cli.h"
#include "config/config.h"

#define APPSEND_MAX (900u * 1024) /* bytes of one request; the daemon takes 1 MiB */

/*
 * Turns apps into their wire form. Variables that all of them have with one value go to *base, which the
 * daemon puts under each app's own. Both are the caller's. Returns the array.
 */
json_t *appsend_pack(const struct app_list *apps, json_t **base);

/*
 * Moves apps from the front of `all` into a new array, as many as fit `max` bytes. NULL when `all` is empty,
 * or when its first app alone is too large: then *too_large is its size.
 */
json_t *appsend_chunk(json_t *all, size_t max, size_t *too_large);

/*
 * Starts them and prints what became of each. Returns the exit code. `when_known` says what to do with an app
 * that runs already: "restart", "force" (a second one of that name), or NULL: that is an error.
 */
int appsend_start(struct cli *c, const struct app_list *apps, const char *when_known);

#endif
