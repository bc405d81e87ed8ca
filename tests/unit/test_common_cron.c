/* Times in cron's notation, and the clocks of zones. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cron.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/zone.h"

static int64_t utc(const char *text)
{
    struct tm tm = {0};

    assert_non_null(strptime(text, "%Y-%m-%dT%H:%M:%S", &tm));
    return timegm(&tm);
}

/* The times after `from` (UTC), one after the other, by the clock of the zone: "date time offset-in-minutes".
 */
static void expect_in(const char *zone, const char *cron, const char *from, const char *const *want)
{
    struct zone *z = NULL;
    struct cron c;
    struct err e = {0};
    int64_t at = utc(from);

    assert_int_equal(zone_open(zone, &z, &e), 0);
    if (cron_parse(cron, &c, &e) < 0)
        fail_msg("%s: %s", cron, e.msg);
    for (; *want; want++) {
        char text[64];
        struct tm tm;

        at = cron_next(&c, z, at);
        zone_local(z, at, &tm);
        snprintf(text + strftime(text, 40, "%Y-%m-%d %H:%M:%S", &tm), 20, " %d", (int)(tm.tm_gmtoff / 60));
        assert_string_equal(text, *want);
    }
    zone_free(z);
}

#define EXPECT_IN(zone, cron, from, ...) expect_in(zone, cron, from, (const char *const[]){__VA_ARGS__, NULL})
#define EXPECT(cron, from, ...)          EXPECT_IN("UTC", cron, from, __VA_ARGS__)

static void test_fields(void **state)
{
    (void)state;
    EXPECT("* * * * *", "2026-03-01T13:05:09", "2026-03-01 13:06:00 0", "2026-03-01 13:07:00 0");
    EXPECT("* * * * *", "2026-03-01T13:06:00", "2026-03-01 13:07:00 0");
    EXPECT("0 0 * * *", "2026-12-31T23:59:59", "2027-01-01 00:00:00 0", "2027-01-02 00:00:00 0");
    EXPECT("*/15 9-10 * * *", "2026-03-01T09:40:00", "2026-03-01 09:45:00 0", "2026-03-01 10:00:00 0");
    EXPECT("5/20 0 * * *", "2026-03-01T00:00:00", "2026-03-01 00:05:00 0", "2026-03-01 00:25:00 0",
           "2026-03-01 00:45:00 0", "2026-03-02 00:05:00 0");
    EXPECT("10,5,50-59/4 3 * * *", "2026-03-01T00:00:00", "2026-03-01 03:05:00 0", "2026-03-01 03:10:00 0",
           "2026-03-01 03:50:00 0", "2026-03-01 03:54:00 0", "2026-03-01 03:58:00 0");
    EXPECT("  0\t12 1 *  * ", "2026-03-01T13:00:00", "2026-04-01 12:00:00 0");
}

static void test_seconds(void **state)
{
    (void)state;
    EXPECT("*/30 * * * * *", "2026-03-01T13:05:09", "2026-03-01 13:05:30 0", "2026-03-01 13:06:00 0");
    EXPECT("* * * * * *", "2026-03-01T23:59:59", "2026-03-02 00:00:00 0", "2026-03-02 00:00:01 0");
    EXPECT("7 0 0 1 1 ?", "2026-03-01T00:00:00", "2027-01-01 00:00:07 0");
}

static void test_days(void **state)
{
    (void)state;
    /* 2026-03-01 is a Sunday. */
    EXPECT("0 4 * * 1-5", "2026-03-01T00:00:00", "2026-03-02 04:00:00 0", "2026-03-03 04:00:00 0");
    EXPECT("0 4 * * 7", "2026-03-01T05:00:00", "2026-03-08 04:00:00 0");
    EXPECT("0 4 * * SUN", "2026-03-01T05:00:00", "2026-03-08 04:00:00 0");
    EXPECT("0 4 * * fri-mon/2", "2026-03-01T05:00:00", "2026-03-06 04:00:00 0", "2026-03-08 04:00:00 0");
    EXPECT("0 0 * jan,Mar *", "2026-01-31T00:00:00", "2026-03-01 00:00:00 0");
    /* Both days restricted: either. With a star both must hold. */
    EXPECT("0 0 13 * 5", "2026-03-01T00:00:00", "2026-03-06 00:00:00 0", "2026-03-13 00:00:00 0",
           "2026-03-20 00:00:00 0");
    EXPECT("0 0 */2 * 5", "2026-03-01T00:00:00", "2026-03-13 00:00:00 0", "2026-03-27 00:00:00 0");
    EXPECT("0 0 31 * *", "2026-03-31T00:00:00", "2026-05-31 00:00:00 0", "2026-07-31 00:00:00 0");
    EXPECT("0 0 29 2 *", "2096-03-01T00:00:00", "2104-02-29 00:00:00 0");
}

