/* The thread that tidies up rotated files: compressing a gigabyte takes a while, and nothing waits for it. */
#ifndef PM_LOGROTATE_WORKER_H
#define PM_LOGROTATE_WORKER_H

#include "logrotate/policy.h"

struct log_worker;

/* `trouble` is called on the worker's thread, with one line. The thread begins with the first file. */
struct log_worker *log_worker_new(void (*trouble)(void *arg, const char *text), void *arg);

/* Breaks off what runs (the next start finishes it) and waits for the thread. Accepts NULL. */
void log_worker_free(struct log_worker *w);

/* Has log_tidy() done for the file, soon. Asked for again before it began, it is done once. */
void log_worker_tidy(struct log_worker *w, const char *path, const struct log_rotate_policy *policy);

#endif
