/*
 * Which changes of files count for an app: its keys watch, ignore_watch, ext and watch_options, compiled.
 * Made on the loop, read by the thread that looks at the folders, so it is never changed and shared by
 * counting.
 */
#ifndef PM_DAEMON_WATCH_RULES_H
#define PM_DAEMON_WATCH_RULES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "config/spec.h"

/* One entry of `watch`. */
struct watch_root {
    char *path; /* absolute: a folder, a file, or of a glob the folder before its first wild card */
    char *glob; /* absolute; NULL = all below the path counts */
};

struct watch_rules {
    atomic_uint refs;
    struct watch_root *roots;
    size_t n_roots;
    char *cwd;
    char *home;        /* PM_HOME: what is in it does not count; NULL: a root is in it */
    char **own;        /* paths of the app's own files */
    char **names;      /* patterns of single names */
    char **paths;      /* absolute patterns */
    char **extensions; /* with their dots; empty = all */
    bool dot_files;    /* names that begin with a dot do not count */
    bool follow;       /* links to folders */
    bool polling;
    unsigned interval_ms;
};

struct watch_rules *watch_rules_new(const struct app_spec *s, const char *pm_home);
struct watch_rules *watch_rules_ref(struct watch_rules *r);
void watch_rules_unref(struct watch_rules *r); /* accepts NULL */

bool watch_rules_equal(const struct watch_rules *a, const struct watch_rules *b);

/* Is this file or folder left out, by itself? That what is above it is not, the caller knows. `path` is
 * absolute, `name` its last part. */
bool watch_rules_ignore(const struct watch_rules *r, const char *path, const char *name);

/* Does a change of this file (not folder) count, when it is not ignored? */
bool watch_rules_count(const struct watch_rules *r, const struct watch_root *root, const char *path,
                       const char *name);

#endif
