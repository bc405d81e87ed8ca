#include <stdio.h>

#include "cli/jsonget.h"
#include "cli/session.h"

int cmd_ping(struct cli *c, const struct args *a)
{
    json_t *result = NULL;
    int code = session_call(c, "ping", NULL, &result);

    (void)a;
    /* PM2's form, a JavaScript object, which scripts look for. */
    if (code == 0)
        printf("{ msg: '%s' }\n", j_text(result, "msg"));
    json_decref(result);
    return code;
}
