#include <stdio.h>

#include "cli/cli.h"
#include "cli/help.h"
#include "cli/refused.h"

int cmd_help(struct cli *c, const struct args *a)
{
    const struct command *about = a->n_words ? command_find(a->words[0]) : NULL;

    if (a->n_words && !about && refused_command(a->words[0]))
        return out_error(&c->out, "pm has no command \"%s\": %s", a->words[0], refused_command(a->words[0]));
    if (a->n_words && !about) {
        out_error(&c->out, "there is no command \"%s\"; pm help lists them", a->words[0]);
        return EXIT_USAGE;
    }
    help_print(&c->out, about);
    return EXIT_DONE;
}

int cmd_examples(struct cli *c, const struct args *a)
{
    (void)a;
    help_examples(&c->out);
    return EXIT_DONE;
}
