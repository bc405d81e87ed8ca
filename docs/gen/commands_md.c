#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/refused.h"
#include "common/buf.h"
#include "docs/gen/gen.h"

void gen_command_table(struct buf *out)
{
    for (size_t i = 0; i < n_commands; i++) {
        const struct command *c = &commands[i];

        if (c->topic)
            buf_printf(out, "%s| %s | |\n|---|---|\n", i ? "\n" : "", c->topic);
        buf_printf(out, "| [`%s`](docs/commands.md#", c->name);
        /* Anchors are in lower case. */
        for (const char *p = c->name; *p; p++)
            buf_putc(out, *p >= 'A' && *p <= 'Z' ? (char)(*p + 'a' - 'A') : *p);
        buf_putc(out, ')');
        for (const char *const *alias = c->aliases; *alias; alias++) {
            buf_puts(out, ", ");
            md_code(out, *alias);
        }
        buf_puts(out, " | ");
        md_text(out, c->summary);
        buf_puts(out, " |\n");
    }
}

static void append_flag(struct buf *out, const struct flag *f)
{
    struct buf word = {0};

    buf_puts(out, "| ");
    if (f->letter) {
        buf_printf(&word, "-%c", f->letter);
        md_code(out, word.data);
        buf_puts(out, ", ");
        buf_free(&word);
    }
    buf_printf(&word, "--%s", f->name);
    if (f->arg)
        buf_printf(&word, f->type == FLAG_OPTIONAL ? " [%s]" : " %s", f->arg);
    md_code(out, word.data);
    buf_free(&word);
    if (f->alias)
        buf_printf(out, ", `--%s`", f->alias);
    buf_puts(out, " | ");
    md_text(out, f->help);
    if (f->key)
        buf_printf(out, " (key `%s`)", f->key);
    buf_puts(out, " |\n");
}

/* Flags that act, under the headings that the help has too. */
static void append_flags(struct buf *out, const struct flag *f, const char *title)
{
    for (; f && f->name; f++) {
        if (f->group)
            title = f->group;
        if (f->idle || f->refused)
            continue;
        if (title)
            buf_printf(out, "\n| %s | |\n|---|---|\n", title);
        title = NULL;
        append_flag(out, f);
    }
}

/* PM2's flags that do nothing, or are errors, each with its reason. */
static void append_strange_flags(struct buf *out, const struct flag *f, bool refused, const char *title)
{
    for (; f && f->name; f++) {
        const char *why = refused ? f->refused : f->idle;

        if (!why)
            continue;
        if (title)
            buf_printf(out, "\n| %s | |\n|---|---|\n", title);
        title = NULL;
        buf_printf(out, "| `--%s` | ", f->name);
        md_text(out, why);
        buf_puts(out, " |\n");
    }
}

/* The help's paragraphs as they are, with what is markup in them escaped. */
static void append_help(struct buf *out, const char *help)
{
    if (!*help)
        return;
    buf_putc(out, '\n');
    md_text(out, help);
    buf_putc(out, '\n');
}

static void append_examples(struct buf *out, const struct example *e)
{
    buf_puts(out, "\n```\n");
    for (; e->line; e++)
        if (*e->what)
            buf_printf(out, "%-44s # %s\n", e->line, e->what);
        else
            buf_printf(out, "%s\n", e->line);
    buf_puts(out, "```\n");
}

/* The first command that has these very flags. */
static const struct command *first_with_flags(const struct command *c)
{
    for (size_t i = 0; i < n_commands; i++)
        if (commands[i].flags == c->flags)
            return &commands[i];
    return c;
}

/* `as` is the command under which its flags are told. */
static void append_command(struct buf *out, const struct command *c, const struct command *as)
{
    buf_printf(out, "\n### %s\n\n`pm %s%s%s`", c->name, c->name, *c->usage ? " " : "", c->usage);
    for (const char *const *alias = c->aliases; *alias; alias++)
        buf_printf(out, "%s`%s`", alias == c->aliases ? " (also " : ", ", *alias);
    buf_puts(out, c->aliases[0] ? "): " : ": ");
    md_text(out, c->summary);
    buf_puts(out, ".\n");
    append_help(out, c->help);
    buf_printf(out, "\n%s\n", command_without_daemon(c));
    append_examples(out, c->examples);
    if (c->flags && c != as) {
        buf_printf(out, "\nOptions: those of `%s`.\n", as->name);
        return;
    }
    append_flags(out, c->flags, "Options");
    append_strange_flags(out, c->flags, false, "Taken with a warning, without effect");
    append_strange_flags(out, c->flags, true, "Refused");
}

void gen_command_reference(struct buf *out)
{
    buf_puts(out, "## Options of every command\n");
    append_flags(out, global_flags, "Options");
    for (size_t i = 0; i < n_commands; i++) {
        if (commands[i].topic)
            buf_printf(out, "\n## %s\n", commands[i].topic);
        append_command(out, &commands[i], first_with_flags(&commands[i]));
    }
}

void gen_refused_commands(struct buf *out)
{
    const char *name, *instead;

    buf_puts(out, "| command | |\n|---|---|\n");
    for (size_t i = 0; (name = refused_command_at(i, &instead)); i++) {
        buf_puts(out, "| ");
        md_code(out, name);
        buf_puts(out, " | ");
        md_text(out, instead);
        buf_puts(out, " |\n");
    }
}
