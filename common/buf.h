/* A growable byte buffer. Allocation failure ends the program (see xmalloc), so that callers need no error
 * path. */
#ifndef PM_COMMON_BUF_H
#define PM_COMMON_BUF_H

#include <stddef.h>

struct buf {
    char *data; /* always NUL-terminated once something was added; NULL while empty and never used */
    size_t len; /* bytes used, without the NUL */
    size_t cap;
};

void buf_free(struct buf *b); /* frees the bytes and leaves an empty buffer */
void buf_reserve(struct buf *b, size_t more);
void buf_append(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_consume(struct buf *b, size_t n); /* drops the first n bytes */
char *buf_steal(struct buf *b);            /* the caller owns the string; never NULL */

/* Here, because JSON is written with it by the megabyte. */
static inline void buf_putc(struct buf *b, char c)
{
    if (b->cap - b->len < 2)
        buf_reserve(b, 1);
    b->data[b->len++] = c;
    b->data[b->len] = '\0';
}

#endif
