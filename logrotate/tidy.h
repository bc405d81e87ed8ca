/* What is done with the rotated files of one log file: too many and too old ones are deleted, others
 * compressed. */
#ifndef PM_LOGROTATE_TIDY_H
#define PM_LOGROTATE_TIDY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "logrotate/policy.h"

struct err;

struct log_tidy {
    const char *path; /* of the log file, absolute */
    const struct log_rotate_policy *policy;
    const atomic_bool *stop;
    void (*trouble)(void *arg, const char *text);
    void *arg;
};

/*
 * Deletes what a broken off compression left (or finishes it), then what is beyond the policy, then
 * compresses. Whatever fails is told, and tried again the next time. Returns the number of files that were
 * deleted by the policy.
 */
unsigned log_tidy(const struct log_tidy *t);

/* A rotated file, for choosing. */
struct log_rotated {
    char *name;
    int64_t time_ns; /* last written */
    unsigned number; /* of several with one date */
};

/* Sorts, the newest first, and returns how many of them stay; the others are to go. */
size_t log_tidy_choose(struct log_rotated *v, size_t n, const struct log_rotate_policy *p, int64_t now_ns);

#endif
