/* Work that can wait: the order, the hurry, and what comes while a batch is being worked on. */
#include <stdlib.h>

#include "common/clock.h"
#include "common/mem.h"
#include "daemon/later.h"
#include "unit.h"

struct mark {
    struct later_job job;
    int n;
};

static uv_loop_t loop;
static struct later queue;
static int worked[64], n_worked, done[64], n_done;
static int follow; /* how many more jobs the end of one brings */

static void work(struct later_job *j)
{
    worked[n_worked++] = ((struct mark *)j)->n;
}

static void put(int n, bool hurry);

static void end(struct later_job *j)
{
    struct mark *m = (struct mark *)j;

    done[n_done++] = m->n;
    if (follow-- > 0)
        put(m->n + 100, true);
    free(m);
}

static void put(int n, bool hurry)
{
    struct mark *m = xcalloc(1, sizeof(*m));

    m->job.work = work;
    m->job.done = end;
    m->n = n;
    later_put(&queue, &loop, &m->job, hurry);
}

static int setup(void **state)
{
    (void)state;
    n_worked = n_done = follow = 0;
    return uv_loop_init(&loop);
}

static int teardown(void **state)
{
    (void)state;
    return uv_loop_close(&loop); /* fails when a handle is left */
}

static void run_all_in_order(int count)
{
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(n_worked, count);
    assert_int_equal(n_done, count);
    assert_memory_equal(worked, done, sizeof(int) * (size_t)count);
    assert_null(queue.collecting);
    assert_null(queue.working);
}

static void test_one_batch_after_the_delay(void **state)
{
    uint64_t begin = clock_mono_ms();

    (void)state;
    for (int i = 0; i < 10; i++)
        put(i, false);
    run_all_in_order(10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(worked[i], i);
    assert_true(clock_mono_ms() - begin >= LATER_MS - 1);
}

static void test_hurry_takes_along_what_came_before(void **state)
{
    (void)state;
    put(1, false);
    put(2, true);
    uv_run(&loop, UV_RUN_ONCE); /* the timer */
    assert_null(queue.collecting);
    assert_non_null(queue.working);
    put(3, false); /* collects while the other two are worked on */
    assert_non_null(queue.collecting);
    run_all_in_order(3);
    assert_int_equal(worked[0], 1);
    assert_int_equal(worked[1], 2);
    assert_int_equal(worked[2], 3);
}

static void test_jobs_from_the_end_of_a_job(void **state)
{
    (void)state;
    follow = 3;
    put(1, false);
    put(2, false);
    run_all_in_order(5);
    assert_int_equal(worked[2], 101);
    assert_int_equal(worked[3], 102);
    assert_int_equal(worked[4], 201);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_batch_after_the_delay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hurry_takes_along_what_came_before, setup, teardown),
        cmocka_unit_test_setup_teardown(test_jobs_from_the_end_of_a_job, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
