#include <stdio.h>

#include "cli/listwatch.h"
#include "cli/proclist.h"
#include "cli/session.h"
#include "common/buf.h"

static int print_raw(struct cli *c, json_t *params)
{
    struct rpc_text result = {.text = "[]", .len = 2};
    int code = 0;

    /* The daemon's text goes out as it came: it may be large, and what reads it is a program. */
    if (c->connected)
        code = session_call_raw(c, "list", params, &result);
    else
        json_decref(params);
    if (code == 0) {
        fwrite(result.text, 1, result.len, stdout);
        putchar('\n');
    }
    rpc_text_free(&result);
    return code;
}

int cmd_jlist(struct cli *c, const struct args *a)
{
    (void)a;
    return print_raw(c, json_pack("{s:b}", "full", 1));
}

static void print_empty(struct cli *c)
{
    struct buf b = {0};
    json_t *none = json_array();

    proclist_render(&c->out, &c->view, none, 0, &b);
    json_decref(none);
    out_data(&b);
    buf_free(&b);
}

int cmd_list(struct cli *c, const struct args *a)
{
    if (args_has(a, "watch"))
        return listwatch_run(c, args_text(a, "watch"));
    if (args_has(a, "json"))
        return print_raw(c, json_object());
    if (c->connected)
        return proclist_print(c);
    out_note(&c->out, "no daemon runs for %s; pm start starts one", c->home_path);
    print_empty(c);
    return EXIT_DONE;
}
