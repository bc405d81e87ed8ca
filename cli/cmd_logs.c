#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/jsonget.h"
#include "cli/logline.h"
#include "cli/logseen.h"
#include "cli/session.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"

struct viewer {
    struct cli *c;
    const struct args *args;
    struct logline_style style;
    struct logseen *seen;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

/* Ctrl-C is the regular end of following. Without SA_RESTART, so that the wait for lines returns. */
static void catch_interrupt(void)
{
    struct sigaction sa = {.sa_handler = on_interrupt};

    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

static json_t *log_params(const struct viewer *v, size_t lines, bool follow)
{
    static const char *const all[] = {"all"};
    const struct args *a = v->args;
    json_t *p = a->n_words ? session_selectors(a->words, a->n_words) : session_selectors(all, 1);
    bool out = args_has(a, "out"), err = args_has(a, "err");

    json_object_set_new(p, "lines", json_integer((json_int_t)lines));
    json_object_set_new(p, "follow", json_boolean(follow));
    if (out != err) {
        json_object_set_new(p, "out", json_boolean(out));
        json_object_set_new(p, "err", json_boolean(err));
    }
    return p;
}

static void show(struct viewer *v, const json_t *lines)
{
    struct buf b = {0};
    json_t *line;
    size_t i;

    json_array_foreach (lines, i, line) {
        int width = logline_label_width(line);

        if (width > v->style.label_width)
            v->style.label_width = width;
    }
    json_array_foreach (lines, i, line) {
        logline_render(&b, line, &v->style);
        logseen_add(v->seen, line);
    }
    out_data(&b);
    buf_free(&b);
}

static void show_missed(const struct viewer *v, long long n)
{
    if (v->style.form == LOGLINE_JSON)
        printf("{\"missed\":%lld}\n", n);
    else
        out_note(&v->c->out,
                 "%lld lines were not shown, they came faster than they could be printed; see pm logs "
                 "--nostream --lines N",
                 n);
}

static void show_notification(struct viewer *v, const json_t *msg)
{
    const json_t *params = json_object_get(msg, "params");

    if (strcmp(j_text(msg, "method"), "log") != 0)
        return;
    if (json_object_get(params, "missed"))
        show_missed(v, j_int(params, "missed"));
    show(v, json_object_get(params, "lines"));
}

/* The engine was replaced: follow the new one from the last line shown. 0, or the exit code. */
static int resume(struct viewer *v)
{
    json_t *result = NULL, *fresh;
    bool gap;
    int code;

    switch (session_reconnect(v->c)) {
    case SESSION_OK:
        break;
    case SESSION_NO_DAEMON:
        return out_error(&v->c->out, "the daemon has ended");
    case SESSION_FAILED:
        return EXIT_FAILED;
    }
    code = session_call(v->c, "logs", log_params(v, LOGSEEN_MAX, true), &result);
    if (code == 0) {
        fresh = logseen_new_lines(v->seen, json_object_get(result, "lines"), LOGSEEN_MAX, &gap);
        out_note(&v->c->out, "the daemon's engine was replaced; following goes on%s",
                 gap ? " (older lines may be missing here)" : "");
        show(v, fresh);
        json_decref(fresh);
    }
    json_decref(result);
    return code;
}

static int follow(struct viewer *v)
{
    while (!interrupted) {
        struct err e = {0};
        json_t *msg = NULL;
        int rc;

        /* Before waiting, not after each line: a flood is written in large pieces. */
        if (out_finish(&v->c->out) != 0)
            return EXIT_FAILED;
        rc = rpc_next(&v->c->rpc, -1, &msg, &e);
        if (rc == 0) {
            show_notification(v, msg);
            json_decref(msg);
        } else if (rc != -EINTR && !interrupted) {
            int code = resume(v);

            if (code != 0)
                return interrupted ? EXIT_DONE : code;
        }
    }
    return EXIT_DONE;
}

/* All names at once, so that the prefixes stand in one column from the start. */
static void measure_labels(struct viewer *v)
{
    json_t *records = NULL, *r;
    struct err e;
    size_t i;

    if (rpc_call(&v->c->rpc, "list", NULL, SESSION_READ_MS, &records, &e) == 0) {
        json_array_foreach (records, i, r) {
            char id[24];
            bool wanted = v->args->n_words == 0;

            snprintf(id, sizeof(id), "%lld", j_int(r, "id"));
            for (size_t k = 0; k < v->args->n_words; k++)
                wanted = wanted || strcmp(v->args->words[k], "all") == 0 ||
                         strcmp(v->args->words[k], id) == 0 ||
                         strcmp(v->args->words[k], j_text(r, "name")) == 0;
            if (wanted && logline_label_width(r) > v->style.label_width)
                v->style.label_width = logline_label_width(r);
        }
    }
    json_decref(records);
}

int cmd_logs(struct cli *c, const struct args *a)
{
    struct viewer v = {.c = c,
                       .args = a,
                       .style = {.form = args_has(a, "json")  ? LOGLINE_JSON
                                         : args_has(a, "raw") ? LOGLINE_RAW
                                                              : LOGLINE_PREFIXED,
                                 .terminal = c->out.tty,
                                 .color = c->out.color,
                                 .timestamp = args_has(a, "timestamp")},
                       .seen = xmalloc(sizeof(*v.seen))};
    bool stream = !args_has(a, "nostream");
    json_t *result = NULL;
    int code;

    logseen_init(v.seen, (int64_t)clock_wall_us());
    if (v.style.form == LOGLINE_PREFIXED)
        measure_labels(&v);
    code = session_call(c, "logs", log_params(&v, (size_t)args_number(a, "lines", 15), stream), &result);
    if (code == 0)
        show(&v, json_object_get(result, "lines"));
    json_decref(result);
    if (code == 0 && stream) {
        if (c->out.tty)
            out_note(&c->out, "following; Ctrl-C ends");
        catch_interrupt();
        code = follow(&v);
    }
    free(v.seen);
    return code;
}
