/* Times as people write them, time zones, and the question that pm logs makes of its flags. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/args.h"
#include "cli/logask.h"
#include "cli/when.h"
#include "cli/zone.h"
#include "common/err.h"
#include "common/mem.h"

#define S   INT64_C(1000000)
#define NOW (INT64_C(1767225600) * S) /* 2026-01-01T00:00:00Z */

/* Central Europe's rules without the zone database: forward 2025-03-30 01:00Z, back 2025-10-26 01:00Z. */
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"

static void in_zone(const char *tz)
{
    setenv("TZ", tz, 1);
    tzset();
}

static void is_time(const char *text, enum when_twice twice, int64_t want)
{
    struct err e = {0};
    int64_t us = 0;

    if (when_parse(text, NOW, twice, &us, &e) != 0)
        fail_msg("%s: %s", text, e.msg);
    if (us != want)
        fail_msg("%s: %lld, not %lld", text, (long long)us, (long long)want);
}

static void test_forms(void **state)
{
    static const struct {
        const char *text;
        int64_t want;
    } cases[] = {
        {"now", NOW},
        {"today", NOW},
        {"yesterday", NOW - 86400 * S},
        {"Yesterday 14:00", NOW - 10 * 3600 * S},
        {"tomorrow", NOW + 86400 * S},
        {"14:00", NOW + 14 * 3600 * S},
        {"9:05:07.25", NOW + (9 * 3600 + 5 * 60 + 7) * S + 250000},
        {"2026-01-01", NOW},
        {"2026-01-01 00:00:01", NOW + S},
        {"2026-01-01T00:00:01.5Z", NOW + S + 500000},
        {"2026-01-01T01:00:00+01:00", NOW},
        {"2025-12-31 19:00 -0500", NOW},
        {"2026-01-01 00:00 UTC", NOW},
        {"2024-02-29", INT64_C(1709164800) * S},
        {"2h", NOW - 7200 * S},
        {"-2h", NOW - 7200 * S},
        {"90s", NOW - 90 * S},
        {"10 min ago", NOW - 600 * S},
        {"1h 30 min", NOW - 5400 * S},
        {"250ms", NOW - 250000},
        {"1 week ago", NOW - 7 * 86400 * S},
        {"@0", 0},
        {"@1767225600.000001", NOW + 1},
    };

    (void)state;
    in_zone("UTC0");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        is_time(cases[i].text, WHEN_EARLIER, cases[i].want);
}

static void test_clock_changes(void **state)
{
    (void)state;
    in_zone(BERLIN);
    /* 02:30 comes twice: 00:30Z in summer time, 01:30Z in winter time. */
    is_time("2025-10-26 02:30", WHEN_EARLIER, INT64_C(1761438600) * S);
    is_time("2025-10-26 02:30", WHEN_LATER, INT64_C(1761442200) * S);
    is_time("2025-10-26 03:00", WHEN_EARLIER, INT64_C(1761444000) * S);
    /* 02:30 does not come at all: it is 03:30 of summer time, 01:30Z. */
    is_time("2025-03-30 02:30", WHEN_EARLIER, INT64_C(1743298200) * S);
    is_time("2025-03-30 02:30", WHEN_LATER, INT64_C(1743298200) * S);
    is_time("2025-03-30 01:59:59", WHEN_LATER, INT64_C(1743296399) * S);
    is_time("2025-03-30 03:00", WHEN_EARLIER, INT64_C(1743296400) * S);
}

static void test_wrong_times(void **state)
{
    static const char *const wrong[] = {"",
                                        "foo",
                                        "2026-02-30",
                                        "2026-13-01",
                                        "2025-02-29",
                                        "24:00",
                                        "12:60",
                                        "12:",
                                        "2 parsecs",
                                        "2",
                                        "ago",
                                        "@",
                                        "@x",
                                        "2026-1-1",
                                        "todayish",
                                        "today 25:00",
                                        "2026-01-01T",
                                        "10 min before",
                                        "1h2",
                                        "12:00.5x",
                                        "2026-01-01T00:00:00+1",
                                        "99999999999999999999d",
                                        "2026-01-01x"};
    struct err e;
    int64_t us;

    (void)state;
    in_zone("UTC0");
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        e = (struct err){0};
        if (when_parse(wrong[i], NOW, WHEN_EARLIER, &us, &e) != -EINVAL)
            fail_msg("\"%s\" was taken", wrong[i]);
        assert_non_null(strstr(e.msg, "10 min ago"));
    }
    assert_int_equal(when_parse("1969-12-31", NOW, WHEN_EARLIER, &us, &e), -EINVAL);
    assert_non_null(strstr(e.msg, "before 1970"));
}

