/* Times and sizes in words. All durations are ms. */
#ifndef PM_CLI_UNITS_H
#define PM_CLI_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define UNITS_MAX 40 /* room for any of these, with the NUL */

/* PM2's column: one unit, and the next larger one only from 2 on: "119s", "2m", "119m", "2h", "47h", "2D". */
const char *units_uptime(char out[UNITS_MAX], int64_t ms);

/* PM2's sizes: 1024-based, one decimal: "0b", "12.3mb". */
const char *units_size(char out[UNITS_MAX], uint64_t bytes);

/* A duration to be read: "40 ms", "2.3 s", "3 min 12 s", "2 h 5 min", "4 d 3 h". */
const char *units_span(char out[UNITS_MAX], int64_t ms);

/* How long ago: "just now", "12 s ago", "3 min ago", "5 h ago", "3 d ago"; "in 12 s" for the future. */
const char *units_ago(char out[UNITS_MAX], int64_t ms);

/* Local time of ms since the epoch: "2025-10-18 14:03:22". */
const char *units_time(char out[UNITS_MAX], int64_t ms);

/* The same of µs, with ms: "2025-10-18 14:03:22.123". */
const char *units_time_us(char out[UNITS_MAX], int64_t us);

#endif
