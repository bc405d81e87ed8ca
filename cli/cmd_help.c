#include <stdio.h>

#include "cli/cli.h"
#include "cli/help.h"

int cmd_help(struct cli *c, const struct args *a)
{
    const struct command *about = a->n_words ? command_find(a->words[0]) : NULL;

    if (a->n_words && !about) {
        out_error(&c->out, "there is no command \"%s\"; pm help lists them", a->words[0]);
        return EXIT_USAGE;
    }
    help_print(&c->out, about);
    return EXIT_DONE;
}
