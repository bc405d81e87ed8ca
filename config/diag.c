#include "config/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "config/config.h"
#include "config/tree_path.h"

/* A generated file with one mistake in each of 10,000 apps should not scroll the reason off the screen. */
#define DIAG_ERRORS_MAX   200
#define DIAG_WARNINGS_MAX 400

static void __attribute__((format(printf, 5, 0)))
add(struct diag *d, bool warning, unsigned line, unsigned col, const char *fmt, va_list ap)
{
    struct diag_entry *entry;

    if (warning ? d->n - d->n_errors >= DIAG_WARNINGS_MAX : d->n_errors >= DIAG_ERRORS_MAX) {
        d->suppressed += !warning;
        return;
    }
    d->v = xrealloc(d->v, (d->n + 1) * sizeof(*d->v));
    entry = &d->v[d->n];
    *entry = (struct diag_entry){.line = line, .col = col, .seq = (unsigned)d->n, .warning = warning};
    if (vasprintf(&entry->msg, fmt, ap) < 0)
        entry->msg = xstrdup("out of memory");
    d->n++;
    d->n_errors += !warning;
}

void diag_error(struct diag *d, unsigned line, unsigned col, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(d, false, line, col, fmt, ap);
    va_end(ap);
}

void diag_warn(struct diag *d, unsigned line, unsigned col, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(d, true, line, col, fmt, ap);
    va_end(ap);
}

static int by_place(const void *a, const void *b)
{
    const struct diag_entry *x = a, *y = b;

    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    if (x->col != y->col)
        return x->col < y->col ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Text from a config goes to a terminal: no escape sequence may come through, nor a second line. */
static void defuse(char *s)
{
    for (unsigned char *p = (unsigned char *)s; *p; p++) {
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) /* C1 controls, among them CSI */
            p[0] = p[1] = '?';
    }
}

/* "file: apps[0].name: message". Messages begin with their key, which need not be said twice. */
static char *line_with_path(const struct diag *d, const struct diag_entry *entry)
{
    const char *last, *msg = entry->msg;
    _cleanup_free_ char *path = tree_path(d->numbered, entry->line, &last);
    size_t len = last ? strlen(last) : 0;

    if (len && strncmp(msg, last, len) == 0 && strncmp(msg + len, ": ", 2) == 0)
        msg += len + 2;
    return xasprintf("%s: %s%s%s", d->file, path, *path ? ": " : "", msg);
}

static void put_line(struct buf *out, const struct diag *d, const struct diag_entry *entry)
{
    _cleanup_free_ char *line = NULL;

    if (entry->line && d->numbered)
        line = line_with_path(d, entry);
    else if (entry->line && entry->col)
        line = xasprintf("%s:%u:%u: %s", d->file, entry->line, entry->col, entry->msg);
    else
        line = xasprintf("%s: %s", d->file, entry->msg);
    defuse(line);
    buf_printf(out, "%s\n", line);
}

/* What stands behind a YAML anchor is met once for each alias, but it is one mistake. Expects the sorted
 * list. */
static void drop_repeats(struct diag *d)
{
    size_t kept = 0;

    for (size_t i = 0; i < d->n; i++) {
        const struct diag_entry *last = kept ? &d->v[kept - 1] : NULL, *this = &d->v[i];

        if (last && last->line && last->line == this->line && last->col == this->col &&
            (last->sealed || strcmp(last->msg, this->msg) == 0)) {
            d->n_errors -= !this->warning;
            free(this->msg);
        } else {
            d->v[kept++] = *this;
        }
    }
    d->n = kept;
}

void diag_flush(struct diag *d, struct config_report *report)
{
    if (d->n)
        qsort(d->v, d->n, sizeof(*d->v), by_place);
    drop_repeats(d);
    for (size_t i = 0; i < d->n; i++) {
        put_line(d->v[i].warning ? &report->warnings : &report->errors, d, &d->v[i]);
        free(d->v[i].msg);
    }
    if (d->suppressed)
        buf_printf(&report->errors, "%s: and %u more errors\n", d->file, d->suppressed);
    report->n_errors += d->n_errors + d->suppressed;
    report->n_warnings += (unsigned)d->n - d->n_errors;
    free(d->v);
    *d = (struct diag){.file = d->file};
}

void diag_seal(struct diag *d)
{
    if (d->n)
        d->v[d->n - 1].sealed = true;
}

void diag_clear(struct diag *d)
{
    for (size_t i = 0; i < d->n; i++)
        free(d->v[i].msg);
    free(d->v);
    *d = (struct diag){.file = d->file};
}

void diag_drop_places(struct diag *d)
{
    for (size_t i = 0; i < d->n; i++)
        d->v[i].line = d->v[i].col = 0;
}

const char *diag_in_line(const struct diag *d, unsigned line, char out[IN_LINE_MAX])
{
    out[0] = '\0';
    if (!d->numbered)
        snprintf(out, IN_LINE_MAX, " in line %u", line);
    return out;
}

const char *diag_quote(char out[QUOTE_MAX], const char *text)
{
    size_t len = strlen(text), room = QUOTE_MAX - 6; /* two quotes, three dots, NUL */

    if (len <= room) {
        snprintf(out, QUOTE_MAX, "\"%s\"", text);
        return out;
    }
    while (room > 0 && ((unsigned char)text[room] & 0xc0) == 0x80)
        room--;
    snprintf(out, QUOTE_MAX, "\"%.*s...\"", (int)room, text);
    return out;
}
