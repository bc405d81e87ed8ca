#include <stdio.h>

#include "cli/cli.h"

int cmd_version(struct cli *c, const struct args *a)
{
    (void)c;
    (void)a;
    puts(PM_VERSION);
    return EXIT_DONE;
}
