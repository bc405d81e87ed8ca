/* Time zones that are in use, each read once, on a thread. */
#ifndef PM_DAEMON_ZONE_CACHE_H
#define PM_DAEMON_ZONE_CACHE_H

#include <uv.h>

struct zone;
struct zone_cache;
struct zone_ref;

/* `read` is called from the loop whenever one that was asked for has been read, or cannot be. */
struct zone_cache *zone_cache_new(uv_loop_t *loop, void (*read)(void *arg), void *arg);
/* After the last zone_cache_drop. Accepts NULL. */
void zone_cache_free(struct zone_cache *c);

/* The zone of that name, which is read when it is not yet. */
struct zone_ref *zone_cache_get(struct zone_cache *c, const char *name);
void zone_cache_drop(struct zone_ref *z); /* accepts NULL */

const struct zone *zone_ref_zone(const struct zone_ref *z); /* NULL: not (yet) */
const char *
zone_ref_trouble(const struct zone_ref *z); /* why it cannot be read; NULL: it can, or is read now */

#endif
