/*
 * Which lines were shown already: when the engine is replaced, the next one is asked for the last lines
 * again, and only those that are new are shown. Lines have no number of their own, so they are known by time,
 * run, stream and text; equal ones (one read of the pipe gives all its lines one time) are counted.
 */
#ifndef PM_CLI_LOGSEEN_H
#define PM_CLI_LOGSEEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOGSEEN_MAX 2000 /* lines remembered, and asked for again */

struct logseen {
    struct logseen_entry {
        uint64_t hash;
        int64_t time; /* µs */
    } ring[LOGSEEN_MAX];
    size_t count;  /* lines ever added */
    int64_t since; /* µs: what is older was not asked for */
};

void logseen_init(struct logseen *s, int64_t since_us);
void logseen_add(struct logseen *s, const json_t *line);

/*
 * The lines of `history` (oldest first; the last `asked` lines there are) that were not shown yet, in their
 * order; a new array. *gap is set when older ones may be missing between what was shown and these.
 */
json_t *logseen_new_lines(const struct logseen *s, const json_t *history, size_t asked, bool *gap);

#endif
