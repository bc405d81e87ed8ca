/*
 * When a process is checked, and what the results of its checks mean: rules without clock, timers or sockets.
 * Times are ms of any clock that only goes forward.
 */
#ifndef PM_DAEMON_HEALTH_H
#define PM_DAEMON_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#define HEALTH_WORDS_MAX 200 /* bytes of the words of a result */

enum health_state { HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };

struct health_rules {
    uint32_t interval, start_period;
    unsigned retries;
};

struct health {
    enum health_state state;
    uint64_t began_ms; /* of the run: its start_period counts from here */
    unsigned early;    /* checks before the first success */
    unsigned failures; /* that count, in a row */
    bool checked;      /* there was a result */
    bool ok;           /* the last one */
    char words[HEALTH_WORDS_MAX];
};

enum health_news {
    HEALTH_NO_NEWS,
    HEALTH_NOW_HEALTHY,
    HEALTH_NOW_UNHEALTHY, /* again with each failure after it: the first try to do something may have failed
                           */
};

const char *health_state_word(enum health_state s); /* "starting", "healthy", "unhealthy" */

/* `age_ms`: for how long the run has lived, when an engine takes it over. */
void health_begin(struct health *h, uint64_t now_ms, uint64_t age_ms);

/* One result; `words` say what failed. Failures do not count before the first success within start_period. */
enum health_news health_result(struct health *h, const struct health_rules *r, uint64_t now_ms, bool ok,
                               const char *words);

/*
 * Time until the next check. Until the first success it is short, as somebody waits for it. `random`: any
 * number; the first check of what is up already is spread by it over the whole interval, so that the checks
 * of many processes do not come together.
 */
uint32_t health_next(struct health *h, const struct health_rules *r, bool online, uint32_t random);

#endif
