#include "daemon/log_split.h"

#include <stdbool.h>
#include <string.h>

#include "daemon/logs.h"

/* One piece from `at` on; false when the rest is too short to be one. */
static bool cut_piece(const char *bytes, size_t n, size_t at, enum log_split_mode mode, struct log_piece *p)
{
    size_t left = n - at;
    size_t look = left > LOG_LINE_MAX ? LOG_LINE_MAX + 1 : left;
    const char *nl = memchr(bytes + at, '\n', look);

    p->start = (uint32_t)at;
    p->flags = 0;
    if (nl) {
        p->len = (uint32_t)(nl - bytes - (ptrdiff_t)at);
        p->next = p->start + p->len + 1;
        return true;
    }
    if (left > LOG_LINE_MAX) {
        /* The byte after the piece is known not to be a newline, so a line of exactly LOG_LINE_MAX bytes
         * stays whole. */
        p->len = LOG_LINE_MAX;
        p->flags = LOG_F_PARTIAL;
    } else if (mode == LOG_SPLIT_KEEP || left == 0) {
        return false;
    } else {
        p->len = (uint32_t)left;
        p->flags = mode == LOG_SPLIT_END ? LOG_F_NO_EOL : LOG_F_PARTIAL;
    }
    p->next = p->start + p->len;
    return true;
}

size_t log_split(const char *bytes, size_t n, enum log_split_mode mode, struct log_piece *out, size_t max)
{
    size_t count = 0, at = 0;

    while (count < max && at < n && cut_piece(bytes, n, at, mode, &out[count]))
        at = out[count++].next;
    return count;
}
