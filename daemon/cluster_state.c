#include "daemon/cluster_state.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/plog.h"

#define STATE_MAGIC   0x504d4357u
#define STATE_VERSION 1u

static struct state *map(int fd)
{
    void *at = mmap(NULL, sizeof(struct state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    return at == MAP_FAILED ? NULL : at;
}

static struct state *map_old(int fd)
{
    struct stat st;
    struct state *s;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(struct state))
        return NULL;
    s = map(fd);
    if (s && (s->magic != STATE_MAGIC || s->version != STATE_VERSION || s->used > STATE_ENTRIES)) {
        munmap(s, sizeof(*s));
        s = NULL;
    }
    if (!s)
        log_warn("what an earlier engine agreed with a cluster worker cannot be read");
    return s;
}

struct state *state_open(int old_fd, int *new_fd)
{
    struct state *s = map_old(old_fd);
    int fd;

    *new_fd = -1;
    if (s)
        return s;
    fd = memfd_create("pm-worker", MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, sizeof(*s)) == 0)
        s = map(fd);
    if (s) {
        *new_fd = fd;
    } else {
        log_warn("no memory file for a cluster worker (%s): a new engine will know less of it",
                 strerror(errno));
        if (fd >= 0)
            close(fd);
        s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (s == MAP_FAILED) {
            log_error("out of memory");
            _exit(1); /* as xmalloc: the next engine goes on */
        }
    }
    s->version = STATE_VERSION;
    __atomic_store_n(&s->magic, STATE_MAGIC, __ATOMIC_RELEASE);
    return s;
}

void state_close(struct state *s)
{
    if (s)
        munmap(s, sizeof(*s));
}

struct state_entry *state_add(struct state *s)
{
    struct state_entry *e = s->entries, *end = s->entries + s->used;

    while (e < end && e->phase != ENTRY_FREE)
        e++;
    if (e == s->entries + STATE_ENTRIES)
        return NULL;
    *e = (struct state_entry){0};
    if (e == end)
        __atomic_store_n(&s->used, s->used + 1, __ATOMIC_RELEASE);
    return e;
}

void state_set_phase(struct state_entry *e, enum entry_phase phase)
{
    __atomic_store_n(&e->phase, (uint8_t)phase, __ATOMIC_RELEASE);
}

struct state_entry *state_find(struct state *s, uint64_t token)
{
    STATE_FOREACH(e, s)
    if (e->token == token && token)
        return e;
    return NULL;
}

struct state_entry *state_of_query(struct state *s, uint32_t seq)
{
    STATE_FOREACH(e, s)
    if (e->token && e->query == seq)
        return e;
    return NULL;
}
