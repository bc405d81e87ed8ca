/* A token bucket that holds one second's worth. Pure: the caller brings the time. */
#ifndef PM_DAEMON_LOG_RATE_H
#define PM_DAEMON_LOG_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct log_rate {
    uint64_t lines, bytes;          /* a second; 0 = no limit */
    int64_t have_lines, have_bytes; /* thousandths; bytes may be owed after a long line */
    uint64_t at;                    /* ms, of the last look */
    bool dry;                       /* nothing passes before the bucket is full again */
};

/* A full bucket. */
void log_rate_init(struct log_rate *r, uint64_t lines, uint64_t bytes, uint64_t now_ms);

/*
 * May a line of so many bytes pass? Once one may not, none may until the bucket is full: so there is one gap
 * a second at most, and not one after every few lines.
 */
bool log_rate_allow(struct log_rate *r, uint64_t now_ms, uint64_t bytes);
void log_rate_charge(struct log_rate *r, uint64_t bytes); /* more of a line that passed */

/* Time until it is full. */
uint64_t log_rate_wait(struct log_rate *r, uint64_t now_ms);

#endif
