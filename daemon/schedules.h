/* Runs and restarts processes at the times of their apps: the rules of schedule.h with the engine's clock. */
#ifndef PM_DAEMON_SCHEDULES_H
#define PM_DAEMON_SCHEDULES_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/events.h"
#include "daemon/process.h"

struct schedules;

struct schedules *schedules_new(struct engine *e);
void schedules_free(struct schedules *s); /* accepts NULL; the calls below do nothing without one */

void schedules_app(struct engine *e, struct app *a); /* is new, or has another configuration */
void schedules_app_gone(struct app *a);              /* accepts one without times */
void schedules_look(struct engine *e,
                    const struct app *a); /* something of its processes has changed; NULL: of all */

/* The next `n` times of the app (seconds since the epoch); returns how many there are: 0 or n. */
size_t schedules_next(const struct app *a, int64_t *out, size_t n);
/* Why the app's times do not come, in words; NULL: they do, or it has none. */
const char *schedules_trouble(const struct app *a);
/* "2026-11-25 04:00:00 +0100", the next time by the app's zone; NULL when it has none. */
const char *schedules_next_words(const struct app *a, char out[SCHEDULE_TIME_MAX]);

#endif
