/* Which of an ordered sequence of lines are shown: matches, and their context. */
#ifndef PM_DAEMON_LOG_PICK_H
#define PM_DAEMON_LOG_PICK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pick_item {
    uint64_t time_us, id;
    uint32_t source;
    bool match;
};

struct pick_out {
    uint64_t id, seq;
    uint32_t source;
    bool context;
};

struct log_pick {
    unsigned before, after; /* context, in the order of the sequence */
    uint64_t limit;         /* matches; later ones count as context */
    uint64_t seq, matched;
    unsigned after_left;
    struct pick_item *ring; /* the last that were not shown, `before` at most */
    unsigned ring_at, ring_n;
    struct pick_out *out; /* what is to be shown */
    size_t n_out, cap_out;
};

void log_pick_add(struct log_pick *p, const struct pick_item *item);
/* Nothing later can be shown. */
bool log_pick_full(const struct log_pick *p);
void log_pick_deinit(struct log_pick *p);

#endif
