/* The last lines that a run wrote to stderr, for the answers that tell how it ended. */
#ifndef PM_DAEMON_LAST_LINES_H
#define PM_DAEMON_LAST_LINES_H

#include <jansson.h>
#include <stdint.h>

struct logs;

/*
 * Adds the last `lines` lines of the run as the array "stderr" to the object `entry`, which must live until
 * `done(arg)` is called: later, and once. The array is empty when the lines cannot be read.
 */
void last_lines_add(struct logs *logs, uint64_t run, unsigned lines, json_t *entry, void (*done)(void *arg),
                    void *arg);

#endif
