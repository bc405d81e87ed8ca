#include "cli/control.h"
#include "cli/session.h"

int cmd_flush(struct cli *c, const struct args *a)
{
    json_t *result = NULL, *params = NULL;
    int code = a->n_words ? control_selectors(c, a, 0, &params) : EXIT_DONE;

    if (code == EXIT_DONE)
        code = session_call(c, "flush", params, &result);
    json_decref(result);
    if (code != EXIT_DONE)
        return code;
    if (a->n_words == 0)
        out_say(&c->out, "emptied the logs of all processes and the daemon's own");
    for (size_t i = 0; i < a->n_words; i++)
        out_say(&c->out, "emptied the logs of %s", a->words[i]);
    return EXIT_DONE;
}
