/* The engine's descriptors of each run: who closes what, and when a run has none left. */
#include "unit.h"

#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "daemon/holds.h"

static struct holds holds;

static int setup(void **state)
{
    (void)state;
    holds_init(&holds);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    holds_clear(&holds);
    return holds.n == 0 ? 0 : -1;
}

static int new_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void runs_are_found_also_in_one_bucket(void **state)
{
    struct hold *a = holds_make(&holds, 5), *b = holds_make(&holds, 5 + HOLDS_BUCKETS), *hold;
    unsigned seen = 0;

    (void)state;
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(holds_make(&holds, 5), a);
    assert_ptr_equal(holds_get(&holds, 5 + HOLDS_BUCKETS), b);
    assert_null(holds_get(&holds, 5 + 2 * HOLDS_BUCKETS));
    assert_int_equal(holds.n, 2);
    HOLDS_FOREACH (hold, &holds)
        seen++;
    assert_int_equal(seen, 2);
    holds_free(&holds, a);
    assert_null(holds_get(&holds, 5));
    assert_ptr_equal(holds_get(&holds, 5 + HOLDS_BUCKETS), b);
}

static void a_descriptor_in_place_of_another_closes_it(void **state)
{
    struct hold *hold = holds_make(&holds, 1);
    int first = new_fd(), second = new_fd();

    (void)state;
    hold_set(hold, KW_FD_STDOUT, first);
    hold_set(hold, KW_FD_STDOUT, second);
    assert_false(is_open(first));
    assert_true(is_open(second));
    hold_close(hold, KW_FD_STDOUT);
    hold_close(hold, KW_FD_STDOUT); /* once more does no harm */
    assert_false(is_open(second));
    assert_int_equal(hold->fds[KW_FD_STDOUT], -1);
}

static void the_spec_alone_is_nothing(void **state)
{
    struct hold *hold = holds_make(&holds, 1);

    (void)state;
    assert_true(hold_is_empty(hold));
    hold_set(hold, KW_FD_SPEC, new_fd());
    assert_true(hold_is_empty(hold));
    hold_set(hold, KW_FD_SPOOL_ERR, new_fd());
    assert_false(hold_is_empty(hold));
    hold_close(hold, KW_FD_SPOOL_ERR);
    assert_true(hold_is_empty(hold));
}

static void a_message_is_emptied(void **state)
{
    struct hold *hold = holds_make(&holds, 1);
    struct kw_msg m = {.type = KW_CHILD};
    int pidfd = new_fd(), old = new_fd(), in = new_fd();

    (void)state;
    hold_set(hold, KW_FD_STDIN, old);
    kw_add_fd(&m, KW_FD_PIDFD, pidfd);
    kw_add_fd(&m, KW_FD_STDIN, in);
    hold_take_all(hold, &m);
    kw_close_fds(&m); /* as the link does after each message */
    assert_int_equal(hold->fds[KW_FD_PIDFD], pidfd);
    assert_int_equal(hold->fds[KW_FD_STDIN], old); /* somebody may be working with it */
    assert_true(is_open(pidfd) && is_open(old));
    assert_false(is_open(in));
    holds_free(&holds, hold);
    assert_false(is_open(pidfd) || is_open(old));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(runs_are_found_also_in_one_bucket, setup, teardown),
        cmocka_unit_test_setup_teardown(a_descriptor_in_place_of_another_closes_it, setup, teardown),
        cmocka_unit_test_setup_teardown(the_spec_alone_is_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_message_is_emptied, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
