/* The rules of health checks, with a clock that only moves when told. */
#include "unit.h"

#include <string.h>

#include "daemon/health.h"
#include "daemon/probe.h"

static const struct health_rules rules = {.interval = 10000, .start_period = 30000, .retries = 3};

static enum health_news result(struct health *h, uint64_t now, bool ok)
{
    return health_result(h, &rules, now, ok, ok ? "fine" : "HTTP 503");
}

static void failures_of_the_start_do_not_count(void **state)
{
    struct health h;

    (void)state;
    health_begin(&h, 1000, 0);
    for (uint64_t t = 1000; t < 31000; t += 1000)
        assert_int_equal(result(&h, t, false), HEALTH_NO_NEWS);
    assert_int_equal(h.failures, 0);
    assert_int_equal(h.state, HEALTH_STARTING);
    assert_int_equal(result(&h, 31000, false), HEALTH_NO_NEWS);
    assert_int_equal(result(&h, 32000, false), HEALTH_NO_NEWS);
    assert_int_equal(result(&h, 33000, false), HEALTH_NOW_UNHEALTHY);
}

static void the_first_success_ends_the_start(void **state)
{
    struct health h;

    (void)state;
    health_begin(&h, 0, 0);
    assert_int_equal(result(&h, 100, true), HEALTH_NOW_HEALTHY);
    assert_int_equal(result(&h, 200, true), HEALTH_NO_NEWS);
    assert_int_equal(result(&h, 300, false), HEALTH_NO_NEWS);
    assert_int_equal(result(&h, 400, false), HEALTH_NO_NEWS);
    assert_int_equal(h.state, HEALTH_HEALTHY);
    assert_int_equal(result(&h, 500, true), HEALTH_NO_NEWS); /* in a row, or not at all */
    assert_int_equal(result(&h, 600, false), HEALTH_NO_NEWS);
    assert_int_equal(result(&h, 700, false), HEALTH_NO_NEWS);
    assert_int_equal(result(&h, 800, false), HEALTH_NOW_UNHEALTHY);
    assert_string_equal(h.words, "HTTP 503");
    assert_int_equal(result(&h, 900, false), HEALTH_NOW_UNHEALTHY); /* nobody acted */
    assert_int_equal(result(&h, 1000, true), HEALTH_NOW_HEALTHY);
    assert_string_equal(health_state_word(h.state), "healthy");
}

/* Its start_period is over, and yet one failed check after the engine's start is not enough. */
static void a_new_engine_counts_from_none(void **state)
{
    struct health h;

    (void)state;
    health_begin(&h, 50000, 40000);
    assert_int_equal(result(&h, 50001, false), HEALTH_NO_NEWS);
    assert_int_equal(result(&h, 50002, false), HEALTH_NO_NEWS);
    assert_int_equal(result(&h, 50003, false), HEALTH_NOW_UNHEALTHY);
    health_begin(&h, 100, 40000); /* the machine's clock is younger than the run */
    assert_int_equal(h.began_ms, 0);
}

static void checks_are_quick_at_first_and_spread_later(void **state)
{
    const struct health_rules quick = {.interval = 300, .start_period = 0, .retries = 1};
    struct health h;

    (void)state;
    health_begin(&h, 0, 0);
    assert_int_equal(health_next(&h, &rules, false, 7), 50);
    result(&h, 1, false);
    assert_int_equal(health_next(&h, &rules, false, 7), 100);
    for (int i = 0; i < 100; i++)
        result(&h, 2, false);
    assert_int_equal(health_next(&h, &rules, false, 7), 1000);
    assert_int_equal(health_next(&h, &quick, false, 7), 300);
    result(&h, 3, true);
    assert_int_equal(health_next(&h, &rules, false, 7), 10000);
    assert_int_equal(health_next(&h, &rules, true, 7), 10000);
    health_begin(&h, 0, 0);
    assert_int_equal(health_next(&h, &rules, true, 4711), 4711);
    assert_in_range(health_next(&h, &rules, true, UINT32_MAX), 0, 10000);
}

static void long_words_are_cut(void **state)
{
    char text[1000];
    struct health h;

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    health_begin(&h, 0, 0);
    health_result(&h, &rules, 1, false, text);
    assert_int_equal(strlen(h.words), HEALTH_WORDS_MAX - 1);
    health_result(&h, &rules, 1, true, NULL);
    assert_string_equal(h.words, "");
}

static int status_of(const char *text)
{
    return http_status(text, strlen(text));
}

static void the_status_line_is_read(void **state)
{
    (void)state;
    assert_int_equal(status_of("HTTP/1.1 200 OK\r\n"), 200);
    assert_int_equal(status_of("HTTP/1.0 503\r\n"), 503);
    assert_int_equal(status_of("HTTP/1.1 204 "), 204);
    assert_int_equal(status_of(""), 0);
    assert_int_equal(status_of("HTT"), 0);
    assert_int_equal(status_of("HTTP/1.1 20"), 0);
    assert_int_equal(status_of("HTTP/1.1 200"), 0);
    assert_int_equal(status_of("HTTP/1.1 2000"), -1);
    assert_int_equal(status_of("HTTP/1.1 099 x"), -1);
    assert_int_equal(status_of("HTTP/1.1 600 x"), -1);
    assert_int_equal(status_of("SSH-2.0-OpenSSH"), -1);
    assert_int_equal(status_of("\x15\x03\x01"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_of_the_start_do_not_count),
        cmocka_unit_test(the_first_success_ends_the_start),
        cmocka_unit_test(a_new_engine_counts_from_none),
        cmocka_unit_test(checks_are_quick_at_first_and_spread_later),
        cmocka_unit_test(long_words_are_cut),
        cmocka_unit_test(the_status_line_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
