#include <stdio.h>
#include <unistd.h>

#include "cli/describe.h"
#include "cli/session.h"
#include "common/buf.h"
#include "common/clock.h"

int cmd_describe(struct cli *c, const struct args *a)
{
    json_t *result = NULL, *record;
    struct buf b = {0};
    size_t i;
    int code = session_call(c, "describe", session_selectors(a->words, a->n_words), &result);

    if (code == 0 && args_has(a, "json")) {
        json_dumpf(result, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (code == 0) {
        json_array_foreach (result, i, record) {
            if (i)
                buf_putc(&b, '\n');
            describe_render(&c->out, record, environ, (int64_t)clock_wall_ms(), &b);
        }
        out_data(&b);
    }
    buf_free(&b);
    json_decref(result);
    return code;
}
