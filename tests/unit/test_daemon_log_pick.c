/* Patterns, and which lines are shown around a match. */
#include "unit.h"

#include <string.h>

#include "common/err.h"
#include "daemon/log_grep.h"
#include "daemon/log_pick.h"

/* `matches` has an x for each match; the answer has . left out, x match, c context. */
static void pick(const char *matches, unsigned before, unsigned after, uint64_t limit, const char *want)
{
    struct log_pick p = {.before = before, .after = after, .limit = limit};
    char got[64];

    memset(got, 0, sizeof got);
    memset(got, '.', strlen(matches));
    for (size_t i = 0; matches[i]; i++)
        log_pick_add(&p, &(struct pick_item){.id = i, .match = matches[i] == 'x'});
    for (size_t i = 0; i < p.n_out; i++) {
        assert_int_equal(p.out[i].seq, p.out[i].id + 1);
        got[p.out[i].id] = p.out[i].context ? 'c' : 'x';
    }
    assert_string_equal(got, want);
    log_pick_deinit(&p);
}

static void test_pick(void **state)
{
    (void)state;
    pick("-x--x-", 0, 0, 9, ".x..x.");
    pick("-x--x-", 1, 0, 9, "cx.cx.");
    pick("-x--x-", 0, 1, 9, ".xc.xc");
    pick("-x----x-", 2, 1, 9, "cxc.ccxc");
    pick("xx--", 3, 1, 9, "xxc.");
    pick("-x-x-x", 1, 1, 2, "cxcxc.");
    pick("-xx-", 0, 1, 1, ".xc.");
    pick("x", 1, 1, 0, ".");
}

static int match(const char *a, const char *b, bool ignore_case, bool invert, const char *text)
{
    const char *v[] = {a, b};
    struct err e = {0};
    struct log_grep *g = log_grep_new(v, b ? 2 : 1, ignore_case, invert, &e);
    int rc = g ? log_grep_match(g, text, strlen(text), &e) : e.code;

    assert_int_equal(rc < 0, e.msg[0] != 0);
    log_grep_free(g);
    return rc;
}

static void test_grep(void **state)
{
    char hostile[6001];
    struct err e = {0};
    const char *bad[] = {"x", "[a"};

    (void)state;
    assert_int_equal(match("b.r", NULL, false, false, "foo bar"), 1);
    assert_int_equal(match("b.r", "^foo", false, false, "foo bar"), 1);
    assert_int_equal(match("b.r", "^bar", false, false, "foo bar"), 0);
    assert_int_equal(match("b.r", "^bar", false, true, "foo bar"), 1);
    assert_int_equal(match("BAR", NULL, false, false, "bar"), 0);
    assert_int_equal(match("BAR", NULL, true, false, "bar"), 1);
    assert_int_equal(match("^$", NULL, false, false, ""), 1);
    assert_int_equal(match("\\xff", NULL, false, false, "a\xff"), 1);
    assert_null(log_grep_new(bad, 2, false, false, &e));
    assert_non_null(strstr(e.msg, "pattern 2"));
    assert_non_null(strstr(e.msg, "position 3"));
    memset(hostile, 'a', sizeof hostile - 1);
    hostile[sizeof hostile - 2] = 'b';
    hostile[sizeof hostile - 1] = 0;
    assert_true(match("^(a+)+$", NULL, false, false, hostile) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pick), cmocka_unit_test(test_grep)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
