/* Long output through the user's pager, as git does it. */
#ifndef PM_CLI_PAGER_H
#define PM_CLI_PAGER_H

#include <stdbool.h>
#include <sys/types.h>

#include "cli/out.h"
#include "common/buf.h"

/* Zeroed: output goes straight to stdout. */
struct pager {
    bool wanted;     /* until the pager runs, or is known not to be needed */
    struct buf held; /* what fits on the screen so far */
    int lines, rows; /* held; of the terminal */
    pid_t pid;       /* of the pager; 0 = none */
    char *command;
    bool gone; /* the pager takes no more: the user has seen enough */
};

/* From now on output is held back until it is longer than the terminal; then it goes to $PAGER, or less.
 * Nothing changes when stdout is no terminal, or there is no pager. */
void pager_init(struct pager *p, const struct out *o);

/* Writes; the buffer stays the caller's. */
void pager_write(struct pager *p, const struct buf *b);

/* Writes out what is held, and waits until the user has left the pager. 0, or 1 after an error was printed.
 */
int pager_end(struct pager *p, const struct out *o);

#endif
