/* Values as people write them. */
#include "unit.h"

#include <signal.h>
#include <string.h>

#include "common/mem.h"
#include "config/values.h"

static void test_durations(void **state)
{
    int64_t n;

    (void)state;
    assert_true(value_duration("500ms", &n) && n == 500);
    assert_true(value_duration("10s", &n) && n == 10000);
    assert_true(value_duration("2m", &n) && n == 120000);
    assert_true(value_duration("2h", &n) && n == 7200000);
    assert_true(value_duration("1500", &n) && n == 1500);
    assert_false(value_duration("", &n));
    assert_false(value_duration("s", &n));
    assert_false(value_duration("-1s", &n));
    assert_false(value_duration("1 s", &n));
    assert_false(value_duration("1S", &n));
    assert_false(value_duration("99999999999999999999", &n));
    assert_false(value_duration("999999999999999d", &n));
}

static void test_sizes(void **state)
{
    int64_t n;

    (void)state;
    assert_true(value_size("10M", &n) && n == 10 << 20);
    assert_true(value_size("1G", &n) && n == 1 << 30);
    assert_true(value_size("512K", &n) && n == 512 << 10);
    assert_true(value_size("1GiB", &n) && n == 1 << 30);
    assert_true(value_size("100MB", &n) && n == 100 << 20);
    assert_true(value_size("4096", &n) && n == 4096);
    assert_false(value_size("0.1G", &n));
    assert_false(value_size("1T0", &n));
    assert_false(value_size("999999999999999G", &n));
}

static void test_signals(void **state)
{
    int64_t n;

    (void)state;
    assert_true(value_signal("SIGTERM", &n) && n == SIGTERM);
    assert_true(value_signal("term", &n) && n == SIGTERM);
    assert_true(value_signal("15", &n) && n == 15);
    assert_true(value_signal("USR2", &n) && n == SIGUSR2);
    assert_true(value_signal("SIGRTMIN+3", &n) && n == SIGRTMIN + 3);
    assert_false(value_signal("0", &n));
    assert_false(value_signal("65", &n));
    assert_false(value_signal("SIG", &n));
    assert_false(value_signal("RTMIN+99", &n));
}

static void check_split(const char *text, const char *joined)
{
    char **words = value_split(text), all[128] = "";

    assert_non_null(words);
    for (char **w = words; *w; w++) {
        strcat(all, *w);
        strcat(all, "|");
    }
    assert_string_equal(all, joined);
    strv_free(words);
}

static void test_split(void **state)
{
    (void)state;
    check_split("", "");
    check_split("  -p 80\t--name  x ", "-p|80|--name|x|");
    check_split("'a b' \"c d\"e f\\ g", "a b|c de|f g|");
    check_split("\"a\\\"b\" 'a\\b' \"\\n\" ''", "a\"b|a\\b|\\n||");
    assert_null(value_split("a 'b"));
    assert_null(value_split("a\\"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_split),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
