#include "cli/logview.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/interrupt.h"
#include "cli/jsonget.h"
#include "cli/session.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "ipc/methods.h"

#define LABEL_LEAST 12 /* columns */
#define BREAKS_MAX  3  /* engines that may die under one question */

static json_t *log_params(const struct logview *v, bool follow)
{
    static const char *const all[] = {"all"};
    json_t *p = v->n_words ? session_selectors(v->words, v->n_words) : session_selectors(all, 1);

    logask_params(&v->ask, p);
    json_object_set_new(p, "follow", json_boolean(follow));
    return p;
}

static void widen_label(struct logview *v, const json_t *record)
{
    int width = logline_label_width(record), max = v->style.label_max;

    if (max && width > max)
        width = max;
    if (width > v->style.label_width)
        v->style.label_width = width;
}

static void show_lines(struct logview *v, const json_t *lines)
{
    struct buf b = {0};
    json_t *line;
    size_t i;

    json_array_foreach (lines, i, line)
        widen_label(v, line);
    json_array_foreach (lines, i, line) {
        /* As grep does it, between groups only, and only where context makes them groups. */
        if ((v->ask.before || v->ask.after) && v->shown && v->style.form != LOGLINE_JSON &&
            json_is_true(json_object_get(line, "gap")))
            buf_puts(&b, "--\n");
        logline_render(&b, line, &v->style);
        logseen_add(v->seen, line);
        v->shown++;
    }
    pager_write(&v->pager, &b);
    buf_free(&b);
}

static void show_missed(const struct logview *v, long long n)
{
    if (v->style.form == LOGLINE_JSON)
        printf("{\"missed\":%lld}\n", n);
    else
        out_note(&v->c->out,
                 "%lld lines were not shown, they came faster than they could be printed; see pm logs "
                 "--nostream --lines N",
                 n);
}

void logview_show(struct logview *v, const json_t *msg)
{
    const json_t *params = json_object_get(msg, "params");

    if (strcmp(j_text(msg, "method"), "log") != 0)
        return;
    if (json_object_get(params, "missed"))
        show_missed(v, j_int(params, "missed"));
    if (json_object_get(params, "failed"))
        v->code = out_error(&v->c->out, "%s", j_text(params, "failed"));
    show_lines(v, json_object_get(params, "lines"));
}

/* The engine was replaced: follow the new one from the last line shown. 0, or the exit code. */
int logview_resume(struct logview *v)
{
    json_t *result = NULL, *fresh, *params;
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
    params = log_params(v, true);
    json_object_set_new(params, "lines", json_integer(LOGSEEN_MAX));
    code = session_call(v->c, "logs", params, &result);
    if (code == 0) {
        fresh = logseen_new_lines(v->seen, json_object_get(result, "lines"), LOGSEEN_MAX, &gap);
        out_note(&v->c->out, "the daemon's engine was replaced; following goes on%s",
                 gap ? " (older lines may be missing here)" : "");
        show_lines(v, fresh);
        json_decref(fresh);
    }
    json_decref(result);
    return code;
}

/* Until something comes from the daemon, or the user interrupts. */
static void wait_for_more(const struct logview *v)
{
    struct pollfd p[2] = {{.fd = v->c->rpc.fd, .events = POLLIN}, {.fd = interrupt_fd(), .events = POLLIN}};

    poll(p, 2, -1);
}

int logview_follow(struct logview *v)
{
    while (!interrupted() && v->code == 0) {
        struct err e = {0};
        json_t *msg = NULL;
        int rc = rpc_next(&v->c->rpc, 0, &msg, &e);

        if (rc == 0) {
            logview_show(v, msg);
            json_decref(msg);
        } else if (rc == -ETIMEDOUT) {
            /* Before waiting, not after each line: a flood is written in large pieces. */
            if (out_finish(&v->c->out) != 0)
                return EXIT_FAILED;
            wait_for_more(v);
        } else if (rc != -EINTR && !interrupted()) {
            int code = logview_resume(v);

            if (code != 0)
                return interrupted() ? EXIT_DONE : code;
        }
    }
    return v->code;
}

