/*
 * Finding lines in logs.db, in slices: each has a read transaction of its own and goes on by row id, so that
 * neither a long question nor a client that does not read keeps the write-ahead log from being reused.
 *
 * Rows are looked at in segments of the row ids that the batch index names. What a segment holds waits, as id
 * and time only, until no segment is left that could hold something earlier: so the answer is in the order of
 * time (and of row id within the same time), also where the clock was set back.
 */
#ifndef PM_DAEMON_LOG_FIND_H
#define PM_DAEMON_LOG_FIND_H

#include "common/err.h"
#include "daemon/log_grep.h"
#include "daemon/log_pick.h"
#include "daemon/log_read.h"

struct find_source;
struct find_segment;

enum find_step { FIND_STREAMS, FIND_BATCHES, FIND_ROWS, FIND_KEPT, FIND_DONE };

struct log_find {
    /* set by the owner */
    const struct log_filter *filter;
    struct log_grep *grep; /* borrowed; NULL = all */
    const char *path;
    unsigned lines, before, after; /* LOG_LINES_ALL = all; else the newest so many */
    bool reverse, count;
    bool whole;           /* the first call of a question whose rows are read up to what is stored now */
    uint64_t above, upto; /* row ids: after, and up to */

    enum find_step step;
    unsigned generation;
    bool backwards;
    struct find_source *sources; /* by id */
    size_t n_sources, cap_sources, at_source;
    struct find_segment *segments; /* in the order in which they are looked at */
    size_t n_segments, cap_segments, at_segment;
    uint64_t at_row; /* the next of the segment */
    struct pick_item *pool;
    size_t n_pool, cap_pool, ready, at_pool; /* `ready` of them are in order for good */
    struct log_pick pick;
    size_t at_kept;
    uint64_t last_seq; /* of the line that was handed over last */
    uint64_t matched;
    bool cut; /* some matches were left out, for there would be too many */
    struct err err;
};

int log_find_prepare(struct log_reader *r); /* the statements; an SQLite result code */

/*
 * Goes on for a short while; what was found is added to `out`. 1: there is more; 0: that was all; or negative
 * with words in `err`.
 */
int log_find_slice(struct log_find *f, struct log_reader *r, unsigned generation, struct log_block *out);
/* Only the last lines of all that are asked for: a short way that needs but the newest batches. As above. */
int log_find_last(struct log_find *f, struct log_reader *r, unsigned generation, struct log_block *out);
/* Goes on after the end with the rows after the last boundary up to this one; context goes on too. */
void log_find_extend(struct log_find *f, uint64_t upto);
void log_find_deinit(struct log_find *f);

#endif
