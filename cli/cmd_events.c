#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/eventline.h"
#include "cli/interrupt.h"
#include "cli/jsonget.h"
#include "cli/session.h"
#include "cli/when.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"

struct view {
    struct cli *c;
    const struct args *args;
    int64_t since;  /* µs; -1 = not given */
    int64_t newest; /* ms: of the newest event shown... */
    json_t *shown;  /* ...and all that were shown of that moment */
    size_t count;
    bool json;
};

static void print_event(const struct view *v, const json_t *event)
{
    struct buf line = {0};

    if (v->json) {
        json_dumpf(event, stdout, JSON_COMPACT);
        putchar('\n');
        return;
    }
    eventline_append(&line, event, v->c->out.color);
    out_data(&line);
    buf_free(&line);
}

/* After the engine was replaced the same event may come again, from the stored ones. */
static bool is_known(const struct view *v, const json_t *event)
{
    json_t *known;
    size_t i;

    if (j_int(event, "time") < v->newest)
        return true;
    json_array_foreach (v->shown, i, known) {
        if (json_equal(known, event))
            return true;
    }
    return false;
}

static void show(struct view *v, json_t *event)
{
    if (j_int(event, "time") > v->newest) {
        json_array_clear(v->shown);
        v->newest = j_int(event, "time");
    }
    if (j_int(event, "time") == v->newest)
        json_array_append(v->shown, event);
    v->count++;
    print_event(v, event);
}

static void show_missed(const struct view *v, long long n)
{
    if (v->json)
        printf("{\"missed\":%lld}\n", n);
    else
        out_note(&v->c->out,
                 "%lld events were not shown, they came faster than they could be printed; see pm events "
                 "--nostream --lines N",
                 n);
}

static json_t *params_of(const struct view *v, bool again)
{
    json_t *params = session_selectors(v->args->words, v->args->n_words);
    long long lines = args_number(v->args, "lines", -1);

    json_object_set_new(params, "follow", json_boolean(!args_has(v->args, "nostream")));
    if (again) {
        json_object_set_new(params, "since", json_integer(v->newest * 1000));
        return params;
    }
    if (v->since >= 0)
        json_object_set_new(params, "since", json_integer(v->since));
    if (lines >= 0)
        json_object_set_new(params, "lines", json_integer(lines));
    return params;
}

/* Asks for the stored ones (`again`: those since the last one shown), and to hear of the next. */
static int ask(struct view *v, bool again)
{
    json_t *result = NULL, *event;
    int code = session_call(v->c, "events", params_of(v, again), &result);
    size_t i;

    if (code == 0) {
        json_array_foreach (json_object_get(result, "events"), i, event) {
            if (!again || !is_known(v, event))
                show(v, event);
        }
    }
    json_decref(result);
    return code;
}

static int resume(struct view *v)
{
    switch (session_reconnect(v->c)) {
    case SESSION_OK:
        out_note(&v->c->out, "the daemon's engine was replaced; following goes on");
        return ask(v, true);
    case SESSION_NO_DAEMON:
        return out_error(&v->c->out, "the daemon has ended");
    case SESSION_FAILED:
        break;
    }
    return EXIT_FAILED;
}

static void show_message(struct view *v, const json_t *msg)
{
    json_t *params = json_object_get(msg, "params");

    if (strcmp(j_text(msg, "method"), "event") != 0)
        return;
    if (json_object_get(params, "missed"))
        show_missed(v, j_int(params, "missed"));
    else
        show(v, params);
}

static int follow(struct view *v)
{
    struct cli *c = v->c;

    if (c->out.tty)
        out_note(&c->out, "following; Ctrl-C ends");
    interrupt_catch();
    while (!interrupted()) {
        struct err e = {0};
        json_t *msg = NULL;
        int rc = rpc_next(&c->rpc, 0, &msg, &e), code;

        if (rc == 0) {
            show_message(v, msg);
            json_decref(msg);
        } else if (rc == -ETIMEDOUT) {
            struct pollfd p[2] = {{.fd = c->rpc.fd, .events = POLLIN},
                                  {.fd = interrupt_fd(), .events = POLLIN}};

            /* Before waiting, not after each line: a flood is written in large pieces. */
            if (out_finish(&c->out) != 0)
                return EXIT_FAILED;
            poll(p, 2, -1);
        } else if (rc != -EINTR && !interrupted() && (code = resume(v)) != 0) {
            return interrupted() ? EXIT_DONE : code;
        }
    }
    return EXIT_DONE;
}

int cmd_events(struct cli *c, const struct args *a)
{
    struct view v = {.c = c, .args = a, .since = -1, .json = args_has(a, "json"), .shown = json_array()};
    const char *since = args_text(a, "since");
    struct err e = {0};
    int code;

    if (since && when_parse(since, (int64_t)clock_wall_us(), WHEN_EARLIER, &v.since, &e) < 0) {
        json_decref(v.shown);
        out_error(&c->out, "--since: %s", e.msg);
        return EXIT_USAGE;
    }
    code = ask(&v, false);
    if (v.newest == 0)
        v.newest = (int64_t)clock_wall_ms();
    if (code == 0 && args_has(a, "nostream") && v.count == 0 && c->out.tty)
        out_note(&c->out, "no event that was stored matches");
    if (code == 0 && !args_has(a, "nostream"))
        code = follow(&v);
    json_decref(v.shown);
    return code;
}
