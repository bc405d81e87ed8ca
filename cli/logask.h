/* What pm logs asks the daemon for. */
#ifndef PM_CLI_LOGASK_H
#define PM_CLI_LOGASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct args;
struct err;

struct logask {
    long long lines;      /* -1: as the daemon thinks fit */
    bool out, err;        /* one of them alone: only that stream */
    int64_t since, until; /* µs; -1 is none */
    json_t *grep;         /* array of patterns, or NULL */
    bool ignore_case, invert;
    const char *level;
    const char *run;    /* a number, or "last" */
    long long instance; /* -1: all */
    long long before, after;
    bool reverse, count;
};

/* Only the last n lines. */
#define LOGASK_LAST(n) .lines = (n), .since = -1, .until = -1, .instance = -1

/* Reads the flags; times in the local zone, from now (µs) on. 0, or -EINVAL with one line. logask_deinit in
 * both cases. */
int logask_read(struct logask *q, const struct args *a, int64_t now_us, struct err *e);
void logask_deinit(struct logask *q);

/* Is the end of the answer known, so that nothing is left to follow? */
bool logask_ends(const struct logask *q);

/* Is it more than a few last lines of some processes? */
bool logask_searches(const struct logask *q);

/* Adds the question to the parameters of a request. */
void logask_params(const struct logask *q, json_t *params);

#endif
