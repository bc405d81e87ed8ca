/*
 * The history of metrics, in metrics.db beside state.db: what may be lost with a power cut does not belong in
 * a database that waits for the disk with each change.
 *
 * For ten minutes each second is kept, for a day the smallest, mean and largest of each minute, for 30 days
 * those of every ten minutes. May be used by several threads.
 */
#ifndef PM_DAEMON_METRICS_STORE_H
#define PM_DAEMON_METRICS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct metrics_store;

/* Whose: the slot of an app. App 0: the host, whose memory is what is in use. */
struct metrics_key {
    uint64_t app;
    uint32_t instance;
};

/* Of a time of one second, one minute or ten. */
struct metrics_point {
    uint64_t time;                               /* s since the epoch: the beginning */
    uint32_t n;                                  /* seconds of it that were looked at */
    double cpu_min, cpu_avg, cpu_max;            /* percent of a core */
    uint64_t memory_min, memory_avg, memory_max; /* bytes */
};

enum { METRICS_STEPS = 3 };
extern const unsigned metrics_steps[METRICS_STEPS]; /* s: 1, 60, 600 */
extern const unsigned metrics_keep[METRICS_STEPS];  /* s that each is kept */

/* Opens nothing yet. */
struct metrics_store *metrics_store_new(const char *path);
void metrics_store_free(struct metrics_store *s); /* writes what is not written yet; accepts NULL */

/* In memory; never waits for a disk. `time`: s since the epoch. */
void metrics_store_add(struct metrics_store *s, struct metrics_key key, uint64_t time, double cpu_percent,
                       uint64_t bytes);
/* Before the adds of a pass: puts ten seconds that are over aside. True when metrics_store_write is to be
 * called, on any thread. */
bool metrics_store_roll(struct metrics_store *s, uint64_t time);

/* In one transaction. 0, or a negative errno with the words; what could not be written is lost. */
int metrics_store_write(struct metrics_store *s, struct err *e);

/*
 * Points of `step` (one of metrics_steps) from `from` until before `to`, ascending; the newest are also there
 * when they are in memory only. *out is the caller's to free. How many; negative errno with the words.
 */
long metrics_store_read(struct metrics_store *s, struct metrics_key key, unsigned step, uint64_t from,
                        uint64_t to, struct metrics_point **out, struct err *e);

#endif
