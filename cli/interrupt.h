/* Ctrl-C as the regular end of a command that goes on and on. */
#ifndef PM_CLI_INTERRUPT_H
#define PM_CLI_INTERRUPT_H

#include <stdbool.h>

/* From now on SIGINT and SIGTERM only make the present system call return with EINTR. */
void interrupt_catch(void);

bool interrupted(void);
int interrupt_signal(void); /* which one; 0 = none */

/* Can be read once a signal came; -1 before interrupt_catch. For polls, which the signal may just miss. */
int interrupt_fd(void);

#endif
