/* Cutting bytes into lines. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/log_split.h"
#include "daemon/logs.h"

static struct log_piece p[64];

static void test_lines(void **state)
{
    const char text[] = "one\n\nthree\nrest";

    (void)state;
    assert_int_equal(log_split(text, strlen(text), LOG_SPLIT_KEEP, p, 64), 3);
    assert_int_equal(p[0].len, 3);
    assert_int_equal(p[1].len, 0);
    assert_int_equal(p[1].start, 4);
    assert_int_equal(p[2].len, 5);
    assert_int_equal(p[2].next, 11);
    assert_int_equal(p[2].flags, 0);
}

static void test_rest(void **state)
{
    (void)state;
    assert_int_equal(log_split("rest", 4, LOG_SPLIT_KEEP, p, 64), 0);
    assert_int_equal(log_split("", 0, LOG_SPLIT_END, p, 64), 0);
    assert_int_equal(log_split("a\n", 2, LOG_SPLIT_END, p, 64), 1);
    assert_int_equal(p[0].flags, 0);
    assert_int_equal(log_split("rest", 4, LOG_SPLIT_END, p, 64), 1);
    assert_int_equal(p[0].flags, LOG_F_NO_EOL);
    assert_int_equal(p[0].next, 4);
    assert_int_equal(log_split("rest", 4, LOG_SPLIT_CUT, p, 64), 1);
    assert_int_equal(p[0].flags, LOG_F_PARTIAL);
}

static void test_at_most(void **state)
{
    (void)state;
    assert_int_equal(log_split("a\nb\nc\n", 6, LOG_SPLIT_KEEP, p, 2), 2);
    assert_int_equal(p[1].next, 4);
}

static void test_long(void **state)
{
    size_t n = LOG_LINE_MAX * 2 + 100;
    char *text = malloc(n + 1);

    (void)state;
    memset(text, 'x', n);
    text[n] = '\n';
    assert_int_equal(log_split(text, n + 1, LOG_SPLIT_KEEP, p, 64), 3);
    assert_int_equal(p[0].len, LOG_LINE_MAX);
    assert_int_equal(p[0].flags, LOG_F_PARTIAL);
    assert_int_equal(p[1].flags, LOG_F_PARTIAL);
    assert_int_equal(p[2].len, 100);
    assert_int_equal(p[2].flags, 0);
    free(text);
}

/* A line of exactly the longest length is one piece, whether its newline has come yet or not. */
static void test_exact(void **state)
{
    char *text = malloc(LOG_LINE_MAX + 1);

    (void)state;
    memset(text, 'x', LOG_LINE_MAX);
    text[LOG_LINE_MAX] = '\n';
    assert_int_equal(log_split(text, LOG_LINE_MAX, LOG_SPLIT_KEEP, p, 64), 0);
    assert_int_equal(log_split(text, LOG_LINE_MAX + 1, LOG_SPLIT_KEEP, p, 64), 1);
    assert_int_equal(p[0].len, LOG_LINE_MAX);
    assert_int_equal(p[0].flags, 0);
    free(text);
}

static void test_nul_bytes(void **state)
{
    (void)state;
    assert_int_equal(log_split("a\0b\n\0\n", 6, LOG_SPLIT_KEEP, p, 64), 2);
    assert_int_equal(p[0].len, 3);
    assert_int_equal(p[1].len, 1);
}

/* However the bytes are portioned, the pieces are the same. */
static void test_any_portions(void **state)
{
    size_t n = 300000, at = 0, whole, count = 0;
    char *text = malloc(n);
    struct log_piece *all = calloc(4096, sizeof *all);

    (void)state;
    srand(7);
    for (size_t i = 0; i < n; i++)
        text[i] = rand() % 150 == 0 && (i < 50000 || i > 200000) ? '\n' : 'y';
    whole = log_split(text, n, LOG_SPLIT_END, all, 4096);
    assert_true(whole > 500);
    while (at < n) {
        size_t portion = LOG_LINE_MAX + 1 + (size_t)rand() % 1000;
        enum log_split_mode mode = LOG_SPLIT_KEEP;
        size_t got;

        if (portion >= n - at) {
            portion = n - at;
            mode = LOG_SPLIT_END;
        }
        got = log_split(text + at, portion, mode, p, 3);
        assert_true(got > 0);
        for (size_t i = 0; i < got; i++, count++) {
            assert_int_equal(p[i].start + at, all[count].start);
            assert_int_equal(p[i].len, all[count].len);
            assert_int_equal(p[i].flags, all[count].flags);
        }
        at += p[got - 1].next;
    }
    assert_int_equal(count, whole);
    free(text);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),        cmocka_unit_test(test_rest),  cmocka_unit_test(test_at_most),
        cmocka_unit_test(test_long),         cmocka_unit_test(test_exact), cmocka_unit_test(test_nul_bytes),
        cmocka_unit_test(test_any_portions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
