#include "daemon/zone_cache.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/zone.h"

struct zone_ref {
    struct zone_cache *cache; /* NULL: nobody wants it any more */
    uv_work_t work;
    bool reading;
    unsigned users;
    char *name;
    struct zone *zone;
    struct err trouble; /* when both it is not read now and zone is NULL */
    TAILQ_ENTRY(zone_ref) entry;
};

struct zone_cache {
    uv_loop_t *loop;
    void (*read)(void *arg);
    void *arg;
    TAILQ_HEAD(, zone_ref) zones;
};

struct zone_cache *zone_cache_new(uv_loop_t *loop, void (*read)(void *arg), void *arg)
{
    struct zone_cache *c = xcalloc(1, sizeof(*c));

    *c = (struct zone_cache){.loop = loop, .read = read, .arg = arg};
    TAILQ_INIT(&c->zones);
    return c;
}

void zone_cache_free(struct zone_cache *c)
{
    free(c);
}

static void ref_free(struct zone_ref *z)
{
    zone_free(z->zone);
    free(z->name);
    free(z);
}

static void read_zone(uv_work_t *work)
{
    struct zone_ref *z = work->data;

    if (zone_open(z->name, &z->zone, &z->trouble) < 0)
        z->zone = NULL;
}

static void zone_read(uv_work_t *work, int status)
{
    struct zone_ref *z = work->data;

    (void)status; /* never cancelled */
    z->reading = false;
    if (z->cache)
        z->cache->read(z->cache->arg);
    else
        ref_free(z);
}

struct zone_ref *zone_cache_get(struct zone_cache *c, const char *name)
{
    struct zone_ref *z;

    TAILQ_FOREACH (z, &c->zones, entry) {
        if (strcmp(z->name, name) == 0) {
            z->users++;
            return z;
        }
    }
    z = xcalloc(1, sizeof(*z));
    *z = (struct zone_ref){.cache = c, .reading = true, .users = 1, .name = xstrdup(name)};
    z->work.data = z;
    TAILQ_INSERT_TAIL(&c->zones, z, entry);
    uv_queue_work(c->loop, &z->work, read_zone, zone_read);
    return z;
}

void zone_cache_drop(struct zone_ref *z)
{
    if (!z || --z->users > 0)
        return;
    TAILQ_REMOVE(&z->cache->zones, z, entry);
    z->cache = NULL;
    if (!z->reading)
        ref_free(z);
}

const struct zone *zone_ref_zone(const struct zone_ref *z)
{
    return z->reading ? NULL : z->zone;
}

const char *zone_ref_trouble(const struct zone_ref *z)
{
    return z->reading || z->zone ? NULL : z->trouble.msg;
}
