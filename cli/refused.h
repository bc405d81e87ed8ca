/* PM2's commands that pm does not have, each with what to use instead. */
#ifndef PM_CLI_REFUSED_H
#define PM_CLI_REFUSED_H

#include <stddef.h>

/* What to say to who types this word as a command, or NULL when it is no such command. */
const char *refused_command(const char *word);

/* The i-th of them (a name that ends in ':' stands for all that begin so), or NULL behind the last. */
const char *refused_command_at(size_t i, const char **instead);

#endif
