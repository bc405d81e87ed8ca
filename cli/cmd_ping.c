#include <stdio.h>

#include "cli/jsonget.h"
#include "cli/session.h"

int cmd_ping(struct cli *c, const struct args *a)
{
    json_t *result = NULL;
    int code = session_call(c, "ping", NULL, &result);

    if (code == EXIT_DONE && args_has(a, "json"))
        out_json(result);
    else if (code == EXIT_DONE) /* PM2's form, a JavaScript object, which scripts look for */
        printf("{ msg: '%s' }\n", j_text(result, "msg"));
    json_decref(result);
    return code;
}
