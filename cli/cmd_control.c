/* stop, restart, delete: rows of the command table that differ by method and word. */
#include "cli/outcome.h"
#include "cli/proclist.h"
#include "cli/session.h"

int cmd_control(struct cli *c, const struct args *a)
{
    json_t *result = NULL;
    unsigned failed;
    int code = session_call(c, a->command->method, session_selectors(a->words, a->n_words), &result);

    /* A failure may carry what was done until then. */
    failed = outcome_print(c, result, a->command->done);
    json_decref(result);
    if (code != 0)
        return code;
    if (c->out.tty && !c->out.silent)
        proclist_print(c);
    return failed ? EXIT_FAILED : EXIT_DONE;
}
