#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/control.h"

#define SCALE_MAX 10000

int cmd_scale(struct cli *c, const struct args *a)
{
    const char *word = a->words[1];
    bool relative = word[0] == '+' || word[0] == '-';
    long long n;
    char *end;

    if (strcmp(word, "max") == 0)
        return control_run(c, a, json_pack("{s:s, s:b}", "name", a->words[0], "cpus", 1));
    errno = 0;
    n = strtoll(word, &end, 10);
    if (end == word || *end || errno || n < -SCALE_MAX || n > SCALE_MAX || (relative && n == 0)) {
        out_error(&c->out, "scale wants a number such as 4, +2 or -1, or max, not \"%s\"", word);
        return EXIT_USAGE;
    }
    if (!relative && n == 0)
        return out_error(&c->out, "an app has at least one process; to have none: pm stop %s", a->words[0]);
    return control_run(c, a,
                       json_pack("{s:s, s:I}", "name", a->words[0], relative ? "by" : "to", (json_int_t)n));
}
