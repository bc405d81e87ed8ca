#include "cli/help.h"

#include <stdio.h>
#include <string.h>

#include "cli/text.h"
#include "common/buf.h"
#include "common/mem.h"

#define HELP_WIDTH_MAX 92
#define FLAG_COLUMN    32
#define COMMAND_COLUMN 18
#define EXAMPLE_COLUMN 46

static int help_width(const struct out *o)
{
    int width = o->width ? o->width : 80;

    return width > HELP_WIDTH_MAX ? HELP_WIDTH_MAX : width < 40 ? 40 : width;
}

static void spaces(struct buf *out, int n)
{
    while (n-- > 0)
        buf_putc(out, ' ');
}

void help_wrap(struct buf *out, const char *text, int at, int indent, int width)
{
    bool fresh = true; /* nothing stands on this line yet */

    while (*text) {
        size_t len = strcspn(text, " \n");

        if (len == 0) {
            if (text[0] == '\n' && text[1] == '\n') {
                buf_puts(out, "\n\n");
                spaces(out, indent);
                at = indent;
                fresh = true;
                text++;
            }
            text++;
            continue;
        }
        _cleanup_free_ char *word = xstrndup(text, len);
        int w = text_width(word);

        if (!fresh && at + 1 + w > width) {
            buf_putc(out, '\n');
            spaces(out, indent);
            at = indent;
            fresh = true;
        }
        if (!fresh)
            buf_putc(out, ' ');
        buf_puts(out, word);
        at += w + !fresh;
        fresh = false;
        text += len;
    }
    buf_putc(out, '\n');
}

static void heading(const struct out *o, struct buf *b, const char *text)
{
    buf_printf(b, "\n%s%s%s\n", color_on(o->color, COLOR_BOLD), text, color_off(o->color, COLOR_BOLD));
}

/* "  left        right", the right part wrapped under itself; a long left part gets its own line. */
static void entry(const struct out *o, struct buf *b, const char *left, const char *right, int column)
{
    int w = text_width(left) + 2;

    /* On narrow terminals the text moves nearer. */
    if (column > help_width(o) / 2)
        column = help_width(o) / 2;
    buf_printf(b, "  %s", left);
    if (w + 2 > column) {
        buf_putc(b, '\n');
        spaces(b, column);
    } else {
        spaces(b, column - w);
    }
    help_wrap(b, right, column, column, help_width(o));
}

static void flag_entries(const struct out *o, struct buf *b, const struct flag *f, const char *title)
{
    for (; f && f->name; f++) {
        struct buf left = {0};

        if (f->group)
            title = f->group;
        if (f->idle || f->refused)
            continue;
        if (title)
            heading(o, b, title);
        title = NULL;
        if (f->letter)
            buf_printf(&left, "-%c, ", f->letter);
        else
            buf_puts(&left, "    ");
        buf_printf(&left, "--%s", f->name);
        if (f->arg)
            buf_printf(&left, f->type == FLAG_OPTIONAL ? " [%s]" : " %s", f->arg);
        if (f->alias) {
            _cleanup_free_ char *help = xasprintf("%s (also --%s)", f->help, f->alias);

            entry(o, b, left.data, help, FLAG_COLUMN);
        } else {
            entry(o, b, left.data, f->help, FLAG_COLUMN);
        }
        buf_free(&left);
    }
}

/* Flags that only PM2's users look for: their names are enough. */
static void idle_flags(const struct out *o, struct buf *b, const struct flag *f)
{
    struct buf names = {0};

    for (; f && f->name; f++)
        if (f->idle)
            buf_printf(&names, "%s--%s", names.len ? ", " : "", f->name);
    if (names.len) {
        heading(o, b, "Taken with a warning, without effect in this version");
        buf_puts(b, "  ");
        help_wrap(b, names.data, 2, 2, help_width(o));
    }
    buf_free(&names);
}

static void paragraph(const struct out *o, struct buf *b, const char *text)
{
    buf_puts(b, "\n  ");
    help_wrap(b, text, 2, 2, help_width(o));
}

static void command_help(const struct out *o, struct buf *b, const struct command *c)
{
    _cleanup_free_ char *usage = xasprintf("usage: pm %s [options] %s", c->name, c->usage);

    help_wrap(b, usage, 0, 11, help_width(o));
    paragraph(o, b, c->summary);
    if (c->aliases[0]) {
        buf_puts(b, "  also:");
        for (const char *const *alias = c->aliases; *alias; alias++)
            buf_printf(b, " %s", *alias);
        buf_putc(b, '\n');
    }
    if (*c->help)
        paragraph(o, b, c->help);
    paragraph(o, b, command_without_daemon(c));
    flag_entries(o, b, c->flags, "Options");
    idle_flags(o, b, c->flags);
    flag_entries(o, b, global_flags, "Options of every command");
    heading(o, b, "Examples");
    for (const struct example *e = c->examples; e->line; e++) {
        if (*e->what)
            buf_printf(b, "  %s# %s%s\n", color_on(o->color, COLOR_DIM), e->what,
                       color_off(o->color, COLOR_DIM));
        buf_printf(b, "  %s\n", e->line);
    }
}

static void overview(const struct out *o, struct buf *b)
{
    buf_puts(b, "usage: pm <command> [options]\n");
    paragraph(o, b, "A process manager for Linux servers: keeps programs running, in any language.");
    for (size_t i = 0; i < n_commands; i++) {
        struct buf right = {0};

        if (commands[i].topic)
            heading(o, b, commands[i].topic);
        buf_puts(&right, commands[i].summary);
        for (const char *const *alias = commands[i].aliases; *alias; alias++)
            buf_printf(&right, "%s%s%s", alias == commands[i].aliases ? " (" : ", ", *alias,
                       alias[1] ? "" : ")");
        entry(o, b, commands[i].name, right.data, COMMAND_COLUMN);
        buf_free(&right);
    }
    flag_entries(o, b, global_flags, "Options of every command");
    paragraph(o, b,
              "Options stand before or after the command; \"--\" ends them. Exit codes: 0 done, 1 failed or "
              "nothing matched, 2 wrong usage.");
    paragraph(o, b, "pm help <command> tells more, with examples; pm examples shows them all.");
}

void help_print(const struct out *o, const struct command *c)
{
    struct buf b = {0};

    if (c)
        command_help(o, &b, c);
    else
        overview(o, &b);
    out_data(&b);
    buf_free(&b);
}

void help_examples(const struct out *o)
{
    struct buf b = {0};

    for (size_t i = 0; i < n_commands; i++) {
        const struct example *e = commands[i].examples;

        buf_printf(&b, "%s%s%s%s\n", i ? "\n" : "", color_on(o->color, COLOR_BOLD), commands[i].name,
                   color_off(o->color, COLOR_BOLD));
        for (; e->line; e++) {
            const char *what = *e->what ? e->what : commands[i].summary;

            entry(o, &b, e->line, what, EXAMPLE_COLUMN);
        }
    }
    out_data(&b);
    buf_free(&b);
}

void help_usage(void)
{
    fputs("usage: pm <command> [options]\n\n"
          "  pm start app.js          run a program, keep it running\n"
          "  pm list                  what runs\n"
          "  pm logs app              what it prints\n"
          "  pm why app               why it ended\n"
          "  pm stop|restart|delete app\n\n"
          "  pm help [command]        all commands, or all about one\n",
          stderr);
}