static void test_nicknames(void **state)
{
    (void)state;
    EXPECT("@hourly", "2026-03-01T13:05:09", "2026-03-01 14:00:00 0");
    EXPECT("@daily", "2026-03-01T13:05:09", "2026-03-02 00:00:00 0");
    EXPECT("@Midnight", "2026-03-01T13:05:09", "2026-03-02 00:00:00 0");
    EXPECT("@weekly", "2026-03-01T13:05:09", "2026-03-08 00:00:00 0");
    EXPECT("@monthly", "2026-03-01T13:05:09", "2026-04-01 00:00:00 0");
    EXPECT("@yearly", "2026-03-01T13:05:09", "2027-01-01 00:00:00 0");
    EXPECT("@annually", "2026-03-01T13:05:09", "2027-01-01 00:00:00 0");
}

/* Berlin: 2026-03-29 02:00 becomes 03:00 (at 01:00 UTC), 2026-10-25 03:00 becomes 02:00. */
static void test_forward(void **state)
{
    (void)state;
    EXPECT_IN("Europe/Berlin", "30 2 * * *", "2026-03-28T00:00:00", "2026-03-28 02:30:00 60",
              "2026-03-29 03:00:00 120", "2026-03-30 02:30:00 120");
    EXPECT_IN("Europe/Berlin", "0,30 2 * * *", "2026-03-28T12:00:00", "2026-03-29 03:00:00 120",
              "2026-03-30 02:00:00 120");
    EXPECT_IN("Europe/Berlin", "0 3 * * *", "2026-03-28T12:00:00", "2026-03-29 03:00:00 120",
              "2026-03-30 03:00:00 120");
    EXPECT_IN("Europe/Berlin", "30 1-3 * * *", "2026-03-29T00:00:00", "2026-03-29 01:30:00 60",
              "2026-03-29 03:00:00 120", "2026-03-29 03:30:00 120");
    EXPECT_IN("Europe/Berlin", "*/30 * * * *", "2026-03-29T00:10:00", "2026-03-29 01:30:00 60",
              "2026-03-29 03:00:00 120", "2026-03-29 03:30:00 120");
    EXPECT_IN("Europe/Berlin", "*/20 2 * * *", "2026-03-28T12:00:00", "2026-03-30 02:00:00 120");
}

static void test_back(void **state)
{
    (void)state;
    EXPECT_IN("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00:00", "2026-10-25 02:30:00 120",
              "2026-10-26 02:30:00 60");
    /* Asked for within the second round. */
    EXPECT_IN("Europe/Berlin", "30 2 * * *", "2026-10-25T01:10:00", "2026-10-26 02:30:00 60");
    EXPECT_IN("Europe/Berlin", "30 2,3 * * *", "2026-10-25T01:10:00", "2026-10-25 03:30:00 60");
    EXPECT_IN("Europe/Berlin", "*/30 * * * *", "2026-10-24T23:50:00", "2026-10-25 02:00:00 120",
              "2026-10-25 02:30:00 120", "2026-10-25 02:00:00 60", "2026-10-25 02:30:00 60",
              "2026-10-25 03:00:00 60");
    EXPECT_IN("Europe/Berlin", "30 * * * *", "2026-10-25T00:00:00", "2026-10-25 02:30:00 120",
              "2026-10-25 02:30:00 60", "2026-10-25 03:30:00 60");
    EXPECT_IN("Europe/Berlin", "0 3 * * *", "2026-10-24T12:00:00", "2026-10-25 03:00:00 60",
              "2026-10-26 03:00:00 60");
}

/* Midnight itself does not exist, half an hour is left out, a whole day is. */
static void test_odd_zones(void **state)
{
    (void)state;
    EXPECT_IN("America/Santiago", "0 0 * * *", "2026-09-05T12:00:00", "2026-09-06 01:00:00 -180",
              "2026-09-07 00:00:00 -180");
    EXPECT_IN("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00:00", "2026-10-04 02:30:00 660",
              "2026-10-05 02:15:00 660");
    EXPECT_IN("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00:00", "2026-04-05 01:45:00 660",
              "2026-04-06 01:45:00 630");
    EXPECT_IN("Pacific/Apia", "0 12 * * *", "2011-12-29T12:00:00", "2011-12-29 12:00:00 -600",
              "2011-12-31 00:00:00 840", "2011-12-31 12:00:00 840");
    EXPECT_IN("Asia/Kolkata", "0 0 * * *", "2026-03-01T13:05:09", "2026-03-02 00:00:00 330");
}

/* Behind the tables of the zone files. */
static void test_far(void **state)
{
    (void)state;
    EXPECT_IN("Europe/Berlin", "30 2 * * *", "2060-03-27T12:00:00", "2060-03-28 03:00:00 120",
              "2060-03-29 02:30:00 120");
    EXPECT_IN("Europe/Berlin", "30 2 * * *", "2060-10-30T12:00:00", "2060-10-31 02:30:00 120",
              "2060-11-01 02:30:00 60");
    EXPECT_IN("Australia/Sydney", "0 12 * * *", "2060-01-01T12:00:00", "2060-01-02 12:00:00 660");
    EXPECT_IN("Australia/Sydney", "0 12 * * *", "2060-07-01T12:00:00", "2060-07-02 12:00:00 600");
    EXPECT_IN("America/New_York", "0 2 * * *", "2060-03-13T12:00:00", "2060-03-14 03:00:00 -240");
}

