/*
 * Can a program be given listening sockets by the preloaded library (shim/)? It is of no use where the
 * dynamic loader does not load it, or where system calls do not go through libc. Said before the start, as
 * such a program would only find its address in use.
 */
#ifndef PM_DAEMON_ADOPT_CHECK_H
#define PM_DAEMON_ADOPT_CHECK_H

#include <stddef.h>

struct err;

/*
 * `program`: what is executed, an interpreter too: a path (a relative one counts from `cwd`), or a name to be
 * looked for on `path` (as the variable PATH; NULL: the usual one). Follows #! lines. 0, or -ENOTSUP with
 * words that say why not. What cannot be found or read is left to the start itself, which has a word for it.
 * Reads files: not for the loop.
 */
int adopt_check(const char *program, const char *path, const char *cwd, struct err *err);

/* Where the library is: beside this executable as it was built or installed. The caller frees; NULL with
 * words when it is missing. */
char *adopt_library(struct err *err);

#endif
