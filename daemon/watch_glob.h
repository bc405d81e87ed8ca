/* Globs over whole paths: "*" and "?" and "[...]" within a name, "**" over folders, "{a,b}" alternatives. */
#ifndef PM_DAEMON_WATCH_GLOB_H
#define PM_DAEMON_WATCH_GLOB_H

#include <stdbool.h>
#include <stddef.h>

#define WATCH_GLOB_MAX 64 /* patterns that one may stand for */

bool watch_glob_is(const char *text); /* does it hold a character that has a meaning? */

/* Appends to `out` the patterns that `text` stands for, without braces; at most WATCH_GLOB_MAX. */
void watch_glob_expand(char ***out, const char *text);

/* Both absolute, or both relative to the same folder. `text` without braces. */
bool watch_glob_match(const char *text, const char *path);

#endif
