/* How far a long action is: one line on stderr that is drawn again and again, on a terminal only. */
#ifndef PM_CLI_PROGRESS_H
#define PM_CLI_PROGRESS_H

#include <jansson.h>
#include <stdbool.h>

struct out;

struct progress {
    const char *what; /* what the user named, for the line; borrowed */
    const char *done; /* "started", "stopped"… */
    bool shown;
};

/* Is there a terminal that takes such a line, and does the user want it? */
bool progress_wanted(const struct out *o);

/* Draws the line of a "progress" notification. False: it is another one. */
bool progress_show(struct progress *p, const json_t *msg);

/* Takes the line away, so that something else can be printed. NULL and no line: nothing. */
void progress_clear(struct progress *p);

/* "starting api: 12/40 up, 1 failed; last: api 11" of at most `width` columns. The caller frees. */
char *progress_line(const struct progress *p, const json_t *params, int width);

#endif
