#include <stdio.h>
#include <unistd.h>

#include "cli/interrupt.h"
#include "cli/logview.h"
#include "cli/session.h"
#include "cli/zone.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"

#define TIME_FORMAT     "YYYY-MM-DD HH:mm:ss.SSS"
#define ISO_TIME_FORMAT "YYYY-MM-DD[T]HH:mm:ss.SSSZ"

static enum logline_form form_of(const struct args *a)
{
    if (args_has(a, "json"))
        return LOGLINE_JSON;
    if (args_has(a, "format"))
        return LOGLINE_WORDS;
    return args_has(a, "raw") ? LOGLINE_RAW : LOGLINE_PREFIXED;
}

/* Forms that have a time in any case give it in UTC, unless a zone is asked for. */
static const char *time_format_of(const struct args *a)
{
    const char *time = args_text(a, "timestamp");

    if (time)
        return *time ? time : TIME_FORMAT;
    return args_has(a, "tz") && (args_has(a, "json") || args_has(a, "format")) ? ISO_TIME_FORMAT : NULL;
}

/* An empty screen is no answer; a program that reads standard output is not told. */
static void say_nothing(const struct cli *c, const struct logview *v)
{
    const struct logask *q = &v->ask;

    if (!isatty(STDERR_FILENO))
        return;
    if (v->known == 0)
        out_note(&c->out, "the list is empty: pm start adds a process");
    else if (logask_searches(q))
        out_note(&c->out, "no line that was stored matches");
    else
        out_note(&c->out, "no lines are there%s",
                 q->out != q->err ? q->err ? " of standard error" : " of standard output" : "");
}

/* What stands wrong on the command line. 0, or the exit code after it was said. */
static int read_flags(struct logview *v, const struct args *a)
{
    const char *zone = args_has(a, "utc") ? "UTC" : args_text(a, "tz");
    struct err e = {0};
    int rc = 0;

    if (args_has(a, "utc") && args_has(a, "tz"))
        rc = err_set(&e, -1, "--utc and --tz exclude each other");
    else if (zone && zone_set(zone, &e) < 0)
        rc = err_wrap(&e, "--tz");
    if (rc == 0)
        rc = logask_read(&v->ask, a, (int64_t)clock_wall_us(), &e);
    if (rc == 0)
        return 0;
    out_error(&v->c->out, "%s", e.msg);
    return EXIT_USAGE;
}

static void show_count(const struct logview *v)
{
    printf(v->style.form == LOGLINE_JSON ? "{\"count\":%lld}\n" : "%lld\n", v->matched);
}

static int show(struct logview *v, bool follow)
{
    struct cli *c = v->c;
    int code = logview_open(v, follow), ended = pager_end(&v->pager, &c->out);

    if (code == 0)
        code = ended;
    if (code != 0 || interrupted())
        return code;
    if (v->ask.count)
        show_count(v);
    else if (v->shown == 0 && v->ask.lines != 0)
        say_nothing(c, v);
    if (!follow)
        return code;
    if (c->out.tty)
        out_note(&c->out, "following; Ctrl-C ends");
    interrupt_catch();
    return logview_follow(v);
}

int cmd_logs(struct cli *c, const struct args *a)
{
    struct logview v = {.c = c,
                        .words = a->words,
                        .n_words = a->n_words,
                        .style = {.form = form_of(a),
                                  .terminal = c->out.tty,
                                  .color = c->out.color,
                                  .time_format = time_format_of(a),
                                  .highlight = args_text(a, "highlight")}};
    int code = read_flags(&v, a);

    if (code == 0) {
        bool follow = !args_has(a, "nostream") && !logask_ends(&v.ask);

        /* A pager would make its own of the bytes. */
        if (!follow && !args_has(a, "no-pager") && v.style.form != LOGLINE_RAW)
            pager_init(&v.pager, &c->out);
        code = show(&v, follow);
    }
    logview_close(&v);
    return code;
}
