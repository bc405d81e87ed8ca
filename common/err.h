/*
 * Errors travel up as negative errno codes; the words travel beside them in a carrier to which each layer
 * adds what it was doing.
 */
#ifndef PM_COMMON_ERR_H
#define PM_COMMON_ERR_H

struct err {
    int code;      /* negative errno, 0 while nothing has gone wrong */
    char msg[512]; /* one line for the user, always terminated */
};

/* Writes the message and returns `code`, so that a failure is one statement. `e` may be NULL. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set with code -errno; ": <strerror>" is added. */
int err_errno(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "<what>: " before the message that is there; returns the code that is there. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
