#include "config/text_json.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "config/values.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static char *encode(const unsigned char *in, size_t len)
{
    struct buf out = {0};

    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        unsigned v =
            (unsigned)in[i] << 16 | (left > 1 ? (unsigned)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);
        char four[4] = {alphabet[v >> 18], alphabet[(v >> 12) & 63], alphabet[(v >> 6) & 63],
                        alphabet[v & 63]};

        if (left < 3)
            four[3] = '=';
        if (left < 2)
            four[2] = '=';
        buf_append(&out, four, 4);
    }
    return buf_steal(&out);
}

/* NULL when it is not base64 or decodes to a NUL. */
static char *decode(const char *in, size_t len)
{
    struct buf out = {0};
    size_t pad = 0;

    if (len % 4)
        return NULL;
    while (pad < 2 && pad < len && in[len - 1 - pad] == '=')
        pad++;
    for (size_t i = 0; i < len; i += 4) {
        size_t take = i + 4 == len ? 3 - pad : 3;
        unsigned v = 0;

        for (size_t k = 0; k < 4; k++) {
            const char *at = i + k < len - pad ? strchr(alphabet, in[i + k]) : alphabet;

            if (!at || !*at) {
                buf_free(&out);
                return NULL;
            }
            v = v << 6 | (unsigned)(at - alphabet);
        }
        for (size_t k = 0; k < take; k++)
            buf_putc(&out, (char)(v >> (16 - 8 * k)));
    }
    if (out.len && memchr(out.data, '\0', out.len)) {
        buf_free(&out);
        return NULL;
    }
    return buf_steal(&out);
}

json_t *text_to_json(const char *text)
{
    size_t len = strlen(text);
    _cleanup_free_ char *base64 = NULL;

    if (value_utf8_prefix(text, len) == len)
        return json_stringn(text, len);
    base64 = encode((const unsigned char *)text, len);
    return json_pack("{s:s}", "base64", base64);
}

char *text_from_json(const json_t *value)
{
    const json_t *base64 = json_object_get(value, "base64");

    if (json_is_string(value))
        return strlen(json_string_value(value)) == json_string_length(value)
                   ? xstrdup(json_string_value(value))
                   : NULL;
    if (!json_is_string(base64) || json_object_size(value) != 1)
        return NULL;
    return decode(json_string_value(base64), json_string_length(base64));
}
