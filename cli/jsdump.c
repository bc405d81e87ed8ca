#include "cli/jsdump.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

static void dump(struct buf *out, const json_t *v, int indent);

static void append_string(struct buf *out, const char *s)
{
    buf_putc(out, '\'');
    for (; *s; s++) {
        unsigned char ch = (unsigned char)*s;

        if (ch == '\'' || ch == '\\')
            buf_printf(out, "\\%c", ch);
        else if (ch == '\n')
            buf_puts(out, "\\n");
        else if (ch < 0x20 || ch == 0x7f)
            buf_printf(out, "\\x%02X", ch);
        else
            buf_putc(out, *s);
    }
    buf_putc(out, '\'');
}

static void append_key(struct buf *out, const char *key)
{
    bool plain = isalpha((unsigned char)key[0]) || key[0] == '_' || key[0] == '$';

    for (const char *p = key; *p; p++)
        plain = plain && (isalnum((unsigned char)*p) || *p == '_' || *p == '$');
    if (plain)
        buf_puts(out, key);
    else
        append_string(out, key);
    buf_puts(out, ": ");
}

/* Begins a line for the next member. */
static void next_line(struct buf *out, bool *first, int indent)
{
    buf_puts(out, *first ? "\n" : ",\n");
    *first = false;
    for (int i = 0; i < indent; i++)
        buf_puts(out, "  ");
}

static void end_lines(struct buf *out, bool empty, int indent, char bracket)
{
    if (!empty) {
        buf_putc(out, '\n');
        for (int i = 0; i < indent; i++)
            buf_puts(out, "  ");
    }
    buf_putc(out, bracket);
}

static void dump_object(struct buf *out, const json_t *v, int indent)
{
    bool first = true;
    const char *key;
    json_t *value;

    buf_putc(out, '{');
    json_object_foreach ((json_t *)v, key, value) {
        next_line(out, &first, indent + 1);
        append_key(out, key);
        dump(out, value, indent + 1);
    }
    end_lines(out, first, indent, '}');
}

static void dump_array(struct buf *out, const json_t *v, int indent)
{
    bool first = true;
    json_t *value;
    size_t i;

    buf_putc(out, '[');
    json_array_foreach (v, i, value) {
        next_line(out, &first, indent + 1);
        dump(out, value, indent + 1);
    }
    end_lines(out, first, indent, ']');
}

static void dump(struct buf *out, const json_t *v, int indent)
{
    if (json_is_object(v)) {
        dump_object(out, v, indent);
    } else if (json_is_array(v)) {
        dump_array(out, v, indent);
    } else if (json_is_string(v)) {
        append_string(out, json_string_value(v));
    } else {
        char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);

        buf_puts(out, text ? text : "null");
        free(text);
    }
}

void jsdump(struct buf *out, const json_t *v)
{
    dump(out, v, 0);
    buf_putc(out, '\n');
}
