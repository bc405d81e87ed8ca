/* Which processes a list of words means: all, ids, names. */
#ifndef PM_DAEMON_SELECTOR_H
#define PM_DAEMON_SELECTOR_H

#include <jansson.h>
#include <stddef.h>

#include "daemon/supervisor.h"

struct err;

struct selection {
    struct process **v; /* in order of id, each once */
    size_t n;
};

/* A number is first an app's name, then an id. 0, or -ENOENT with words that name what matched nothing; then
 * `out` is empty. */
int selector_match(struct supervisor *s, const json_t *words, struct selection *out, struct err *e);
void selection_free(struct selection *sel);

#endif
