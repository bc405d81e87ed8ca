/*
 * Writes JSON text straight into a buffer: for answers that are too large or too frequent to be built as a
 * tree first. The writer keeps only "does a comma come next?", so nesting and the pairing of begin and end
 * are the caller's.
 */
#ifndef PM_COMMON_JSONW_H
#define PM_COMMON_JSONW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

struct jsonw {
    struct buf *out; /* appended to; stays the caller's */
    bool comma;      /* a value was written at this level */
};

static inline struct jsonw jsonw_init(struct buf *out)
{
    return (struct jsonw){.out = out};
}

void jsonw_obj_begin(struct jsonw *w);
void jsonw_obj_end(struct jsonw *w);
void jsonw_arr_begin(struct jsonw *w);
void jsonw_arr_end(struct jsonw *w);

/* The key of the value that follows. */
void jsonw_key(struct jsonw *w, const char *key);

/* Strings: bytes that are not UTF-8 become U+FFFD, one for each. NULL is written as null. */
void jsonw_str(struct jsonw *w, const char *s);
void jsonw_strn(struct jsonw *w, const char *s, size_t len); /* may hold NUL bytes */
void jsonw_int(struct jsonw *w, int64_t v);
void jsonw_uint(struct jsonw *w, uint64_t v);
void jsonw_bool(struct jsonw *w, bool v);
void jsonw_null(struct jsonw *w);
void jsonw_real1(struct jsonw *w, double v); /* one decimal; null when it is not a number JSON can hold */
void jsonw_raw(struct jsonw *w, const char *json, size_t len); /* one value that is JSON text already */

/* Key and value in one. */
void jsonw_kstr(struct jsonw *w, const char *key, const char *val);
void jsonw_kint(struct jsonw *w, const char *key, int64_t val);
void jsonw_kuint(struct jsonw *w, const char *key, uint64_t val);
void jsonw_kbool(struct jsonw *w, const char *key, bool val);

/* Length of the well-formed UTF-8 sequence at `s` (1 to 4), 0 when the bytes there are none. */
size_t jsonw_utf8_len(const unsigned char *s, size_t avail);

#endif
