/* save, resurrect, cleardump: the list that a user has put aside. */
#include "cli/action.h"
#include "cli/autostart.h"
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

/* What the answer says beside the outcomes. */
static void print_rest(const struct cli *c, const json_t *result)
{
    json_t *skipped;
    size_t i;

    json_array_foreach (json_object_get(result, "skipped"), i, skipped)
        if (json_is_string(skipped))
            out_say(&c->out, "left %s as it is: it is in the list already", json_string_value(skipped));
    if (json_array_size(json_object_get(result, "processes")) == 0)
        out_note(&c->out, "nothing was missing from the list");
}

int cmd_resurrect(struct cli *c, const struct args *a)
{
    json_t *result = NULL;
    struct action t;
    int code;

    action_begin(&t, c, a);
    if (!c->connected && autostart_connect(c) != SESSION_OK)
        return action_end(&t, false, EXIT_FAILED);
    code = action_call(&t, "resurrect", NULL, "started", &result);
    if (*j_text(result, "note"))
        out_warn(&c->out, "%s", j_text(result, "note"));
    if (result && code < EXIT_SIGNAL)
        print_rest(c, result);
    json_decref(result);
    return action_end(&t, true, code);
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
