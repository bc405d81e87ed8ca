/* Text as a terminal shows it: UTF-8, display columns, and what must not reach a terminal as it is. */
#ifndef PM_CLI_TEXT_H
#define PM_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/*
 * May the terminal be sent UTF-8? Yes in a UTF-8 locale, and when no locale is set at all (as on most servers
 * reached by ssh); no when the user's locale names another character set. The first call sets LC_CTYPE so
 * that the widths of all characters are known; it reads files, which a command that prints for programs is
 * spared.
 */
bool text_utf8(void);

/* Decodes one character of s[0..len), len > 0. Returns its bytes; 0 when the first byte begins no valid
 * UTF-8. */
size_t text_decode(const char *s, size_t len, uint32_t *cp);

/* Columns that the text takes; control characters and invalid bytes count 0 and 1. */
int text_width(const char *s);

/* Bytes of the longest beginning that takes at most `columns`; marks that combine with its last character
 * belong to it. */
size_t text_cut(const char *s, int columns);

enum text_clean {
    TEXT_PLAIN = 0,
    TEXT_KEEP_SGR = 1, /* colour sequences (ESC [ digits and ; or : m) pass; otherwise they are removed */
};

/*
 * Appends the text made harmless for a terminal: control characters become visible (^G, ^[, \x9b), invalid
 * bytes become \xNN, tabs pass. Returns true when a colour sequence passed, so that the caller can reset.
 */
bool text_clean(struct buf *out, const char *s, size_t len, enum text_clean mode);

/* A clean copy without tabs and line breaks, for one line or cell. The caller frees. */
char *text_clean_dup(const char *s);

#endif
