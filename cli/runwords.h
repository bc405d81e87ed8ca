/* How a run ended, in words. */
#ifndef PM_CLI_RUNWORDS_H
#define PM_CLI_RUNWORDS_H

#include <jansson.h>
#include <stdbool.h>

struct buf;

/*
 * Appends "exited with code 7", "was killed by SIGKILL", "crashed: SIGSEGV, core dumped", "was stopped on
 * request (SIGINT)"… for a record {reason, exit_code?, signal?, core, detail?}; the length of its life is the
 * caller's.
 */
void runwords_ending(struct buf *out, const json_t *run);

/* Was the end nobody's wish? Such runs are shown in red. */
bool runwords_is_bad(const json_t *run);

#endif
