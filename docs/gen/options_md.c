#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "config/options.h"
#include "docs/gen/gen.h"

static void append_default(struct buf *out, const struct option_row *o)
{
    if (o->def_text)
        md_code(out, o->def_text);
    else if (o->store == STORE_BOOL || o->type == OPT_BOOL)
        buf_puts(out, o->def ? "true" : o->given_offset ? "" : "false");
    else if (o->type == OPT_COUNT && o->def == o->max)
        buf_puts(out, "all");
    else if (o->type == OPT_SIGNAL)
        buf_printf(out, "SIG%s", sigabbrev_np((int)o->def));
    else if (o->store == STORE_INT)
        buf_printf(out, "%" PRId64 "%s%s", o->def, o->unit && o->def ? " " : "",
                   o->unit && o->def ? o->unit : "");
}

static const char *needs_of(const struct option_row *o)
{
    switch (o->needs) {
    case NEEDS_NOTHING:
        return "at once";
    case NEEDS_RELOAD:
        return "by a reload";
    case NEEDS_RESTART:
        return "by a restart";
    }
    return "";
}

/* Keys of a group follow it, as `group.key`, those of entries as `list[].key`; they act when the group does.
 */
static void append_rows(struct buf *out, const struct option_row *rows, size_t n,
                        const struct option_row *outer)
{
    for (size_t i = 0; i < n; i++) {
        const char *dot = !outer ? "" : outer->type == OPT_LIST ? "[]." : ".";
        char expected[EXPECTED_MAX];

        buf_printf(out, "| `%s%s%s`", outer ? outer->name : "", dot, rows[i].name);
        for (const char *const *alias = rows[i].aliases; *alias; alias++)
            buf_printf(out, "%s`%s`", alias == rows[i].aliases ? " (" : ", ", *alias);
        buf_puts(out, rows[i].aliases[0] ? ") | " : " | ");
        md_text(out, option_expected(&rows[i], expected));
        buf_puts(out, " | ");
        append_default(out, &rows[i]);
        buf_puts(out, " | ");
        md_text(out, rows[i].help);
        buf_printf(out, " | %s |\n", needs_of(outer ? outer : &rows[i]));
        if (rows[i].group)
            append_rows(out, rows[i].group->rows, rows[i].group->n, &rows[i]);
    }
}

void gen_option_table(struct buf *out)
{
    size_t n;
    const struct option_row *rows = options(&n);

    buf_puts(out, "| key (other names) | value | default | meaning | changes act |\n|---|---|---|---|---|\n");
    append_rows(out, rows, n, NULL);
}

void gen_foreign_keys(struct buf *out)
{
    size_t n;
    const struct foreign_key *keys = foreign_keys(&n);

    buf_puts(out, "| key | |\n|---|---|\n");
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "| `%s`", keys[i].name);
        if (keys[i].aliases[0])
            buf_printf(out, ", `%s`", keys[i].aliases[0]);
        buf_puts(out, " | ");
        md_text(out, keys[i].why ? keys[i].why : "its value is checked; it will act in a later version");
        buf_puts(out, " |\n");
    }
}
