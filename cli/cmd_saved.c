/* save, cleardump: the list that a user has put aside. */
#include "cli/jsonget.h"
#include "cli/session.h"

int cmd_save(struct cli *c, const struct args *a)
{
    bool force = args_has(a, "force");
    json_t *result = NULL, *list = NULL;
    long long n;
    int code = session_call(c, "list", NULL, &list);

    /* As PM2: a warning, and the saved list stays. A script that saves after each step is not stopped. */
    if (code == EXIT_DONE && json_array_size(list) == 0 && !force) {
        json_decref(list);
        out_warn(&c->out, "the list is empty and was not saved; pm save --force saves it all the same");
        return EXIT_DONE;
    }
    json_decref(list);
    if (code == EXIT_DONE)
        code = session_call(c, "save", json_pack("{s:b}", "force", force), &result);
    if (code == EXIT_DONE && args_has(a, "json")) {
        out_json(result);
    } else if (code == EXIT_DONE) {
        n = json_object_get(result, "saved") ? j_int(result, "saved") : j_int(result, "processes");
        out_say(&c->out, "saved %lld process%s; pm resurrect brings them back", n, n == 1 ? "" : "es");
    }
    json_decref(result);
    return code;
}

int cmd_cleardump(struct cli *c, const struct args *a)
{
    json_t *result = NULL;
    int code = session_call(c, "cleardump", NULL, &result);

    (void)a;
    json_decref(result);
    if (code == EXIT_DONE)
        out_say(&c->out, "forgot the saved list; what runs goes on");
    return code;
}
