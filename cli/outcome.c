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

/* Of an app of which one process could not be reloaded. */
static void print_left(const struct cli *c, const json_t *list)
{
    json_t *o, *other;
    size_t i, k;

    json_array_foreach (list, i, o) {
        unsigned n = 0;
        bool first = true;

        if (!json_is_true(json_object_get(o, "left")))
            continue;
        json_array_foreach (list, k, other) {
            if (!json_is_true(json_object_get(other, "left")) ||
                strcmp(j_text(other, "name"), j_text(o, "name")) != 0)
                continue;
            first = first && k >= i;
            n++;
        }
        if (first)
            out_error(&c->out, "%u more process%s of %s %s left as %s", n, n == 1 ? "" : "es",
                      j_text(o, "name"), n == 1 ? "was" : "were", n == 1 ? "it was" : "they were");
    }
}

static void print_notes(const struct cli *c, const json_t *notes)
{
    json_t *note;
    size_t i;

    json_array_foreach (notes, i, note)
        if (json_is_string(note))
            out_note(&c->out, "%s", json_string_value(note));
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

        if (json_is_true(json_object_get(o, "left")))
            failed++; /* all together below */
        else if (!json_is_true(json_object_get(o, "ok")))
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
    print_left(c, list);
    print_notes(c, json_object_get(result, "notes"));
    return failed;
}
