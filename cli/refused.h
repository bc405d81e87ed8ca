/* PM2's commands that pm does not have, each with what to use instead. */
#ifndef PM_CLI_REFUSED_H
#define PM_CLI_REFUSED_H

/* What to say to who types this word as a command, or NULL when it is no such command. */
const char *refused_command(const char *word);

#endif
