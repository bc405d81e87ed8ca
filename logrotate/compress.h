/* Compressing one rotated file, streamed: memory does not grow with the file. */
#ifndef PM_LOGROTATE_COMPRESS_H
#define PM_LOGROTATE_COMPRESS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "logrotate/policy.h"

struct err;

/*
 * In the folder `dir`: `name` becomes name.gz or name.zst, with its owner, mode and times. It is written
 * under another name, brought to the disk, renamed, and only then is the original removed: whenever this is
 * broken off, one whole file is there. 0, -ECANCELED when `stop` became true, or negative errno with the
 * message set (the original stays).
 */
int log_compress_file(int dir, const char *name, enum log_compress how, const atomic_bool *stop,
                      struct err *e);

#endif
