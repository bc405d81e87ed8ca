/* Log lines of some processes on the screen: the past ones, then those that come. */
#ifndef PM_CLI_LOGVIEW_H
#define PM_CLI_LOGVIEW_H

#include "cli/cli.h"
#include "cli/logask.h"
#include "cli/logline.h"
#include "cli/logseen.h"
#include "cli/pager.h"

struct logview {
    struct cli *c;
    const char *const *words; /* selectors; none = all */
    size_t n_words;
    struct logask ask;
    struct logline_style style;
    struct pager pager;
    struct logseen *seen; /* logview_open makes it */
    size_t shown;         /* lines, so far */
    size_t known;         /* processes in the list, as logview_open found it */
    int code;             /* not 0: the daemon gave up, and that was said */
    long long matched;    /* the answer to ask.count */
};

/* Shows what is asked for, and subscribes to what comes (`follow`). 0, or the exit code after the error
 * was printed; logview_close in both cases. */
int logview_open(struct logview *v, bool follow);
void logview_close(struct logview *v);

/* Shows what comes until the user interrupts (interrupt_catch), also from the next engine. Returns the exit
 * code. */
int logview_follow(struct logview *v);

/* The steps of logview_follow, for who waits for something else as well: shows one notification; finds the
 * next engine after the connection broke. */
void logview_show(struct logview *v, const json_t *msg);
int logview_resume(struct logview *v);

#endif
