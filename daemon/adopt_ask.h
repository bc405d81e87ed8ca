/* adopt_check and adopt_library on a worker thread: they read files, which may lie on a dead network folder.
 */
#ifndef PM_DAEMON_ADOPT_ASK_H
#define PM_DAEMON_ADOPT_ASK_H

#include <uv.h>

struct adopt_ask;
struct err;

/* `library`: its path, valid during the call; NULL with `e` when the program cannot be served so. */
typedef void (*adopt_cb)(void *arg, const char *library, const struct err *e);

/* For the parameters see adopt_check; all are copied. Answers once, in a later turn of the loop. */
struct adopt_ask *adopt_ask(uv_loop_t *loop, const char *program, const char *path, const char *cwd,
                            adopt_cb cb, void *arg);
void adopt_ask_cancel(struct adopt_ask *a); /* the answer is -ECANCELED, in a later turn */
void adopt_ask_forget(struct adopt_ask *a); /* no answer comes */

#endif
