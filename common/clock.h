#ifndef PM_COMMON_CLOCK_H
#define PM_COMMON_CLOCK_H

#include <stdint.h>

uint64_t clock_mono_ms(void); /* CLOCK_MONOTONIC, ms: for intervals */
uint64_t clock_wall_ms(void); /* CLOCK_REALTIME, ms since the epoch: for what is stored and shown */
uint64_t clock_wall_us(void); /* the same in µs: for log lines */

#endif
