#include "cli/action.h"

#include <stdlib.h>

#include "cli/interrupt.h"
#include "cli/jsonget.h"
#include "cli/outcome.h"
#include "cli/proclist.h"
#include "cli/session.h"
#include "common/buf.h"
#include "common/mem.h"
#include "ipc/methods.h"

static bool on_notification(void *arg, const json_t *msg)
{
    struct action *t = arg;

    return progress_show(&t->progress, msg);
}

void action_begin(struct action *t, struct cli *c, const struct args *a)
{
    struct buf what = {0};

    for (size_t i = 0; i < a->n_words; i++)
        buf_printf(&what, "%s%s", i ? " " : "", a->words[i]);
    *t = (struct action){.c = c, .args = a};
    t->what = buf_steal(&what);
    t->progress = (struct progress){.what = *t->what ? t->what : "all"};
    if (args_has(a, "json"))
        t->list = json_array();
    c->out.data_only = t->list != NULL;
}

/* What the user said about how it is to be done. */
static void add_flags(const struct action *t, const char *method, json_t *params)
{
    const struct method *m = &methods[method_find(method)];
    long long parallel = args_number(t->args, "parallel", 0);

    if (parallel > 0 && method_param(m, "parallel"))
        json_object_set_new(params, "parallel", json_integer(parallel));
    if (args_has(t->args, "no-wait") && method_param(m, "wait"))
        json_object_set_new(params, "wait", json_false());
    if (!t->list && progress_wanted(&t->c->out) && method_param(m, "progress"))
        json_object_set_new(params, "progress", json_true());
}

/* --json: kept for the end; failures are said on stderr all the same. Returns how many failed. */
static unsigned keep(struct action *t, const json_t *result, const char *done)
{
    const json_t *list = json_object_get(result, "processes");
    unsigned failed = 0;
    json_t *o;
    size_t i;

    json_array_foreach (list, i, o) {
        json_array_append(t->list, o);
        if (json_is_true(json_object_get(o, "ok")))
            continue;
        failed++;
        outcome_print_error(t->c, o, done);
    }
    return failed;
}

int action_ask(struct action *t, const char *method, json_t *params, const char *done, json_t **result,
               struct err *refusal)
{
    json_t *answer = NULL;
    unsigned failed;
    int code;

    if (!params)
        params = json_object();
    interrupt_catch();
    add_flags(t, method, params);
    t->progress.done = done ? done : "";
    t->c->progress = &t->progress;
    t->c->rpc.notify = on_notification;
    t->c->rpc.notify_arg = t;
    code = session_ask(t->c, method, params, &answer, refusal);
    t->c->rpc.notify = NULL;
    t->c->progress = NULL;
    if (t->list)
        failed = keep(t, answer, done ? done : "done");
    else
        failed = done ? outcome_print(t->c, answer, done) : 0;
    if (code == EXIT_DONE && failed)
        code = EXIT_FAILED;
    if (code > t->worst)
        t->worst = code;
    if (result)
        *result = answer;
    else
        json_decref(answer);
    return code;
}

int action_call(struct action *t, const char *method, json_t *params, const char *done, json_t **result)
{
    return action_ask(t, method, params, done, result, NULL);
}

bool action_interrupted(const struct action *t)
{
    return t->worst >= EXIT_SIGNAL;
}

int action_end(struct action *t, bool table, int code)
{
    const struct out *o = &t->c->out;

    if (code > t->worst)
        t->worst = code;
    if (t->list) {
        out_json(t->list);
    } else if (table && o->tty && !o->silent && !action_interrupted(t)) {
        proclist_print(t->c);
    }
    json_decref(t->list);
    free(t->what);
    return t->worst;
}
