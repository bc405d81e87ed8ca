/*
 * Time zones by name, for programs with threads: localtime() knows only the zone of the environment, which
 * can't be changed while others look at it. Reads the compiled files of tzdata (RFC 8536).
 */
#ifndef PM_COMMON_ZONE_H
#define PM_COMMON_ZONE_H

#include <stdint.h>
#include <time.h>

struct err;
struct zone;

/* "Europe/Berlin", "UTC". NULL or "" as the name gives NULL, which means the local zone everywhere. 0, or
 * negative errno with the message set. */
int zone_open(const char *name, struct zone **out, struct err *e);
void zone_free(struct zone *z); /* accepts NULL */

/* Seconds east of UTC at that time (seconds since the epoch). */
int32_t zone_offset(const struct zone *z, int64_t utc);

/* As localtime_r, with tm_gmtoff; the name of the zone is not set. */
void zone_local(const struct zone *z, int64_t utc, struct tm *out);

#endif
