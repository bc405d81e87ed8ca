#ifndef PM_KEEPER_TIMER_H
#define PM_KEEPER_TIMER_H

#include <stdint.h>

/* Moves *next (ms on the monotonic clock; UINT64_MAX: never) to `at` when that is earlier. */
static inline void timer_due(uint64_t *next, uint64_t at)
{
    if (at < *next)
        *next = at;
}

#endif
