/* Dates in dayjs' tokens. */
#include "unit.h"

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
        cmocka_unit_test(test_tokens),   cmocka_unit_test(test_zone), cmocka_unit_test(test_literal),
        cmocka_unit_test(test_midnight), cmocka_unit_test(test_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
