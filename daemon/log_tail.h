/* Live lines through patterns and context. All on the reader's thread. */
#ifndef PM_DAEMON_LOG_TAIL_H
#define PM_DAEMON_LOG_TAIL_H

#include "common/err.h"
#include "daemon/log_grep.h"
#include "daemon/log_int.h"

struct log_tail {
    const struct log_filter *filter;
    struct log_grep *grep; /* borrowed; NULL = all */
    unsigned before, after;
    unsigned after_left;    /* at the beginning: what the history left */
    uint64_t seq, last_seq; /* of the line, of the one shown last */
    struct log_line *ring;  /* the last lines that were not shown, oldest first; with memory of their own */
    size_t n_ring, ring_bytes;
};

/* Puts what is to be shown of the lines (fixed) into `out` (unfixed). 0 or negative with words. */
int log_tail_filter(struct log_tail *t, const struct log_line *lines, size_t n, struct log_block *out,
                    struct err *e);
void log_tail_deinit(struct log_tail *t);

#endif
