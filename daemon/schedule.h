/*
 * When it is time for a process, and what is to be done then. Pure: the clock goes in; schedules.c does the
 * rest. All times are seconds since the epoch.
 */
#ifndef PM_DAEMON_SCHEDULE_H
#define PM_DAEMON_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/lifecycle.h"

struct cron;
struct zone;

/* Of one process. `handled` survives the engine (state.db and the keeper's note of the run). */
struct schedule_clock {
    int64_t handled; /* times up to this one are dealt with; 0 = none yet: those from now on count */
    int64_t next;    /* the first after it; 0 = to be computed */
};

#define SCHEDULE_STEP_BACK 60         /* a clock that was put back no further is waited for */
#define SCHEDULE_CLOCK_SET (3 * 3600) /* one that was put back further was wrong before */

/*
 * Is a time due that is not dealt with yet? Times that were missed (the clock jumped, the machine slept,
 * there was no engine) are one. Where the clock is before `handled` it was put back, and what has been done
 * is not done again: up to a minute it is waited for. Beyond, as in cron, times with a star in the minute or
 * the hour go on at once; the others wait as long as it may have been a change of summer time. True, or
 * k->next is the time to look again.
 */
bool schedule_due(struct schedule_clock *k, const struct cron *c, const struct zone *z, int64_t now);

/* All up to now is dealt with. */
void schedule_handled(struct schedule_clock *k, int64_t now);

enum schedule_overlap { SCHEDULE_SKIP_RUN, SCHEDULE_QUEUE_RUN, SCHEDULE_KILL_RUN };
enum schedule_overlap schedule_overlap_of(const char *word);

/* A process whose time has come. */
struct schedule_view {
    bool job; /* by `schedule`; else by cron_restart */
    enum schedule_overlap overlap;
    enum lc_state state;
    enum lc_reason reason;
    bool held;          /* a start of it waits for what it depends on */
    bool stopped_since; /* a user's stop has ended its last run after that time */
};

enum schedule_act {
    SCHEDULE_WAIT,    /* not now: the time stays due */
    SCHEDULE_PASS,    /* nothing is to be done for it */
    SCHEDULE_LEAVE,   /* a job's time that is left out for its last run */
    SCHEDULE_START,   /* it is down */
    SCHEDULE_RESTART, /* it is up */
};

enum schedule_act schedule_judge(const struct schedule_view *v);

#define SCHEDULE_TIME_MAX 40

/* "2026-11-25 04:00:00 +0100" by the clock of the zone (NULL = local). */
const char *schedule_time(char out[SCHEDULE_TIME_MAX], const struct zone *z, int64_t at);

#endif
