/* All about one process, as aligned keys and values. */
#ifndef PM_CLI_DESCRIBE_H
#define PM_CLI_DESCRIBE_H

#include <jansson.h>
#include <stdint.h>

#include "cli/out.h"

/* Appends one record of "describe". `environ` is the caller's: variables that are the same there are left
 * out. */
void describe_render(const struct out *o, const json_t *record, char *const *environ_, int64_t now,
                     struct buf *out);

#endif
