/* Times, sizes, and text on a terminal. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/color.h"
#include "cli/text.h"
#include "cli/units.h"
#include "common/buf.h"
#include "common/mem.h"

#define S  INT64_C(1000)
#define M  (60 * S)
#define H  (60 * M)
#define D  (24 * H)
#define OK "\033[32m"

struct span_case {
    int64_t ms;
    const char *text;
};

static void check_spans(const char *(*f)(char *, int64_t), const struct span_case *cases, size_t n)
{
    char out[UNITS_MAX];

    for (size_t i = 0; i < n; i++)
        assert_string_equal(f(out, cases[i].ms), cases[i].text);
}

static void test_times(void **state)
{
    static const struct span_case uptime[] = {
        {-5, "0s"},          {999, "0s"},    {119 * S, "119s"}, {120 * S, "2m"},
        {2 * H - 1, "119m"}, {2 * H, "2h"},  {47 * H, "47h"},   {2 * D, "2D"},
        {59 * D, "59D"},     {60 * D, "2M"}, {729 * D, "24M"},  {730 * D, "2Y"},
    };
    static const struct span_case span[] = {
        {0, "0 ms"},
        {40, "40 ms"},
        {2345, "2.3 s"},
        {12 * S, "12 s"},
        {2 * M, "2 min"},
        {3 * M + 12 * S, "3 min 12 s"},
        {2 * H + 5 * M, "2 h 5 min"},
        {4 * D + 3 * H, "4 d 3 h"},
    };
    static const struct span_case ago[] = {
        {0, "just now"},      {-999, "just now"},   {12 * S, "12 s ago"}, {-12 * S, "in 12 s"},
        {3 * M, "3 min ago"}, {47 * H, "47 h ago"}, {2 * D, "2 d ago"},
    };

    (void)state;
    check_spans(units_uptime, uptime, ARRAY_LEN(uptime));
    check_spans(units_span, span, ARRAY_LEN(span));
    check_spans(units_ago, ago, ARRAY_LEN(ago));
}

static void test_sizes(void **state)
{
    char out[UNITS_MAX];

    (void)state;
    assert_string_equal(units_size(out, 0), "0b");
    assert_string_equal(units_size(out, 1023), "1023b");
    assert_string_equal(units_size(out, 1024), "1.0kb");
    assert_string_equal(units_size(out, 12897485), "12.3mb");
    assert_string_equal(units_size(out, UINT64_C(3) << 40), "3.0tb");
    assert_string_equal(units_size(out, UINT64_C(5) << 50), "5120.0tb");
}

static void test_dates(void **state)
{
    char out[UNITS_MAX];

    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    assert_string_equal(units_time(out, INT64_C(1760796202123)), "2025-10-18 14:03:22");
    assert_string_equal(units_time_us(out, INT64_C(1760796202123456)), "2025-10-18 14:03:22.123");
}

static void test_width(void **state)
{
    (void)state;
    assert_int_equal(text_width(""), 0);
    assert_int_equal(text_width("abc"), 3);
    assert_int_equal(text_width("日本"), 4);
    assert_int_equal(text_width("e\u0301"), 1); /* a combining accent */
    assert_int_equal(text_width("🚀x"), 3);
    assert_int_equal(text_width("\xff\xfe"), 2);
    assert_int_equal(text_cut("日本語", 5), strlen("日本"));
    assert_int_equal(text_cut("e\u0301a", 1), strlen("e\u0301"));
    assert_int_equal(text_cut("abc", 9), 3);
}

static void test_decode(void **state)
{
    static const char *const wrong[] = {"\x80",
                                        "\xc0\x80",
                                        "\xe0\x80\x80",
                                        "\xed\xa0\x80",
                                        "\xf4\x90\x80\x80",
                                        "\xc3",
                                        "\xf8\x88\x80\x80\x80"};
    uint32_t cp;

    (void)state;
    assert_int_equal(text_decode("\xf0\x9f\x9a\x80", 4, &cp), 4);
    assert_int_equal(cp, 0x1f680);
    assert_int_equal(text_decode("\xf0\x9f\x9a\x80", 3, &cp), 0);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(text_decode(wrong[i], strlen(wrong[i]), &cp), 0);
}

static void check_clean(const char *in, enum text_clean mode, const char *want, bool colored)
{
    struct buf b = {0};

    assert_int_equal(text_clean(&b, in, strlen(in), mode), colored);
    assert_string_equal(b.data, want);
    buf_free(&b);
}

static void test_clean(void **state)
{
    _cleanup_free_ char *cell = text_clean_dup("a\tb\nc");

    (void)state;
    check_clean("a\tb", TEXT_PLAIN, "a\tb", false);
    check_clean(OK "ok\033[0m", TEXT_KEEP_SGR, OK "ok\033[0m", true);
    check_clean(OK "ok\033[0m", TEXT_PLAIN, "ok", false);
    check_clean("\033[2J\033]0;title\a", TEXT_KEEP_SGR, "^[[2J^[]0;title^G", false);
    check_clean("\033[?25l", TEXT_KEEP_SGR, "^[[?25l", false);
    check_clean("\033[", TEXT_KEEP_SGR, "^[[", false);
    check_clean("\033[1", TEXT_KEEP_SGR, "^[[1", false);
    check_clean("\xc2\x9b"
                "31m",
                TEXT_KEEP_SGR, "\\x9b31m", false); /* the C1 form of ESC [ */
    check_clean("\xff\x7f", TEXT_PLAIN, "\\xff^?", false);
    check_clean("a\u202eb", TEXT_PLAIN, "a\\u202eb", false);
    check_clean("日本 é", TEXT_PLAIN, "日本 é", false);
    assert_string_equal(cell, "a b^Jc");
}

static void test_color(void **state)
{
    (void)state;
    unsetenv("NO_COLOR");
    unsetenv("FORCE_COLOR");
    setenv("TERM", "xterm", 1);
    assert_true(color_wanted(false, true));
    assert_false(color_wanted(false, false));
    assert_false(color_wanted(true, true));
    setenv("TERM", "dumb", 1);
    assert_false(color_wanted(false, true));
    setenv("FORCE_COLOR", "1", 1);
    assert_true(color_wanted(false, false));
    assert_false(color_wanted(true, true));
    setenv("NO_COLOR", "1", 1);
    assert_false(color_wanted(false, true));
    unsetenv("NO_COLOR");
    setenv("FORCE_COLOR", "0", 1);
    setenv("TERM", "xterm", 1);
    assert_false(color_wanted(false, true));
    assert_int_equal(color_of_status("online"), COLOR_GREEN);
    assert_int_equal(color_of_status("launching"), COLOR_BLUE);
    assert_int_equal(color_of_status("stopped"), COLOR_RED);
    assert_string_equal(color_on(false, COLOR_RED), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times), cmocka_unit_test(test_sizes),  cmocka_unit_test(test_dates),
        cmocka_unit_test(test_width), cmocka_unit_test(test_decode), cmocka_unit_test(test_clean),
        cmocka_unit_test(test_color),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
