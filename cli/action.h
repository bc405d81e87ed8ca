/*
 * A command that does something to processes, from its first request to its last word: progress on a
 * terminal, what became of each process (or --json), the table at the end, and what a Ctrl-C means.
 */
#ifndef PM_CLI_ACTION_H
#define PM_CLI_ACTION_H

#include "cli/cli.h"
#include "cli/progress.h"

struct action {
    struct cli *c;
    const struct args *args;
    struct progress progress;
    char *what;   /* the words of the command line */
    json_t *list; /* --json: the outcomes of all requests; else NULL */
    int worst;    /* exit code so far */
};

void action_begin(struct action *t, struct cli *c, const struct args *a);

/*
 * One request (steals params), and what became of each process; `done` is "started", "stopped"... (NULL: the
 * caller says what was done). Flags that
 * go with every such request (--parallel, --no-wait) are put in where the method takes them. Returns the exit
 * code; *result, when not NULL, is the caller's.
 */
int action_call(struct action *t, const char *method, json_t *params, const char *done, json_t **result);

/* The same for a request that may be refused without ending the command, as session_ask. */
int action_ask(struct action *t, const char *method, json_t *params, const char *done, json_t **result,
               struct err *refusal);

/* After a Ctrl-C nothing more is asked for. */
bool action_interrupted(const struct action *t);

/* Prints the outcomes as JSON, or the table of processes on a terminal (when `table`). Returns the worst exit
 * code of all requests and of `code`. */
int action_end(struct action *t, bool table, int code);

#endif
