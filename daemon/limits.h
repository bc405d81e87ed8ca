/*
 * Limits of memory, CPU and run time. The rules are pure: what a process uses and what time it is go in, what
 * is to be done comes out. Beside them what applies them after each pass of the metrics.
 */
#ifndef PM_DAEMON_LIMITS_H
#define PM_DAEMON_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct app_spec;
struct engine;
struct limits;
struct metrics;
struct process;

/* What a process with all its children uses. */
struct limit_sample {
    uint64_t run;
    uint64_t time_ms;  /* of the pass; the same as the last time: nothing new */
    uint64_t rss, pss; /* bytes; pss 0 = not known */
    uint32_t processes;
    double cpu_percent; /* of one core */
    uint64_t uptime_ms;
};

/* What the rules keep of one process between two samples; zeroed at the start. Times are mono ms, 0 = not. */
struct limit_state {
    uint64_t run, time_ms;
    uint64_t last_rss;   /* bytes; of the last sample */
    bool asked;          /* for the PSS: that of the next sample is new */
    bool waited;         /* above a limit by RSS, and the PSS is waited for: one pass at most */
    uint64_t soft_since; /* above max_memory.soft without a break */
    uint64_t cpu_since;  /* above max_cpu_restart.percent without a break */
    uint64_t quiet_until;
    uint64_t waits_since; /* a limit is passed, and the turn is another instance's */
    bool acted;           /* the run after this one has a pause at its start */
};

enum limit_kind { LIMIT_NONE, LIMIT_MEMORY, LIMIT_SOFT, LIMIT_HARD, LIMIT_CPU, LIMIT_UPTIME };

struct limit_verdict {
    enum limit_kind passed;
    bool want_pss; /* near a limit of memory with shared pages: to be asked for in the next pass */
};

#define LIMIT_WORDS_MAX 160

bool limits_any(const struct app_spec *s); /* has it one? */

/*
 * Judges one sample, and sets its pss to 0 when that is an old one. All limits are passed by a value strictly
 * above them. Memory is the RSS of the tree, or, where it has more than one process, the PSS as soon as that
 * is known: forks share pages, which RSS counts once for each.
 */
struct limit_verdict limits_judge(const struct app_spec *s, struct limit_state *st, struct limit_sample *now,
                                  uint64_t mono_ms);
/* Something was done about it: the process is left alone for its min_uptime, and so is its next run. */
void limits_acted(const struct app_spec *s, struct limit_state *st, uint64_t mono_ms);

/* "memory 312.4 MB of 300 MB in 3 processes" */
void limits_words(const struct app_spec *s, enum limit_kind passed, const struct limit_sample *now,
                  char out[LIMIT_WORDS_MAX]);

/* ms of run time after which this run is over its max_uptime: up to a tenth earlier, by the number of the
 * run, so that instances which were started together do not go together. */
uint64_t limits_uptime(const struct app_spec *s, uint64_t run);

/* limits_apply.c. `m` must live longer. */
struct limits *limits_new(struct engine *e, struct metrics *m);
void limits_free(struct limits *l); /* accepts NULL */

#endif
