/* stop, delete, reset, sendSignal: rows of the command table that differ by method and word. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/action.h"
#include "cli/appfile.h"
#include "cli/control.h"
#include "cli/jsonget.h"
#include "cli/session.h"
#include "common/mem.h"

/* Adds the names of a config file's apps; those that the daemon does not know are said and left out. */
static int add_names(struct cli *c, const struct args *a, const struct caller *k, const char *word,
                     json_t *selectors)
{
    struct app_list apps = {0};
    json_t *known = NULL, *r;
    int code = appfile_load(c, a, k, word, &apps);

    if (code == EXIT_DONE)
        code = session_call(c, "list", NULL, &known);
    for (size_t i = 0; code == EXIT_DONE && i < apps.n; i++) {
        bool found = false;
        size_t n;

        json_array_foreach (known, n, r)
            found = found || strcmp(j_text(r, "name"), apps.v[i]->name) == 0;
        if (found)
            json_array_append_new(selectors, json_string(apps.v[i]->name));
        else
            out_warn(&c->out, "%s of %s is not in the list", apps.v[i]->name, word);
    }
    app_list_free(&apps);
    json_decref(known);
    return code;
}

int control_selectors(struct cli *c, const struct args *a, size_t first, json_t **params)
{
    json_t *selectors = json_array();
    struct caller k;
    int code = caller_init(&k, c, a);

    k.ctx.names_only = true; /* a script that is gone must not keep its app from being stopped */
    for (size_t i = first; code == EXIT_DONE && i < a->n_words; i++) {
        json_t *word = NULL;

        if (appfile_is(a->words[i])) {
            code = add_names(c, a, &k, a->words[i], selectors);
            continue;
        }
        /* A word that is not UTF-8 cannot be a name; the daemon says that nothing matches. */
        word = json_string(a->words[i]);
        json_array_append_new(selectors, word ? word : json_string("?"));
    }
    caller_deinit(&k);
    if (code == EXIT_DONE && json_array_size(selectors) == 0)
        code = out_error(&c->out, "none of these apps is in the list");
    *params = code == EXIT_DONE ? json_pack("{s:o}", "selectors", selectors) : NULL;
    if (code != EXIT_DONE)
        json_decref(selectors);
    return code;
}

int control_run(struct cli *c, const struct args *a, json_t *params)
{
    struct action t;

    action_begin(&t, c, a);
    action_call(&t, a->command->method, params, a->command->done, NULL);
    return action_end(&t, true, EXIT_DONE);
}

int cmd_control(struct cli *c, const struct args *a)
{
    json_t *params;
    int code = control_selectors(c, a, 0, &params);

    return code == EXIT_DONE ? control_run(c, a, params) : code;
}
