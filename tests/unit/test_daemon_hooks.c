/* Rules of hooks: which there are, how many run, what is told of them. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/hook_list.h"
#include "daemon/events.h"
#include "daemon/hooks.h"

static void test_every_word_is_of_one_event(void **state)
{
    unsigned words = 0, events = 0;

    (void)state;
    for (const char *const *w = hook_words; *w; w++, words++) {
        unsigned found = 0;

        for (int k = 0; k < EVENT_KIND_COUNT; k++)
            found += event_hook((enum event_kind)k) && strcmp(event_hook((enum event_kind)k), *w) == 0;
        if (found != 1)
            fail_msg("%s: of %u events", *w, found);
    }
    for (int k = 0; k < EVENT_KIND_COUNT; k++)
        events += event_hook((enum event_kind)k) != NULL;
    assert_int_equal(words, events);
    assert_null(event_hook(EVENT_HOOK)); /* or a hook that fails would run itself */
    assert_string_equal(hook_word_find("memory"), "limit");
    assert_null(hook_word_find("Exit"));
}

static void test_targets(void **state)
{
    static const char *const bad[] = {"",           " \t\n",      "http://",      "https://",
                                      "http://a b", "http://a\"", "https://a\\b", "http://a\nb"};
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (hook_check_target(bad[i], &e) != -EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
    assert_int_equal(hook_check_target("http://127.0.0.1:80/a?b=c#d", &e), 0);
    assert_int_equal(hook_check_target("echo \"a\\b\" > x", &e), 0);
    assert_int_equal(hook_check_target("httpd -k", &e), 0);
    assert_int_equal(hook_check_entry("exit=a=b", &e), 0);
    assert_int_equal(hook_check_entry("exit", &e), -EINVAL);
    assert_int_equal(hook_check_entry("gone=a", &e), -EINVAL);
    assert_string_equal(hook_entry_target("exit=a=b", "exit"), "a=b");
    assert_null(hook_entry_target("exit=a", "exi"));
    assert_null(hook_entry_target("exit=a", "exited"));
}

static void test_at_most_ten_a_minute(void **state)
{
    struct hook_rates rates = TAILQ_HEAD_INITIALIZER(rates);
    uint64_t skipped, now = 1000;

    (void)state;
    for (int i = 0; i < 10; i++, now += 100)
        assert_true(hook_rate_take(&rates, "a", "exit", now, &skipped));
    for (int i = 0; i < 3; i++, now += 100) {
        assert_false(hook_rate_take(&rates, "a", "exit", now, &skipped));
        assert_true(hook_rate_take(&rates, "a", "stop", now, &skipped)); /* others have their own */
        assert_true(hook_rate_take(&rates, "b", "exit", now, &skipped));
    }
    assert_false(hook_rate_take(&rates, "a", "exit", 1000 + HOOK_RATE_MS - 1, &skipped));
    assert_true(
        hook_rate_take(&rates, "a", "exit", 1000 + HOOK_RATE_MS, &skipped)); /* the first is a minute old */
    assert_int_equal(skipped, 4);
    assert_false(hook_rate_take(&rates, "a", "exit", 1000 + HOOK_RATE_MS + 1, &skipped));
    assert_true(hook_rate_take(&rates, "a", "exit", 1100 + HOOK_RATE_MS, &skipped));
    assert_int_equal(skipped, 1);
    hook_rates_clear(&rates);
}

static void test_what_is_remembered_is_bounded(void **state)
{
    struct hook_rates rates = TAILQ_HEAD_INITIALIZER(rates);
    uint64_t skipped;
    char name[16];

    (void)state;
    for (unsigned i = 0; i < 3 * HOOK_RATES_MAX; i++) {
        snprintf(name, sizeof(name), "app%u", i);
        for (int k = 0; k < 11; k++)
            hook_rate_take(&rates, name, "exit", 5, &skipped);
    }
    assert_true(hook_rate_take(&rates, "app0", "exit", 5, &skipped)); /* forgotten */
    assert_false(hook_rate_take(&rates, name, "exit", 5, &skipped));
    hook_rates_clear(&rates);
}

static void test_json_tells_what_was_skipped(void **state)
{
    _cleanup_free_ char *with = hook_event_json("{\"a\":1}", 7, 12),
                        *without = hook_event_json("{\"a\":1}", 7, 0);

    (void)state;
    assert_string_equal(with, "{\"a\":1,\"skipped\":12}");
    assert_string_equal(without, "{\"a\":1}");
}

static void test_the_tail_of_output(void **state)
{
    struct hook_tail t = {0};
    char *big = xmalloc(5000);

    (void)state;
    assert_string_equal(hook_tail_last(&t), "");
    hook_tail_add(&t, "one\ntwo\tx\n\n \n", 13);
    assert_string_equal(hook_tail_last(&t), "two x");
    memset(big, 'x', 5000);
    hook_tail_add(&t, big, 5000);
    assert_int_equal(t.len, HOOK_TAIL_MAX);
    hook_tail_add(&t, "\nend", 4);
    assert_int_equal(t.len, HOOK_TAIL_MAX);
    assert_string_equal(hook_tail_last(&t), "end");
    free(big);
}

static void expect_words(const char *target, const char *want)
{
    _cleanup_free_ char *words = hook_target_words(target);

    assert_string_equal(words, want);
}

static void test_secrets_of_urls_are_not_told(void **state)
{
    (void)state;
    expect_words("https://u:p@host:8/path?x", "https://host:8");
    expect_words("http://host?token=@x", "http://host");
    expect_words("echo a", "\"echo a\"");
    expect_words("echo a\necho b", "\"echo a...\"");
}

static void count(void *arg, const char *target, bool of_app)
{
    char **all = arg, *longer = xasprintf("%s%s%s;", *all, of_app ? "app " : "", target);

    free(*all);
    *all = longer;
}

static void test_settings(void **state)
{
    json_t *settings = json_pack("{s:s,s:s}", "hooks:exit", "c\nhttp://d", "hooks:timeout", "2s");
    char *on[] = {"exit=a", "stop=b", "exit=e", NULL}, *all = xstrdup("");
    struct err e;

    (void)state;
    hook_each_target(on, settings, "exit", count, &all);
    assert_string_equal(all, "app a;app e;c;http://d;");
    assert_int_equal(hook_timeout(settings), 2000);
    assert_int_equal(hook_timeout(NULL), HOOK_TIMEOUT_MS);
    assert_int_equal(hook_check_setting("hooks:exit", "a\nb", &e), 0);
    assert_int_equal(hook_check_setting("hooks:exit", "a\n\nb", &e), -EINVAL);
    assert_int_equal(hook_check_setting("hooks:", "a", &e), -EINVAL);
    assert_int_equal(hook_check_setting("hooks:memory", "a", &e), -EINVAL);
    assert_int_equal(hook_check_setting("hooks:timeout", "soon", &e), -EINVAL);
    assert_int_equal(hook_check_setting("hooks:timeout", "10m", &e), 0);
    json_decref(settings);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_word_is_of_one_event),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_at_most_ten_a_minute),
        cmocka_unit_test(test_what_is_remembered_is_bounded),
        cmocka_unit_test(test_json_tells_what_was_skipped),
        cmocka_unit_test(test_the_tail_of_output),
        cmocka_unit_test(test_secrets_of_urls_are_not_told),
        cmocka_unit_test(test_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
