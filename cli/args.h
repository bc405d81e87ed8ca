/* The command line, parsed by the command table. */
#ifndef PM_CLI_ARGS_H
#define PM_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/commands.h"

struct err;

struct given_flag {
    const struct flag *flag;
    const char *value; /* "" for FLAG_BOOL and for FLAG_OPTIONAL without a value; points into argv */
};

struct args {
    const struct command *command; /* NULL when there is no command word */
    struct given_flag *given;      /* in the order of the command line */
    size_t n_given;
    const char **words; /* after the command word, without flags; NULL-terminated */
    size_t n_words;
    const char **rest; /* what follows "--"; NULL-terminated, never NULL */
    size_t n_rest;
};

/*
 * Flags stand before or after the command; "--name value", "--name=value", "-n value", "-nvalue" and
 * "-sf" are the same as elsewhere; "--" ends them. Strings in `out` point into argv. 0, or -EINVAL with one
 * line that says what is wrong and what was probably meant. args_deinit in both cases.
 */
int args_parse(struct args *out, int argc, char **argv, struct err *e);
void args_deinit(struct args *a);

bool args_has(const struct args *a, const char *flag);

/* The value given last, or NULL. */
const char *args_text(const struct args *a, const char *flag);

/* The value of a FLAG_NUMBER (its range was checked), or `otherwise`. */
long long args_number(const struct args *a, const char *flag, long long otherwise);

#endif
