/* What an action did to each process. */
#ifndef PM_CLI_OUTCOME_H
#define PM_CLI_OUTCOME_H

#include <jansson.h>

#include "cli/cli.h"

/* Prints {processes: [outcome…]}; `done` is "started", "stopped"… Returns how many failed. */
unsigned outcome_print(const struct cli *c, const json_t *result, const char *done);

/* The one line of a process that failed. */
void outcome_print_error(const struct cli *c, const json_t *outcome, const char *done);

/* The word by which the user names this process: its app's name, or the id where a shell would not take the
 * name as it is. The caller frees. */
char *outcome_word(const char *name, long long id);

#endif
