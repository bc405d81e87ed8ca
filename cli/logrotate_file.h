/* The file that tells logrotate(8) about the logs of this home. */
#ifndef PM_CLI_LOGROTATE_FILE_H
#define PM_CLI_LOGROTATE_FILE_H

#include "cli/cli.h"

struct buf;

struct logrotate_file {
    const char *home, *pm;    /* absolute paths */
    const char *user, *group; /* of the home */
    bool root;                /* the home is root's */
    char *const *files;       /* log files, also patterns */
};

/* The text of the file. 0, or -EINVAL with words when a path can't stand in it. */
int logrotate_file_text(const struct logrotate_file *f, struct buf *out, struct err *e);

/* Writes it to `path` (NULL: /etc/logrotate.d/pm-<user>) and has it checked by logrotate(8), when that is
 * installed. Returns the exit code. */
int logrotate_file_install(struct cli *c, const char *path);

#endif
