#include <unistd.h>

#include "cli/interrupt.h"
#include "cli/logview.h"
#include "cli/session.h"
#include "common/err.h"

#define TIME_FORMAT "YYYY-MM-DD HH:mm:ss.SSS"

static enum logline_form form_of(const struct args *a)
{
    if (args_has(a, "json"))
        return LOGLINE_JSON;
    if (args_has(a, "format"))
        return LOGLINE_WORDS;
    return args_has(a, "raw") ? LOGLINE_RAW : LOGLINE_PREFIXED;
}

/* An empty screen is no answer; a program that reads standard output is not told. */
static void say_nothing(const struct cli *c, const struct logview *v)
{
    if (!isatty(STDERR_FILENO))
        return;
    if (v->known == 0)
        out_note(&c->out, "the list is empty: pm start adds a process");
    else
        out_note(&c->out, "no lines are there%s",
                 v->out != v->err ? v->err ? " of standard error" : " of standard output" : "");
}

int cmd_logs(struct cli *c, const struct args *a)
{
    const char *time = args_text(a, "timestamp");
    struct logview v = {.c = c,
                        .words = a->words,
                        .n_words = a->n_words,
                        .out = args_has(a, "out"),
                        .err = args_has(a, "err"),
                        .style = {.form = form_of(a),
                                  .terminal = c->out.tty,
                                  .color = c->out.color,
                                  .time_format = time && !*time ? TIME_FORMAT : time,
                                  .highlight = args_text(a, "highlight")}};
    bool stream = !args_has(a, "nostream");
    int code = logview_open(&v, (size_t)args_number(a, "lines", 15), stream);

    if (code == 0 && v.shown == 0 && args_number(a, "lines", 15) > 0)
        say_nothing(c, &v);
    if (code == 0 && stream) {
        if (c->out.tty)
            out_note(&c->out, "following; Ctrl-C ends");
        interrupt_catch();
        code = logview_follow(&v);
    }
    logview_close(&v);
    return code;
}
