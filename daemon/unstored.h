/*
 * A run that the keeper knows while state.db has no process for it. Rows follow a spawn a moment later, so
 * the start may have been under way when the engine died; or the process was deleted. Run ids only grow, rows
 * are committed in the order in which they were queued, and a run's first row is queued with its spawn: so a
 * run above all that were ever stored cannot be one whose deletion is stored.
 */
#ifndef PM_DAEMON_UNSTORED_H
#define PM_DAEMON_UNSTORED_H

#include <stdbool.h>
#include <stdint.h>

struct unstored {
    uint64_t run;
    uint64_t last_run; /* the highest of which state.db ever had a row */
    bool over;         /* the run has ended */
    bool acked; /* its end was acknowledged, which comes after its row; means something when it is over */
    bool superseded; /* the keeper has a later run of the same process id, which tells what is to be done */
    bool damaged;    /* state.db was lost or is old: it does not tell what was stored */
};

enum unstored_act {
    UNSTORED_LEAVE, /* nothing runs, or another record tells more */
    UNSTORED_TAKE,  /* its life cycle goes on where the keeper's note left it, a delete under way included */
    UNSTORED_END    /* its deletion is stored: it must not go on */
};

enum unstored_act unstored_judge(const struct unstored *u);

#endif
