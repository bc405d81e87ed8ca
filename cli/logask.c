#include "cli/logask.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/when.h"
#include "common/err.h"

#define LINES_AT_ONCE 10000 /* more come in parts */

static int read_time(const struct args *a, const char *flag, int64_t now_us, enum when_twice twice,
                     int64_t *us, struct err *e)
{
    const char *text = args_text(a, flag);

    if (text && when_parse(text, now_us, twice, us, e) < 0)
        return err_wrap(e, "--%s", flag);
    return 0;
}

/* Patterns come from the command line, and may be bytes of any kind: what is not UTF-8 is no JSON. */
static int read_patterns(struct logask *q, const struct args *a, struct err *e)
{
    for (size_t i = 0; i < a->n_given; i++) {
        json_t *pattern;

        if (strcmp(a->given[i].flag->name, "grep") != 0)
            continue;
        pattern = json_string(a->given[i].value);
        if (!pattern)
            return err_set(e, -EINVAL, "--grep: the pattern is not UTF-8; write other bytes as \\xNN");
        if (!q->grep)
            q->grep = json_array();
        json_array_append_new(q->grep, pattern);
    }
    if (!q->grep && (q->ignore_case || q->invert))
        return err_set(e, -EINVAL, "--%s goes with --grep PATTERN", q->invert ? "invert" : "ignore-case");
    return 0;
}

static int read_run(struct logask *q, const struct args *a, struct err *e)
{
    size_t digits = 0;

    q->run = args_text(a, "run");
    if (!q->run || strcmp(q->run, "last") == 0)
        return 0;
    while (isdigit((unsigned char)q->run[digits]))
        digits++;
    if (digits == 0 || digits > 18 || q->run[digits])
        return err_set(e, -EINVAL,
                       "--run wants the number of a run (pm why shows them) or \"last\", not \"%.40s\"",
                       q->run);
    return 0;
}

int logask_read(struct logask *q, const struct args *a, int64_t now_us, struct err *e)
{
    long long context = args_number(a, "context", 0);

    *q = (struct logask){.lines = args_number(a, "lines", -1),
                         .out = args_has(a, "out"),
                         .err = args_has(a, "err"),
                         .since = -1,
                         .until = -1,
                         .ignore_case = args_has(a, "ignore-case"),
                         .invert = args_has(a, "invert"),
                         .level = args_text(a, "level"),
                         .instance = args_number(a, "instance", -1),
                         .before = args_number(a, "before", context),
                         .after = args_number(a, "after", context),
                         .reverse = args_has(a, "reverse"),
                         .count = args_has(a, "count")};
    /* An hour that comes twice belongs to the range as a whole. */
    if (read_time(a, "since", now_us, WHEN_EARLIER, &q->since, e) < 0 ||
        read_time(a, "until", now_us, WHEN_LATER, &q->until, e) < 0 || read_patterns(q, a, e) < 0 ||
        read_run(q, a, e) < 0)
        return -EINVAL;
    if (q->until >= 0 && q->since >= q->until)
        return err_set(e, -EINVAL, "--since is not before --until: no line can be in between");
    if (q->count && q->lines >= 0)
        return err_set(e, -EINVAL, "--count counts all that matches; it takes no --lines");
    return 0;
}

void logask_deinit(struct logask *q)
{
    json_decref(q->grep);
    q->grep = NULL;
}

bool logask_ends(const struct logask *q)
{
    return q->until >= 0 || q->reverse || q->count || (q->run && strcmp(q->run, "last") != 0);
}

bool logask_searches(const struct logask *q)
{
    return q->since >= 0 || q->until >= 0 || q->grep || q->level || q->run || q->instance >= 0 ||
           q->reverse || q->count;
}

static void put_true(json_t *params, const char *name, bool value)
{
    if (value)
        json_object_set_new(params, name, json_true());
}

static void put_number(json_t *params, const char *name, long long value, long long least)
{
    if (value >= least)
        json_object_set_new(params, name, json_integer(value));
}

void logask_params(const struct logask *q, json_t *params)
{
    if (q->out != q->err) {
        json_object_set_new(params, "out", json_boolean(q->out));
        json_object_set_new(params, "err", json_boolean(q->err));
    }
    put_number(params, "lines", q->lines, 0);
    put_number(params, "since", q->since, 0);
    put_number(params, "until", q->until, 0);
    put_number(params, "instance", q->instance, 0);
    put_number(params, "before", q->before, 1);
    put_number(params, "after", q->after, 1);
    put_true(params, "ignore_case", q->ignore_case);
    put_true(params, "invert", q->invert);
    put_true(params, "reverse", q->reverse);
    put_true(params, "count", q->count);
    if (q->grep)
        json_object_set(params, "grep", q->grep);
    if (q->level)
        json_object_set_new(params, "level", json_string(q->level));
    if (q->run)
        json_object_set_new(params, "run",
                            isdigit((unsigned char)*q->run) ? json_integer(strtoll(q->run, NULL, 10))
                                                            : json_string(q->run));
}
