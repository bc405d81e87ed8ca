#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/jsonget.h"
#include "cli/out.h"
#include "cli/text.h"
#include "common/buf.h"
#include "common/mem.h"

#define WHAT_MAX 30 /* columns of what the user named; it may be a hundred names */

/* What is being done, and what a process is afterwards, by the word for having done it. */
static const struct {
    const char *done, *doing, *state;
} words[] = {
    {"started", "starting", "up"},      {"restarted", "restarting", "up"},  {"reloaded", "reloading", "up"},
    {"stopped", "stopping", "stopped"}, {"deleted", "deleting", "deleted"}, {"scaled", "scaling", "done"},
};

bool progress_wanted(const struct out *o)
{
    const char *term = getenv("TERM");

    return !o->silent && isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

static int stderr_width(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* Appends text made harmless, cut to so many columns. */
static void append_cut(struct buf *out, const char *text, int columns)
{
    _cleanup_free_ char *clean = text_clean_dup(text);

    buf_append(out, clean, text_cut(clean, columns));
}

char *progress_line(const struct progress *p, const json_t *params, int width)
{
    const char *doing = "acting on", *state = "done";
    const json_t *last = json_object_get(params, "outcome");
    long long done = j_int(params, "done"), failed = j_int(params, "failed");
    struct buf all = {0}, line = {0};

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(words[i].done, p->done) == 0) {
            doing = words[i].doing;
            state = words[i].state;
        }
    buf_printf(&all, "%s ", doing);
    append_cut(&all, p->what, WHAT_MAX);
    buf_printf(&all, ": %lld/%lld %s", done - failed, j_int(params, "total"), state);
    if (failed)
        buf_printf(&all, ", %lld failed", failed);
    if (last)
        buf_printf(&all, "; last: %s %lld", j_text(last, "name"), j_int(last, "id"));
    append_cut(&line, all.data, width > 1 ? width - 1 : 1);
    buf_free(&all);
    return buf_steal(&line);
}

bool progress_show(struct progress *p, const json_t *msg)
{
    const json_t *params = json_object_get(msg, "params");
    _cleanup_free_ char *line = NULL;

    if (strcmp(j_text(msg, "method"), "progress") != 0)
        return false;
    if (!json_is_integer(json_object_get(params, "total")))
        return true; /* how many messages this client missed; the next one has all numbers */
    line = progress_line(p, params, stderr_width());
    fflush(stdout);
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    p->shown = true;
    return true;
}

void progress_clear(struct progress *p)
{
    if (!p || !p->shown)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    p->shown = false;
}