/* Every hour of two centuries as the C library has it. */
static void test_as_libc(void **state)
{
    static const char *const names[] = {
        "Europe/Berlin",    "America/Santiago", "Australia/Lord_Howe", "Pacific/Apia",    "Africa/Casablanca",
        "America/New_York", "Europe/Dublin",    "Asia/Tehran",         "America/Godthab", "UTC"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct zone *z;

        assert_int_equal(zone_open(names[i], &z, NULL), 0);
        setenv("TZ", names[i], 1);
        tzset();
        for (int64_t t = utc("1900-01-01T00:00:00"); t < utc("2100-01-01T00:00:00"); t += 7201)
            if (zone_offset(z, t) != zone_offset(NULL, t))
                fail_msg("%s at %lld: %d, not %d", names[i], (long long)t, zone_offset(z, t),
                         zone_offset(NULL, t));
        zone_free(z);
    }
}

static void test_local_zone(void **state)
{
    (void)state;
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    EXPECT_IN(NULL, "30 2 * * *", "2026-03-28T12:00:00", "2026-03-29 03:00:00 120");
}

/* Each next time lies after the one before, and nothing that matches lies between. */
static void test_no_gap(void **state)
{
    static const char *const crons[] = {"*/7 * * * *", "13 1-3 * * *", "0 2 * * 0", "59 23 31 * *",
                                        "* 2 * * *"};
    struct zone *z;

    (void)state;
    assert_int_equal(zone_open("Europe/Berlin", &z, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(crons); i++) {
        int64_t t = utc("2026-03-27T00:00:00");
        struct cron c;

        assert_int_equal(cron_parse(crons[i], &c, NULL), 0);
        for (int n = 0; n < 2000; n++) {
            int64_t next = cron_next(&c, z, t);

            assert_true(next > t);
            assert_int_equal(cron_next(&c, z, t + (next - t) / 2), next);
            assert_int_equal(cron_next(&c, z, next - 1), next);
            t = next;
        }
    }
    zone_free(z);
}

static void expect_bad(const char *text, const char *words)
{
    struct cron c;
    struct err e = {0};

    assert_true(cron_parse(text, &c, &e) < 0);
    if (!strstr(e.msg, words))
        fail_msg("%s: %s", text, e.msg);
}

static void test_bad(void **state)
{
    char text[400];

    (void)state;
    expect_bad("", "expected five fields");
    expect_bad("* * * *", "expected five fields");
    expect_bad("* * * * * * *", "expected five fields");
    expect_bad("60 * * * *", "\"60\" is no minute (0 to 59)");
    expect_bad("* 24 * * *", "is no hour");
    expect_bad("* * 0 * *", "is no day (1 to 31)");
    expect_bad("* * * 13 *", "is no month");
    expect_bad("* * * foo *", "or a name");
    expect_bad("* * * * 8", "is no weekday");
    expect_bad("60 * * * * *", "is no second");
    expect_bad("*/0 * * * *", "no step");
    expect_bad("*/ * * * *", "no step");
    expect_bad("5-1 * * * *", "backwards");
    expect_bad("1,,2 * * * *", "is no minute");
    expect_bad(", * * * *", "is no minute");
    expect_bad("1- * * * *", "is no minute");
    expect_bad("-1 * * * *", "is no minute");
    expect_bad("1x * * * *", "is no minute");
    expect_bad("99999999999999999999 * * * *", "is no minute");
    expect_bad("*5 * * * *", "is no minute");
    expect_bad("0 0 30 2 *", "never comes");
    expect_bad("0 0 31 4,6 *", "never comes");
    expect_bad("@often", "not known");
    memset(text, '*', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    expect_bad(text, "longer");
}

static void test_bad_zone(void **state)
{
    struct zone *z;
    struct err e;

    (void)state;
    assert_true(zone_open("Europe/Nowhere", &z, &e) < 0);
    assert_non_null(strstr(e.msg, "there is no time zone \"Europe/Nowhere\""));
    assert_null(z);
    assert_true(zone_open("../../../etc/passwd", &z, &e) < 0);
    assert_true(zone_open("/etc/localtime", &z, &e) < 0);
    assert_true(zone_open("zone.tab", &z, &e) < 0);
    assert_non_null(strstr(e.msg, "damaged"));
    assert_int_equal(zone_open("", &z, &e), 0);
    assert_null(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),     cmocka_unit_test(test_seconds), cmocka_unit_test(test_days),
        cmocka_unit_test(test_nicknames),  cmocka_unit_test(test_forward), cmocka_unit_test(test_back),
        cmocka_unit_test(test_odd_zones),  cmocka_unit_test(test_far),     cmocka_unit_test(test_as_libc),
        cmocka_unit_test(test_no_gap),     cmocka_unit_test(test_bad),     cmocka_unit_test(test_bad_zone),
        cmocka_unit_test(test_local_zone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
