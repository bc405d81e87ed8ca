/*
 * Bytes to lines. A piece ends at a newline or after LOG_LINE_MAX bytes; where the pieces end depends only on
 * the bytes from the last boundary on, so that a replay from any boundary cuts the same pieces again.
 */
#ifndef PM_DAEMON_LOG_SPLIT_H
#define PM_DAEMON_LOG_SPLIT_H

#include <stddef.h>
#include <stdint.h>

/* What to do with bytes after the last newline that do not fill a piece. */
enum log_split_mode {
    LOG_SPLIT_KEEP, /* leave them: more is to come */
    LOG_SPLIT_CUT,  /* hand them out as a piece of a longer line (LOG_F_PARTIAL) */
    LOG_SPLIT_END,  /* the stream is over: hand them out with LOG_F_NO_EOL */
};

struct log_piece {
    uint32_t start, len; /* without the newline */
    uint32_t next;       /* where the following piece starts */
    uint32_t flags;      /* LOG_F_* */
};

/*
 * Cuts `n` bytes (below 4 GiB) that start at a boundary into at most `max` pieces. Returns the number of
 * pieces; the boundary after them is the last one's `next`.
 */
size_t log_split(const char *bytes, size_t n, enum log_split_mode mode, struct log_piece *out, size_t max);

#endif
