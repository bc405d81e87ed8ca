#include "cli/out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/table.h"
#include "cli/text.h"
#include "common/buf.h"
#include "common/mem.h"

static int terminal_width(void)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return columns && atoi(columns) > 0 ? atoi(columns) : 80;
}

void out_measure(struct out *o)
{
    o->width = o->tty ? terminal_width() : 0;
}

void out_init(struct out *o)
{
    *o = (struct out){.tty = isatty(STDOUT_FILENO)};
    out_measure(o);
    out_set_flags(o, false, false);
}

bool out_utf8(const struct out *o)
{
    return o->charset == OUT_BY_LOCALE ? text_utf8() : o->charset == OUT_UTF8;
}

void out_set_flags(struct out *o, bool silent, bool no_color)
{
    o->silent = silent;
    o->color = color_wanted(no_color, o->tty);
    o->err_color = color_wanted(no_color, isatty(STDERR_FILENO));
}

/* Messages hold names and words of others, so they are made harmless as a whole. */
static void __attribute__((format(printf, 5, 0)))
print(FILE *f, bool color, enum color prefix_color, const char *prefix, const char *fmt, va_list ap)
{
    _cleanup_free_ char *text = NULL;
    struct buf clean = {0};

    if (vasprintf(&text, fmt, ap) < 0)
        return;
    text_clean(&clean, text, strlen(text), TEXT_PLAIN);
    /* Both streams often end in one place: keep the order of what was said. */
    if (f == stderr)
        fflush(stdout);
    fprintf(f, "%s%s%s %s\n", color_on(color, prefix_color), prefix, color_off(color, prefix_color),
            clean.data ? clean.data : "");
    buf_free(&clean);
}

void out_say(const struct out *o, const char *fmt, ...)
{
    va_list ap;

    if (o->silent || o->data_only)
        return;
    va_start(ap, fmt);
    print(stdout, o->color, COLOR_GREEN, "[pm]", fmt, ap);
    va_end(ap);
}

void out_note(const struct out *o, const char *fmt, ...)
{
    va_list ap;

    if (o->silent || o->data_only)
        return;
    va_start(ap, fmt);
    print(stderr, o->err_color, COLOR_GREEN, "[pm]", fmt, ap);
    va_end(ap);
}

void out_warn(const struct out *o, const char *fmt, ...)
{
    va_list ap;

    if (o->silent)
        return;
    va_start(ap, fmt);
    print(stderr, o->err_color, COLOR_YELLOW, "[pm] warning:", fmt, ap);
    va_end(ap);
}

int out_error(const struct out *o, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    print(stderr, o->err_color, COLOR_RED, "[pm] error:", fmt, ap);
    va_end(ap);
    return 1;
}

void out_detail(const struct out *o, const char *text)
{
    struct buf line = {0};

    text_clean(&line, text, strlen(text), TEXT_PLAIN);
    fprintf(stderr, "     %s%s%s %s\n", color_on(o->err_color, COLOR_DIM), out_utf8(o) ? "│" : "|",
            color_off(o->err_color, COLOR_DIM), line.data ? line.data : "");
    buf_free(&line);
}

void out_data(const struct buf *b)
{
    if (b->len)
        fwrite(b->data, 1, b->len, stdout);
}

void out_json(const json_t *j)
{
    json_dumpf(j, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
    putchar('\n');
}

void out_table(const struct out *o, const struct table *t)
{
    struct table_style style = {.box = o->tty, .utf8 = out_utf8(o), .color = o->color, .width = o->width};
    struct buf b = {0};

    table_render(t, &style, &b);
    out_data(&b);
    buf_free(&b);
}

int out_finish(const struct out *o)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    return out_error(o, "cannot write the output: %s", errno ? strerror(errno) : "write error");
}
