/* Dates in dayjs' tokens. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log_date.h"

static void expect(const char *zone, uint64_t time_us, const char *format, const char *want)
{
    struct log_date d;
    char out[LOG_DATE_MAX];

    setenv("TZ", zone, 1);
    tzset();
    log_date_init(&d, format);
    assert_int_equal(log_date_render(&d, time_us, out), strlen(want));
    assert_string_equal(out, want);
}

/* 2026-03-01 13:05:09.042 UTC, a Sunday */
#define WHEN 1772370309042000ull

static void test_tokens(void **state)
{
    (void)state;
    expect("UTC", WHEN, "YYYY-MM-DDTHH:mm:ss", "2026-03-01T13:05:09");
    expect("UTC", WHEN, "YYYY-MM-DD HH:mm:ss.SSS Z", "2026-03-01 13:05:09.042 +00:00");
    expect("UTC", WHEN, "YY M MM MMM MMMM", "26 3 03 Mar March");
    expect("UTC", WHEN, "D DD d dd ddd dddd", "1 01 0 Su Sun Sunday");
    expect("UTC", WHEN, "H HH h hh a A", "13 13 1 01 pm PM");
    expect("UTC", WHEN, "m mm s ss", "5 05 9 09");
}

static void test_zone(void **state)
{
    (void)state;
    expect("XXX-5:30", WHEN, "HH:mm Z ZZ", "18:35 +05:30 +0530");
    expect("XXX+3", WHEN, "hh:mm a Z", "10:05 am -03:00");
}

static void test_literal(void **state)
{
    (void)state;
    expect("UTC", WHEN, "[YYYY] YYYY", "YYYY 2026");
    expect("UTC", WHEN, "[at] HH[h]", "at 13h");
    expect("UTC", WHEN, "[] [open", "[] [open");
    expect("UTC", WHEN, "X x Q", "X x Q");
    expect("UTC", WHEN, "", "");
}

static void test_midnight(void **state)
{
    (void)state;
    expect("UTC", 1772323200000000ull, "H h hh A", "0 12 12 AM");
}

/* Every hour, weekday and month in each of its forms. */
static void test_ranges(void **state)
{
    static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint64_t day = 1767225600; /* 2026-01-01 UTC, a Thursday */
    char want[LOG_DATE_MAX];

    (void)state;
    for (unsigned h = 0; h < 24; h++) {
        unsigned twelve = h % 12 ? h % 12 : 12;

        snprintf(want, sizeof want, "%u %02u %u %02u %s %s", h, h, twelve, twelve, h < 12 ? "am" : "pm",
                 h < 12 ? "AM" : "PM");
        expect("UTC", (day + h * 3600) * 1000000, "H HH h hh a A", want);
    }
    for (unsigned i = 0; i < 7; i++) {
        unsigned wday = (4 + i) % 7;

        snprintf(want, sizeof want, "%u %.2s %.3s %s %u %02u", wday, days[wday], days[wday], days[wday],
                 1 + i, 1 + i);
        expect("UTC", (day + i * 86400) * 1000000, "d dd ddd dddd D DD", want);
    }
    for (unsigned m = 0; m < 12; day += lengths[m++] * 86400) {
        snprintf(want, sizeof want, "%u %02u %.3s %s 26 2026", m + 1, m + 1, months[m], months[m]);
        expect("UTC", day * 1000000, "M MM MMM MMMM YY YYYY", want);
    }
}

static void test_runs_of_letters(void **state)
{
    (void)state;
    expect("UTC", WHEN, "YYYYMMDDHHmmssSSS", "20260301130509042");
    expect("UTC", WHEN, "DDD mmm sss", "011 055 099");
    expect("UTC", WHEN, "MMMMM YYYYYY", "March3 202626");
    expect("UTC", WHEN, "aaAA", "pmpmPMPM");
    expect("UTC", WHEN, "ZZZ", "+0000+00:00");
    expect("UTC", WHEN, "S SS SSSS", "S SS 042S");
    expect("UTC", WHEN - 42000, "SSS", "000");
    expect("UTC", WHEN - 42000 - 1, "ss.SSS", "08.999");
    expect("UTC", WHEN, "[[x] [a b]]", "[x a b]");
}

/* The hour that a zone repeats or leaves out. */
static void test_summer_time(void **state)
{
    (void)state;
    expect("CET-1CEST,M3.5.0,M10.5.0/3", 1774745999000000ull, "HH:mm:ss Z", "01:59:59 +01:00");
    expect("CET-1CEST,M3.5.0,M10.5.0/3", 1774746000000000ull, "HH:mm:ss Z", "03:00:00 +02:00");
    expect("CET-1CEST,M3.5.0,M10.5.0/3", 1792889999000000ull, "HH:mm:ss ZZ", "02:59:59 +0200");
    expect("CET-1CEST,M3.5.0,M10.5.0/3", 1792890000000000ull, "HH:mm:ss ZZ", "02:00:00 +0100");
}

static void test_long(void **state)
{
    char format[400], out[LOG_DATE_MAX];
    struct log_date d;

    (void)state;
    memset(format, '-', sizeof format - 1);
    format[sizeof format - 1] = '\0';
    log_date_init(&d, format);
    assert_int_equal(log_date_render(&d, WHEN, out), LOG_DATE_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),      cmocka_unit_test(test_zone),
        cmocka_unit_test(test_literal),     cmocka_unit_test(test_midnight),
        cmocka_unit_test(test_ranges),      cmocka_unit_test(test_runs_of_letters),
        cmocka_unit_test(test_summer_time), cmocka_unit_test(test_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
