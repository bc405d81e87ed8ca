/* All about one process, as aligned keys and values. */
#ifndef PM_CLI_DESCRIBE_H
#define PM_CLI_DESCRIBE_H

#include <jansson.h>
#include <stdint.h>

#include "cli/out.h"

/* What one record is shown with. */
struct describe {
    const struct out *out;
    char *const *environ_; /* the caller's: variables that are the same there are left out */
    int64_t now;           /* wall clock, ms */
    const json_t *runs;    /* its last runs, of "why"; NULL = not known */
    bool one_of_many;      /* a line under the name sets it apart from the one before */
};

/* Appends one record of "describe". */
void describe_render(const struct describe *d, const json_t *record, struct buf *out);

#endif
