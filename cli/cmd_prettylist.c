#include <stdio.h>

#include "cli/jsdump.h"
#include "cli/session.h"
#include "common/buf.h"

int cmd_prettylist(struct cli *c, const struct args *a)
{
    json_t *result = NULL;
    struct buf b = {0};
    int code = EXIT_DONE;

    (void)a;
    if (c->connected)
        code = session_call(c, "list", json_pack("{s:b}", "full", 1), &result);
    else
        result = json_array();
    if (code == EXIT_DONE) {
        jsdump(&b, result);
        out_data(&b);
    }
    buf_free(&b);
    json_decref(result);
    return code;
}
