/* Help, made from the command table. */
#ifndef PM_CLI_HELP_H
#define PM_CLI_HELP_H

#include "cli/commands.h"
#include "cli/out.h"

/* The whole of pm (NULL), or one command; on stdout. */
void help_print(const struct out *o, const struct command *c);

/* The examples of all commands; on stdout. */
void help_examples(const struct out *o);

/* A few lines for who typed pm alone; on stderr. */
void help_usage(void);

/* Appends the words of `text` to `out` in lines of at most `width` columns; lines after the first begin with
 * `indent` spaces. Empty lines stay. `at` = the column where the first line begins. */
struct buf;
void help_wrap(struct buf *out, const char *text, int at, int indent, int width);

#endif
