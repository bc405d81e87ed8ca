/* The table of processes. */
#ifndef PM_CLI_PROCLIST_H
#define PM_CLI_PROCLIST_H

#include <jansson.h>
#include <stdint.h>

#include "cli/cli.h"

/* Fills `out` from the records of "list" (an array). `now` is wall clock ms. */
void proclist_render(const struct out *o, const struct list_view *view, const json_t *records, int64_t now,
                     struct buf *out);

/* Asks for the list and prints it as c->view says. Returns the exit code. */
int proclist_print(struct cli *c);

#endif
