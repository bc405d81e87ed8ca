/* Ctrl-C as the regular end of a command that goes on and on. */
#ifndef PM_CLI_INTERRUPT_H
#define PM_CLI_INTERRUPT_H

#include <stdbool.h>

/* From now on SIGINT and SIGTERM only make the present system call return with EINTR; a second one ends the
 * program. What the caller ignores stays ignored. */
void interrupt_catch(void);

/*
 * Readable once a signal has come, for poll: a signal between a look at interrupted() and the wait would
 * otherwise be slept through. -1, which poll passes over, when there is none.
 */
int interrupt_fd(void);

bool interrupted(void);
int interrupt_signal(void); /* which one; 0 = none */

#endif
