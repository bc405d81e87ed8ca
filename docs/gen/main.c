/*
 * pm-docs check|write <source folder>
 *
 * The documents hold their generated parts between two marker lines,
 *
 *     <!-- generated: NAME -->
 *     <!-- end of NAME -->
 *
 * `write` renews what stands between them, `check` fails when that would change anything.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "docs/gen/gen.h"

static const struct {
    const char *name;
    void (*generate)(struct buf *out);
} parts[] = {
    {"commands", gen_command_table},
    {"command reference", gen_command_reference},
    {"refused commands", gen_refused_commands},
    {"config keys", gen_option_table},
    {"foreign keys", gen_foreign_keys},
};

static const struct {
    const char *path;
    unsigned parts; /* how many it must hold: a lost marker is drift too */
} documents[] = {
    {"README.md", 1},
    {"docs/commands.md", 2},
    {"docs/configuration.md", 2},
};

static int fail(const char *path, const char *what)
{
    fprintf(stderr, "pm-docs: %s: %s\n", path, what);
    return -1;
}

static int read_all(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "re");
    char piece[4096];
    size_t n;

    if (!f)
        return fail(path, strerror(errno));
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        buf_append(out, piece, n);
    fclose(f);
    buf_puts(out, "");
    return 0;
}

static int write_all(const char *path, const struct buf *b)
{
    FILE *f = fopen(path, "we");
    bool ok;

    if (!f)
        return fail(path, strerror(errno));
    ok = fwrite(b->data, 1, b->len, f) == b->len;
    ok = fclose(f) == 0 && ok;
    return ok ? 0 : fail(path, "cannot be written");
}

/* Copies `text` with the named part renewed. 1 when the part is there, 0 when not, -1 when its end is
 * missing. */
static int renew(const char *text, size_t part, struct buf *out)
{
    _cleanup_free_ char *begin = xasprintf("<!-- generated: %s -->\n", parts[part].name);
    _cleanup_free_ char *end = xasprintf("<!-- end of %s -->\n", parts[part].name);
    const char *from = strstr(text, begin), *to = from ? strstr(from, end) : NULL;

    if (!from || !to) {
        buf_puts(out, text);
        return from ? -1 : 0;
    }
    from += strlen(begin);
    buf_append(out, text, (size_t)(from - text));
    buf_putc(out, '\n');
    parts[part].generate(out);
    buf_putc(out, '\n');
    buf_puts(out, to);
    return 1;
}

static int do_document(const char *folder, size_t which, bool write)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, documents[which].path);
    struct buf old = {0}, text = {0};
    unsigned found = 0;
    int rc = read_all(path, &old);

    if (rc == 0)
        buf_puts(&text, old.data);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(parts); i++) {
        struct buf next = {0};
        int there = renew(text.data, i, &next);

        if (there < 0)
            rc = fail(path, "a generated part has no end");
        found += there > 0;
        buf_free(&text);
        text = next;
    }
    if (rc == 0 && found != documents[which].parts)
        rc = fail(path, "the markers of a generated part are missing");
    if (rc == 0 && (text.len != old.len || memcmp(text.data, old.data, text.len) != 0))
        rc = write ? write_all(path, &text)
                   : fail(path,
                          "is not what the tables say; renew it: cmake --build --preset dev --target docs");
    buf_free(&old);
    buf_free(&text);
    return rc;
}

int main(int argc, char **argv)
{
    bool write = argc == 3 && strcmp(argv[1], "write") == 0;
    int rc = 0;

    if (!write && (argc != 3 || strcmp(argv[1], "check") != 0)) {
        fputs("usage: pm-docs check|write <source folder>\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < ARRAY_LEN(documents); i++)
        if (do_document(argv[2], i, write) < 0)
            rc = 1;
    return rc;
}
