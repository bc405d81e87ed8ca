/* Files that are loaded into programs of apps, and where they are: beside this program. */
#ifndef PM_DAEMON_PRELOAD_H
#define PM_DAEMON_PRELOAD_H

#include <stdbool.h>
#include <sys/types.h>

struct preload {
    const char *name; /* of the file */
    char *path;       /* NULL: it is not installed */
    bool for_all;     /* other users can read it */
    bool told;        /* that it cannot be used */
};

/* ../lib/pm/NAME, as seen from the folder of `program`. `name` is a literal. */
void preload_init(struct preload *p, const char *program, const char *name);
void preload_deinit(struct preload *p);

/*
 * The path, when the file is there and `uid` can read it. Looked at each time: pm may have been removed while
 * its daemon runs, and Node does not start without a file that it is to load. Else NULL, and the log says so
 * once:
 * "<app>: <loss>: <why>".
 */
const char *preload_use(struct preload *p, uid_t uid, const char *app, const char *loss);

#endif
