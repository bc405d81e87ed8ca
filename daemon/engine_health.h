/*
 * Health checks of processes, and sd_notify's watchdog. What is known is the engine's alone: the next one
 * checks anew, and counts from none.
 */
#ifndef PM_DAEMON_ENGINE_HEALTH_H
#define PM_DAEMON_ENGINE_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/jsonw.h"

struct engine;
struct process;
struct runtime;

/* Something of the process or of its configuration has changed: begins or ends its checks. */
void engine_health_follow(struct engine *e, struct process *p);
void engine_health_follow_all(struct engine *e);
void engine_health_end(struct runtime *r);

/* What the last check found; false when there was none yet. */
bool engine_health_words(void *engine, struct process *p, char *out, size_t size); /* sys.unready_words */
/* "health": {...} of the list record, when the process is checked. */
void engine_health_write(struct jsonw *w, const struct process *p);
const char *engine_health_state(const struct process *p); /* its word; NULL: it is not checked */

/* WATCHDOG=1 came from the run; `trigger`: it gave itself up. */
void engine_watchdog_heard(struct engine *e, uint64_t run, bool trigger);
void engine_watchdog_follow(struct engine *e, struct process *p);
void engine_watchdog_end(struct runtime *r);

#endif
