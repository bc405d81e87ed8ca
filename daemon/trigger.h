/* process.trigger: runs an action that apps announced on their channels, and waits for what they reply. */
#ifndef PM_DAEMON_TRIGGER_H
#define PM_DAEMON_TRIGGER_H

#include <jansson.h>
#include <stddef.h>
#include <sys/queue.h>

struct engine;
struct process;

struct trigger_wait;
TAILQ_HEAD(trigger_list, trigger_wait);

/* The `data` of an axm:reply. A reply does not say which question it answers: the oldest one of that action.
 */
void trigger_reply(struct engine *e, const struct process *p, const json_t *data);
/* A reply that is too long to be read: the oldest question to the process. */
void trigger_too_long(struct engine *e, const struct process *p, size_t len);
void trigger_run_ended(struct engine *e, const struct process *p);
/* The engine ends: all questions are answered with that. */
void trigger_abort(struct engine *e);

#endif
