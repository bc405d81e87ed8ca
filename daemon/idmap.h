/* A map from a 64-bit number (process id, run id, pid) to a pointer: lookups stay O(1) with thousands of
 * processes. */
#ifndef PM_DAEMON_IDMAP_H
#define PM_DAEMON_IDMAP_H

#include <stddef.h>
#include <stdint.h>

struct idmap {
    struct idmap_slot *slots;
    size_t cap, used;
};

void idmap_deinit(struct idmap *m); /* leaves an empty map; the values are the caller's */
void idmap_put(struct idmap *m, uint64_t key, void *value); /* value is not NULL; replaces */
void *idmap_get(const struct idmap *m, uint64_t key);       /* NULL when there is none */
void idmap_del(struct idmap *m, uint64_t key);              /* an unknown key is fine */

#endif
