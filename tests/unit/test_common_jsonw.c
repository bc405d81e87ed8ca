#include "unit.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/mem.h"

static void expect(struct buf *b, const char *want)
{
    assert_string_equal(b->data, want);
    buf_free(b);
}

static void nesting(void **state)
{
    struct buf b = {0};
    struct jsonw w = jsonw_init(&b);

    (void)state;
    jsonw_obj_begin(&w);
    jsonw_kstr(&w, "name", "api");
    jsonw_kint(&w, "pid", -1);
    jsonw_key(&w, "list");
    jsonw_arr_begin(&w);
    jsonw_uint(&w, 1);
    jsonw_obj_begin(&w);
    jsonw_obj_end(&w);
    jsonw_arr_begin(&w);
    jsonw_arr_end(&w);
    jsonw_null(&w);
    jsonw_arr_end(&w);
    jsonw_kbool(&w, "up", true);
    jsonw_kuint(&w, "n", 7);
    jsonw_key(&w, "raw");
    jsonw_raw(&w, "{\"a\":1}", 7);
    jsonw_kstr(&w, "none", NULL);
    jsonw_obj_end(&w);
    expect(&b, "{\"name\":\"api\",\"pid\":-1,\"list\":[1,{},[],null],\"up\":true,\"n\":7,"
               "\"raw\":{\"a\":1},\"none\":null}");
}

static void text_is(const char *in, size_t len, const char *want)
{
    struct buf b = {0};
    struct jsonw w = jsonw_init(&b);

    jsonw_strn(&w, in, len);
    expect(&b, want);
}

#define TEXT(in, want) text_is(in, sizeof(in) - 1, want)

static void escaping(void **state)
{
    (void)state;
    TEXT("", "\"\"");
    TEXT("a\"b\\c\n\r\t\b\x01\x1f\x7f/", "\"a\\\"b\\\\c\\n\\r\\t\\u0008\\u0001\\u001f\x7f/\"");
    TEXT("nul\0byte", "\"nul\\u0000byte\"");
    TEXT("\"", "\"\\\"\"");
}

#define FFFD "\xef\xbf\xbd"

static void utf8(void **state)
{
    (void)state;
    TEXT("h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
    TEXT("\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"");
    TEXT("a\xff"
         "b",
         "\"a" FFFD "b\"");
    TEXT("\xc0\xaf", "\"" FFFD FFFD "\"");                   /* overlong */
    TEXT("\xe0\x80\x80", "\"" FFFD FFFD FFFD "\"");          /* overlong */
    TEXT("\xed\xa0\x80", "\"" FFFD FFFD FFFD "\"");          /* surrogate */
    TEXT("\xf4\x90\x80\x80", "\"" FFFD FFFD FFFD FFFD "\""); /* beyond U+10FFFF */
    TEXT("\xe2\x82", "\"" FFFD FFFD "\"");                   /* cut off */
    TEXT("\xe2\x82"
         "x",
         "\"" FFFD FFFD "x\"");
    TEXT("\x80", "\"" FFFD "\"");
}

static void number_is(double v, const char *want)
{
    struct buf b = {0};
    struct jsonw w = jsonw_init(&b);

    jsonw_real1(&w, v);
    expect(&b, want);
}

static void numbers(void **state)
{
    struct buf b = {0};
    struct jsonw w = jsonw_init(&b);

    (void)state;
    jsonw_arr_begin(&w);
    jsonw_int(&w, INT64_MIN);
    jsonw_int(&w, INT64_MAX);
    jsonw_uint(&w, UINT64_MAX);
    jsonw_int(&w, 0);
    jsonw_arr_end(&w);
    expect(&b, "[-9223372036854775808,9223372036854775807,18446744073709551615,0]");
    number_is(0, "0.0");
    number_is(99.96, "100.0");
    number_is(-0.04, "0.0");
    number_is(-2.5, "-2.5");
    number_is(12.34, "12.3");
    number_is(NAN, "null");
    number_is(INFINITY, "null");
    number_is(-DBL_MAX, "null");
}

static void long_runs(void **state)
{
    struct buf b = {0};
    struct jsonw w = jsonw_init(&b);
    size_t n = 1 << 20;
    char *s = xmalloc(n);

    (void)state;
    memset(s, 'x', n);
    s[n / 2] = '\n';
    jsonw_strn(&w, s, n);
    assert_int_equal(b.len, n + 3);
    assert_memory_equal(b.data + 1 + n / 2, "\\nx", 3);
    buf_free(&b);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting), cmocka_unit_test(escaping),  cmocka_unit_test(utf8),
        cmocka_unit_test(numbers), cmocka_unit_test(long_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
