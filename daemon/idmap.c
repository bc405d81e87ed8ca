#include "daemon/idmap.h"

#include "common/mem.h"

/* Open addressing with linear probing; a NULL value marks a free slot. */
struct idmap_slot {
    uint64_t key;
    void *value;
};

static size_t slot_of(const struct idmap *m, uint64_t key)
{
    /* Fibonacci hashing: keys are counters, their low bits alone would do, pids of a busy machine would not.
     */
    return (size_t)((key * 0x9E3779B97F4A7C15ull) >> 20) & (m->cap - 1);
}

static void insert(struct idmap *m, uint64_t key, void *value)
{
    size_t i = slot_of(m, key);

    while (m->slots[i].value && m->slots[i].key != key)
        i = (i + 1) & (m->cap - 1);
    if (!m->slots[i].value)
        m->used++;
    m->slots[i] = (struct idmap_slot){key, value};
}

static void grow(struct idmap *m)
{
    struct idmap old = *m;

    m->cap = old.cap ? old.cap * 2 : 16;
    m->used = 0;
    m->slots = xcalloc(m->cap, sizeof(*m->slots));
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value)
            insert(m, old.slots[i].key, old.slots[i].value);
    free(old.slots);
}

void idmap_deinit(struct idmap *m)
{
    free(m->slots);
    *m = (struct idmap){0};
}

void idmap_put(struct idmap *m, uint64_t key, void *value)
{
    if ((m->used + 1) * 4 > m->cap * 3)
        grow(m);
    insert(m, key, value);
}

void *idmap_get(const struct idmap *m, uint64_t key)
{
    if (!m->cap)
        return NULL;
    for (size_t i = slot_of(m, key); m->slots[i].value; i = (i + 1) & (m->cap - 1))
        if (m->slots[i].key == key)
            return m->slots[i].value;
    return NULL;
}

void idmap_del(struct idmap *m, uint64_t key)
{
    size_t i, mask = m->cap - 1;

    if (!idmap_get(m, key))
        return;
    for (i = slot_of(m, key); m->slots[i].key != key || !m->slots[i].value; i = (i + 1) & mask)
        ;
    m->slots[i].value = NULL;
    m->used--;
    /* Close the gap: a later entry that was pushed past this slot would no longer be found. */
    for (size_t j = (i + 1) & mask; m->slots[j].value; j = (j + 1) & mask) {
        size_t home = slot_of(m, m->slots[j].key);

        if (((j - home) & mask) >= ((j - i) & mask)) {
            m->slots[i] = m->slots[j];
            m->slots[j].value = NULL;
            i = j;
        }
    }
}
