/* The log of the selected process as pm monit holds it: its last lines, where one looks at them, and a
 * search. */
#ifndef PM_CLI_MONIT_LOG_H
#define PM_CLI_MONIT_LOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MONIT_LOG_LINES  2000
#define MONIT_LOG_BYTES  4096 /* of one line; the rest of it is not shown */
#define MONIT_SEARCH_MAX 64   /* bytes, with the NUL */

struct monit_line {
    int64_t time_us;
    bool error; /* of standard error */
    bool note;  /* by pm itself: lines are missing here */
    char *text; /* harmless for a terminal */
};

struct monit_log {
    struct monit_line lines[MONIT_LOG_LINES]; /* a ring */
    size_t first, n;
    size_t up;   /* lines between the end and the last one on the screen; 0: at the end */
    int left;    /* columns cut off at the left */
    bool follow; /* new lines move the view */
    char search[MONIT_SEARCH_MAX];
};

void monit_log_clear(struct monit_log *l);

/* Takes the parameters of a `log` notification, or the answer to `logs`. */
void monit_log_take(struct monit_log *l, const json_t *params);

/* A line of pm's own. */
void monit_log_note(struct monit_log *l, const char *text);

/* i from 0, the oldest, to n - 1. */
const struct monit_line *monit_log_line(const struct monit_log *l, size_t i);

/* By lines, up when positive. To the end and beyond: following begins again. */
void monit_log_scroll(struct monit_log *l, long by, size_t height);

/* The next line up (older) or down that holds the text, whatever the case: it becomes the last one on the
 * screen. False when there is none. */
bool monit_log_find(struct monit_log *l, bool up);

#endif
