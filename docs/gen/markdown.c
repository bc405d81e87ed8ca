#include <string.h>

#include "common/buf.h"
#include "docs/gen/gen.h"

void md_text(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("<>*_|\\`[]", *text))
            buf_putc(out, '\\');
        buf_putc(out, *text);
    }
}

/* Of code, only the bar means something to a table. */
void md_code(struct buf *out, const char *text)
{
    buf_putc(out, '`');
    for (; *text; text++) {
        if (*text == '|')
            buf_putc(out, '\\');
        buf_putc(out, *text);
    }
    buf_putc(out, '`');
}
