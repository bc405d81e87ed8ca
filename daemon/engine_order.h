/* `depends_on` at work: who waits, who may start now, and what clients may ask for. */
#ifndef PM_DAEMON_ENGINE_ORDER_H
#define PM_DAEMON_ENGINE_ORDER_H

#include "daemon/engine.h"

void engine_order_init(struct engine *e); /* sys.hold, and the timer */

/* Something has changed that others may wait for: they are looked at from the loop, soon. */
void engine_order_look(struct engine *e);

/*
 * May these configurations be, beside the apps that are there and in place of `instead` (NULL, or as many as
 * specs, each NULL or an app)? -EINVAL and a message for a name that nothing has, a circle, or an app that
 * never ends and whose end is waited for.
 */
int engine_order_check(struct engine *e, struct app_spec *const *specs, struct app *const *instead, size_t n,
                       struct err *err);

/* Is anything that depends on this app up? Its name, or NULL. `except` says which apps do not count. */
const char *engine_order_dependent(struct engine *e, const struct app *a,
                                   bool (*except)(const void *arg, const struct app *other), const void *arg);

#endif