/* Is this record named by one of the words? A pattern may mean any, and counts as `pattern` says. */
static bool is_meant(const struct logview *v, const json_t *r, bool pattern)
{
    char id[24];

    snprintf(id, sizeof(id), "%lld", j_int(r, "id"));
    for (size_t i = 0; i < v->n_words; i++) {
        const char *word = v->words[i];

        if (strcmp(word, "all") == 0 || strcmp(word, id) == 0 || strcmp(word, j_text(r, "name")) == 0 ||
            strcmp(word, j_text(r, "namespace")) == 0 || (pattern && word[0] == '/'))
            return true;
    }
    return v->n_words == 0;
}

/* Silence of an app that keeps no logs shall not be taken for silence of the app. */
static void say_disabled(const struct logview *v, const json_t *records)
{
    const char *said = "";
    json_t *r;
    size_t i;

    json_array_foreach (records, i, r) {
        const char *name = j_text(r, "name");

        if (!json_is_true(json_object_get(r, "disable_logs")) || !is_meant(v, r, false) ||
            strcmp(name, said) == 0)
            continue;
        out_warn(&v->c->out, "%s keeps no logs (disable_logs): nothing that it prints can be shown", name);
        said = name;
    }
}

/* All names at once, so that the prefixes stand in one column from the start. */
static void survey(struct logview *v)
{
    json_t *records = NULL, *r;
    struct err e;
    size_t i;

    if (rpc_call(&v->c->rpc, "list", NULL, SESSION_READ_MS, &records, &e) == 0) {
        json_array_foreach (records, i, r)
            if (is_meant(v, r, true))
                widen_label(v, r);
        v->known = json_array_size(records);
        say_disabled(v, records);
    }
    json_decref(records);
}

/* A prefix shall leave most of a terminal to the text. */
static void limit_labels(struct logview *v)
{
    int third = v->c->out.width / 3;

    if (v->style.terminal && v->c->out.width > 0)
        v->style.label_max = third < LABEL_LEAST ? LABEL_LEAST : third;
}

/* One part of the history. */
static int take_part(void *arg, const json_t *msg)
{
    struct logview *v = arg;

    logview_show(v, msg);
    return v->pager.gone || interrupted() ? -ECANCELED : 0;
}

/* The connection broke before the answer was complete. 0 when it is to be asked again. */
static int after_break(struct logview *v, const struct err *e)
{
    if (interrupted() || v->pager.gone)
        return EXIT_FAILED;
    /* What was shown cannot be taken back. */
    if (v->shown)
        return out_error(&v->c->out,
                         "%s after %zu lines, before all that match were shown; repeat the command", e->msg,
                         v->shown);
    switch (session_reconnect(v->c)) {
    case SESSION_OK:
        return 0;
    case SESSION_NO_DAEMON:
        return session_no_daemon(v->c);
    case SESSION_FAILED:
        break;
    }
    return EXIT_FAILED;
}

/* A long answer comes in parts, however long the search takes. 0 and the result, or the exit code. */
static int ask_in_parts(struct logview *v, bool follow, json_t **result)
{
    for (int breaks = 0;; breaks++) {
        json_t *params = log_params(v, follow);
        struct err e = {0};
        int rc, code;

        json_object_set_new(params, "stream", json_true());
        rc = rpc_call_parts(&v->c->rpc, "logs", params, -1, take_part, v, result, &e);
        if (rc == 0)
            return 0;
        if (rc == -ECANCELED || interrupted())
            return EXIT_DONE;
        if (rc > 0) {
            pager_end(&v->pager, &v->c->out);
            out_error(&v->c->out, "%s", e.msg);
            return -rc == RPC_BAD_PARAMS ? EXIT_USAGE : EXIT_FAILED;
        }
        if (breaks >= BREAKS_MAX)
            return out_error(&v->c->out, "%s", e.msg);
        code = after_break(v, &e);
        if (code != 0)
            return code;
    }
}

int logview_open(struct logview *v, bool follow)
{
    json_t *result = NULL;
    int code;

    v->seen = xmalloc(sizeof(*v->seen));
    logseen_init(v->seen, (int64_t)clock_wall_us());
    limit_labels(v);
    survey(v);
    if (logask_searches(&v->ask))
        code = ask_in_parts(v, follow, &result);
    else
        code = session_call(v->c, "logs", log_params(v, follow), &result);
    if (code == 0) {
        show_lines(v, json_object_get(result, "lines"));
        v->matched = j_int(result, "matched");
    }
    json_decref(result);
    return code;
}

void logview_close(struct logview *v)
{
    pager_end(&v->pager, &v->c->out);
    logask_deinit(&v->ask);
    free(v->seen);
    v->seen = NULL;
}
