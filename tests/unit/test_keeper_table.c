#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "keeper/table.h"

static struct table t;

static int setup(void **state)
{
    (void)state;
    table_init(&t);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    table_deinit(&t);
    return 0;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void test_add_find_remove(void **state)
{
    (void)state;
    struct record *a = table_add(&t, 1), *b = table_add(&t, 1 + TABLE_BUCKETS);

    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(t.count, 2);
    assert_true(t.highest == 1 + TABLE_BUCKETS);
    assert_ptr_equal(table_find(&t, 1), a);
    assert_ptr_equal(table_find(&t, 1 + TABLE_BUCKETS), b);
    assert_null(table_find(&t, 2));
    assert_ptr_equal(table_find(&t, 0), &t.self);
    assert_null(table_add(&t, 1));
    assert_int_equal(errno, EEXIST);
    table_remove(&t, b);
    assert_null(table_find(&t, 1 + TABLE_BUCKETS));
    assert_ptr_equal(table_find(&t, 1), a);
    assert_true(t.highest == 1 + TABLE_BUCKETS); /* of all that ever were */
}

static void test_pids(void **state)
{
    (void)state;
    struct record *a = table_add(&t, 1), *b = table_add(&t, 2);

    table_set_pid(&t, a, 100);
    assert_ptr_equal(table_find_pid(&t, 100), a);
    table_clear_pid(a);
    assert_null(table_find_pid(&t, 100));
    assert_int_equal(a->pid, 100);
    table_set_pid(&t, b, 100); /* the number is used again */
    assert_ptr_equal(table_find_pid(&t, 100), b);
    table_clear_pid(a);
    table_remove(&t, a);
    assert_ptr_equal(table_find_pid(&t, 100), b);
}

static void test_descriptors(void **state)
{
    (void)state;
    struct record *r = table_add(&t, 5);
    int one = open("/dev/null", O_RDONLY), two = open("/dev/null", O_RDONLY),
        three = open("/dev/null", O_RDONLY);

    assert_false(record_holds_any(r));
    record_hold(r, KW_FD_STDOUT, one);
    assert_true(record_holds_any(r));
    record_hold(r, KW_FD_STDOUT, two);
    assert_false(is_open(one));
    assert_true(is_open(two));
    record_drop(r, KW_FD_STDOUT);
    assert_false(is_open(two));
    record_drop(r, KW_FD_STDOUT);
    assert_false(record_holds_any(r));
    record_hold(r, KW_FD_LOCK, three);
    table_remove(&t, r);
    assert_false(is_open(three));
}

static void test_full(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= TABLE_MAX; i++)
        assert_non_null(table_add(&t, i * 7));
    assert_null(table_add(&t, 1));
    assert_int_equal(errno, ENOSPC);
    table_remove(&t, table_find(&t, 7));
    assert_non_null(table_add(&t, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_add_find_remove, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
    };

    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
