#include "cli/action.h"
#include "cli/control.h"

static void say(const struct cli *c, const struct args *a)
{
    if (a->n_words == 0)
        out_say(&c->out, "emptied the logs of all processes and the daemon's own");
    for (size_t i = 0; i < a->n_words; i++)
        out_say(&c->out, "emptied the logs of %s", a->words[i]);
}

int cmd_flush(struct cli *c, const struct args *a)
{
    json_t *params = NULL;
    int code = a->n_words ? control_selectors(c, a, 0, &params) : EXIT_DONE;
    struct action t;

    if (code != EXIT_DONE)
        return code;
    action_begin(&t, c, a);
    code = action_call(&t, "flush", params, NULL, NULL);
    if (code == EXIT_DONE && !args_has(a, "json"))
        say(c, a);
    return action_end(&t, false, code);
}
