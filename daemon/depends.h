/*
 * Is what an app depends on fulfilled? Pure: looks at processes and changes nothing. What depends on what,
 * and in which order, is in config/depends.h.
 */
#ifndef PM_DAEMON_DEPENDS_H
#define PM_DAEMON_DEPENDS_H

#include <stdbool.h>

#include "daemon/process.h"

#define DEPENDS_SETTLE_MS 100u /* online for so long: it has started */

/* In the order of what they mean for several processes: the highest one counts. */
enum depends_verdict {
    DEPENDS_MET,
    DEPENDS_SOON,    /* met in a moment when nothing happens: look again after DEPENDS_SETTLE_MS */
    DEPENDS_PENDING, /* something has to happen, and may */
    DEPENDS_FAILED   /* not without another command, or against what its last run shows */
};

/* One process of the app that is waited for. `unwell`: its health check has not passed. */
enum depends_verdict depends_judge(const char *condition, const struct process *p, uint64_t now_ms,
                                   bool unwell);

/* Would this app never come to an end, whatever happens? Then nothing may wait for its end. */
bool depends_never_ends(const char *condition, const struct app_spec *s);

/* Does an app with this configuration name the other in depends_on? */
bool depends_names(const struct app_spec *s, const char *name);

#endif
