/* Which processes a list of words means: all, names, script paths, namespaces, ids, regular expressions. */
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

/*
 * Each word is "all"; /regex/ (POSIX extended, on apps' names); a number: a name, else a namespace, else an
 * id; or anything else: names and absolute paths of scripts, else a namespace. 0, -ENOENT with words that
 * name what matched nothing, or -EINVAL for what cannot be matched; then `out` is empty.
 */
int selector_match(struct supervisor *s, const json_t *words, struct selection *out, struct err *e);
void selection_free(struct selection *sel);

#endif
