/* When changes lead to a restart: once there was none for the delay, or at last although they go on. */
#ifndef PM_DAEMON_WATCH_CALM_H
#define PM_DAEMON_WATCH_CALM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WATCH_LONGEST  10   /* delays after the first change the restart comes anyhow, */
#define WATCH_AT_LEAST 2000 /* but not before so many ms */

struct watch_calm {
    char *path; /* of the first change, on the heap; NULL = there was none */
    unsigned count;
    uint64_t first_ms, last_ms; /* monotonic */
};

void watch_calm_note(struct watch_calm *c, uint64_t now_ms, const char *path);
uint64_t watch_calm_due(const struct watch_calm *c, uint64_t delay_ms);  /* UINT64_MAX = never */
uint64_t watch_calm_last(const struct watch_calm *c, uint64_t delay_ms); /* although changes go on */
void watch_calm_clear(struct watch_calm *c);

/* "src/app.js changed", "src/app.js and 3 more changed": paths are shown from `cwd`. */
void watch_calm_words(const struct watch_calm *c, const char *cwd, char *out, size_t size);

#endif
