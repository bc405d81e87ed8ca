/* Points in time as people write them. */
#ifndef PM_CLI_WHEN_H
#define PM_CLI_WHEN_H

#include <stdint.h>

struct err;

/* Which one is meant when the clocks are set back and a local time comes twice. */
enum when_twice { WHEN_EARLIER, WHEN_LATER };

/*
 * Reads a time into *us (µs since the epoch). `now_us` is what "ago" and "today" count from; times without a
 * zone are local ones. Forms: RFC 3339 ("2026-01-31T14:00:00.5+01:00", "...Z"); "2026-01-31",
 * "2026-01-31 14:00[:00[.5]]"; "14:00"; "now", "today", "yesterday", "yesterday 14:00"; "2h", "90s",
 * "1h 30min", "10 min ago"; "@1767225600.5". A local time that the clocks leave out is as far behind the gap
 * as it was in it. 0, or -EINVAL with words that name the forms (the flag is the caller's to name).
 */
int when_parse(const char *text, int64_t now_us, enum when_twice twice, int64_t *us, struct err *e);

#endif
