/*
 * What the daemon does to a process by itself, without a user's command: a limit was passed, a health check
 * failed, it is time, a file has changed. One way for all of them, so that each is told the same way: an
 * event, the words in the record of the run that it ended (pm why), and who asked ("pm: memory limit").
 */
#ifndef PM_DAEMON_ACT_H
#define PM_DAEMON_ACT_H

#include <stdbool.h>

#include "daemon/events.h"

struct engine;
struct process;

enum act_how {
    ACT_RESTART,
    ACT_REPLACE, /* by a reload where the app can, else by a restart */
    ACT_KILL,    /* SIGKILL for the whole tree now, then a new run as after a restart */
};

/*
 * `what`: in a few words ("memory limit", "cron_restart"), `words`: the figures, one line. `kind` is the
 * event that tells of it. A process that is not up, is being stopped or is reloaded already is left alone,
 * and so is one whose app has another process that such an act has taken down and that is not up again,
 * unless `all`. False when nothing was done.
 */
bool engine_act(struct engine *e, struct process *p, enum act_how how, enum event_kind kind, const char *what,
                const char *words, bool all);

#endif
