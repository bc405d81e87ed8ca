#include "cli/outcome.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/jsonget.h"
#include "common/mem.h"

#define FAILURES_IN_FULL 8 /* of two hundred that fail alike, the first tell enough */

char *outcome_word(const char *name, long long id)
{
    bool simple = isalnum((unsigned char)name[0]);

    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
            simple = false;
    return simple ? xstrdup(name) : xasprintf("%lld", id);
}

/* What pm does next by itself, where that is not plain. */
static const char *prospect(const char *status)
{
    if (strcmp(status, "errored") == 0)
        return "; pm has given it up";
    return strcmp(status, "waiting restart") == 0 ? "; pm tries again" : "";
}

void outcome_print_error(const struct cli *c, const json_t *o, const char *done)
{
    const char *error = j_text(o, "error");

    out_error(&c->out, "%s (id %lld) was not %s: %s%s", j_text(o, "name"), j_int(o, "id"), done,
              *error ? error : "no reason was given", prospect(j_text(o, "status")));
}

static void print_failure(const struct cli *c, const json_t *o, const char *done, bool in_full)
{
    _cleanup_free_ char *word = outcome_word(j_text(o, "name"), j_int(o, "id"));
    const json_t *lines = json_object_get(o, "stderr");
    json_t *line;
    size_t i;

    outcome_print_error(c, o, done);
    if (!in_full)
        return;
    json_array_foreach (lines, i, line)
        if (json_is_string(line))
            out_detail(&c->out, json_string_value(line));
    if (!c->out.silent)
        fprintf(stderr, "     next: pm logs %s --err, pm why %s\n", word, word);
}

unsigned outcome_print(const struct cli *c, const json_t *result, const char *done)
{
    const json_t *list = json_object_get(result, "processes");
    unsigned failed = 0;
    json_t *o;
    size_t i;

    json_array_foreach (list, i, o) {
        long long id = j_int(o, "id"), pid = j_int(o, "pid");
        const char *status = j_text(o, "status");

        if (!json_is_true(json_object_get(o, "ok")))
            print_failure(c, o, done, failed++ < FAILURES_IN_FULL);
        else if (strcmp(status, "deleted") == 0)
            out_say(&c->out, "deleted %s (id %lld)", j_text(o, "name"), id);
        else if (strcmp(done, "scaled") == 0)
            out_say(&c->out, "started %s (id %lld, pid %lld)", j_text(o, "name"), id, pid);
        else if (strcmp(done, "started") == 0 && strcmp(status, "stopped") == 0)
            out_say(&c->out, "added %s (id %lld), which is not started by itself", j_text(o, "name"), id);
        else if (pid > 0 && strcmp(status, "online") == 0)
            out_say(&c->out, "%s %s (id %lld, pid %lld)", done, j_text(o, "name"), id, pid);
        else
            out_say(&c->out, "%s %s (id %lld)", done, j_text(o, "name"), id);
    }
    return failed;
}
