#include <stdio.h>
#include <stdlib.h>

#include "cli/jsonget.h"
#include "cli/session.h"
#include "cli/text.h"
#include "common/mem.h"
#include "config/values.h"

#define TIMEOUT_MAX 86400000

/* "[api:0:default]={"done":true}", as PM2 prints it. */
static void print_reply(const json_t *reply)
{
    char *text = json_dumps(json_object_get(reply, "return"), JSON_COMPACT | JSON_ENCODE_ANY);
    _cleanup_free_ char *name = text_clean_dup(j_text(reply, "name")),
                        *ns = text_clean_dup(j_text(reply, "namespace"));

    printf("[%s:%lld:%s]=%s\n", name, j_int(reply, "id"), ns, text ? text : "null");
    free(text);
}

static bool was_asked(const json_t *reply)
{
    return !json_is_false(json_object_get(reply, "asked"));
}

/* Those that do not have the action are passed over: at least one has it. */
static int print_replies(const struct cli *c, const json_t *replies)
{
    int code = EXIT_DONE;
    json_t *reply;
    size_t i;

    json_array_foreach (replies, i, reply) {
        if (json_is_true(json_object_get(reply, "ok")))
            print_reply(reply);
        else if (was_asked(reply))
            code = out_error(&c->out, "%s (id %lld): %s", j_text(reply, "name"), j_int(reply, "id"),
                             j_text(reply, "error"));
        else
            out_note(&c->out, "%s (id %lld) was not asked: %s", j_text(reply, "name"), j_int(reply, "id"),
                     j_text(reply, "error"));
    }
    return code;
}

static int worst_of(const json_t *replies)
{
    json_t *reply;
    size_t i;

    json_array_foreach (replies, i, reply) {
        if (was_asked(reply) && !json_is_true(json_object_get(reply, "ok")))
            return EXIT_FAILED;
    }
    return EXIT_DONE;
}

int cmd_trigger(struct cli *c, const struct args *a)
{
    const char *timeout = args_text(a, "timeout");
    json_t *params = session_selectors(a->words, 1), *result = NULL;
    int64_t ms = 0;
    int code;

    if (json_object_set_new(params, "action", json_string(a->words[1])) < 0 ||
        (a->n_words > 2 && json_object_set_new(params, "arg", json_string(a->words[2])) < 0)) {
        json_decref(params);
        return out_error(&c->out, "the action or its argument is not valid UTF-8");
    }
    if (timeout && (!value_duration(timeout, &ms) || ms < 1 || ms > TIMEOUT_MAX)) {
        json_decref(params);
        out_error(&c->out, "--timeout wants a time such as 500ms, 10s or 2m, of at most a day, not \"%.40s\"",
                  timeout);
        return EXIT_USAGE;
    }
    if (timeout)
        json_object_set_new(params, "timeout", json_integer(ms));
    code = session_call(c, "process.trigger", params, &result);
    if (code == EXIT_DONE && args_has(a, "json")) {
        out_json(json_object_get(result, "replies"));
        code = worst_of(json_object_get(result, "replies"));
    } else if (code == EXIT_DONE) {
        code = print_replies(c, json_object_get(result, "replies"));
    }
    json_decref(result);
    return code;
}