static void test_zones(void **state)
{
    static const char *const wrong[] = {
        "Mars/Base", "../../etc/passwd", "/etc/localtime", "", "+25:00", "+0x", "Europe", "5"};
    struct err e = {0};

    (void)state;
    assert_int_equal(zone_set("+02:00", &e), 0);
    is_time("2026-01-01 02:00", WHEN_EARLIER, NOW);
    assert_int_equal(zone_set("-0330", &e), 0);
    is_time("2025-12-31 20:30", WHEN_EARLIER, NOW);
    assert_int_equal(zone_set("UTC", &e), 0);
    is_time("2026-01-01", WHEN_EARLIER, NOW);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        if (zone_set(wrong[i], &e) != -EINVAL)
            fail_msg("\"%s\" was taken", wrong[i]);
        assert_non_null(strstr(e.msg, "time zone"));
    }
}

#define WORDS_MAX 12

/* The parameters that the words make, or the error. The caller frees. */
static char *asked(const char *const *words)
{
    char *argv[WORDS_MAX + 1] = {(char *)"pm", (char *)"logs"}, *text;
    struct logask q = {0};
    struct args a = {0};
    struct err e = {0};
    json_t *params = json_object();
    int argc = 2;

    while (words[argc - 2]) {
        argv[argc] = (char *)words[argc - 2];
        argc++;
    }
    if (args_parse(&a, argc, argv, &e) < 0 || logask_read(&q, &a, NOW, &e) < 0) {
        text = xstrdup(e.msg);
    } else {
        logask_params(&q, params);
        text = json_dumps(params, JSON_COMPACT | JSON_SORT_KEYS);
    }
    logask_deinit(&q);
    args_deinit(&a);
    json_decref(params);
    return text;
}

static void test_questions(void **state)
{
    static const struct {
        const char *words[8], *want;
    } cases[] = {
        {{NULL}, "{}"},
        {{"--lines", "3", "--err"}, "{\"err\":true,\"lines\":3,\"out\":false}"},
        {{"-g", "a", "--grep", "-b", "--ignore-case", "-C", "2"},
         "{\"after\":2,\"before\":2,\"grep\":[\"a\",\"-b\"],\"ignore_case\":true}"},
        {{"-g", "a", "-C2", "-A", "5"}, "{\"after\":5,\"before\":2,\"grep\":[\"a\"]}"},
        {{"--since", "@5", "--until", "@6", "--reverse"},
         "{\"reverse\":true,\"since\":5000000,\"until\":6000000}"},
        {{"--run", "last", "--instance", "0", "--level", "warn"},
         "{\"instance\":0,\"level\":\"warn\",\"run\":\"last\"}"},
        {{"--run", "12"}, "{\"run\":12}"},
        {{"--invert"}, "--invert goes with --grep PATTERN"},
        {{"--run", "first"},
         "--run wants the number of a run (pm why shows them) or \"last\", not \"first\""},
        {{"--since", "@6", "--until", "@6"}, "--since is not before --until: no line can be in between"},
        {{"--grep", "\xff"}, "--grep: the pattern is not UTF-8; write other bytes as \\xNN"},
        {{"--count", "--lines", "3"}, "--count counts all that matches; it takes no --lines"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *got = asked(cases[i].words);

        assert_string_equal(got, cases[i].want);
    }
}

static void test_ends(void **state)
{
    (void)state;
    assert_false(logask_ends(&(struct logask){LOGASK_LAST(3)}));
    assert_false(logask_ends(&(struct logask){LOGASK_LAST(-1), .run = "last"}));
    assert_true(logask_ends(&(struct logask){LOGASK_LAST(-1), .run = "7"}));
    assert_true(logask_ends(&(struct logask){LOGASK_LAST(-1), .count = true}));
    assert_false(logask_searches(&(struct logask){LOGASK_LAST(3)}));
    assert_true(logask_searches(&(struct logask){LOGASK_LAST(3), .reverse = true}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),       cmocka_unit_test(test_clock_changes),
        cmocka_unit_test(test_wrong_times), cmocka_unit_test(test_zones),
        cmocka_unit_test(test_questions),   cmocka_unit_test(test_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
