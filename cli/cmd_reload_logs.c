#include "cli/session.h"

int cmd_reload_logs(struct cli *c, const struct args *a)
{
    json_t *result = NULL;
    int code = session_call(c, "reload_logs", NULL, &result);

    (void)a;
    json_decref(result);
    if (code == 0)
        out_say(&c->out, "reopened all log files");
    return code;
}
