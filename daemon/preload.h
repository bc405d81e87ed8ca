/* Files that are loaded into programs of apps, and where they are: beside this program. */
#ifndef PM_DAEMON_PRELOAD_H
#define PM_DAEMON_PRELOAD_H

#include <stdbool.h>

/* ../lib/pm/NAME, as seen from the folder of `program`. `for_all`: also other users than the daemon's can
 * read it. NULL when it is not there; else the caller frees. */
char *preload_find(const char *program, const char *name, bool *for_all);

#endif
