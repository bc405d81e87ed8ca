/* The question about a program's fitness for `adopt`, asked from the loop: one answer, or none when
 * forgotten. */
#include "unit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "daemon/adopt_ask.h"

static uv_loop_t loop;
static int answers, code;
static char library[512];

static int setup(void **state)
{
    (void)state;
    answers = code = 0;
    *library = '\0';
    return uv_loop_init(&loop);
}

/* Closes clean: whatever was asked is over when nothing is left to do. */
static int teardown(void **state)
{
    (void)state;
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

static void on_answer(void *arg, const char *path, const struct err *e)
{
    assert_ptr_equal(arg, &loop);
    answers++;
    code = path ? 0 : e->code;
    if (path)
        snprintf(library, sizeof(library), "%s", path);
}

static struct adopt_ask *ask(const char *program)
{
    return adopt_ask(&loop, program, NULL, "/", on_answer, &loop);
}

static void test_answers(void **state)
{
    (void)state;
    ask("sh");
    assert_int_equal(answers, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(answers, 1);
    assert_int_equal(code, 0);
    assert_non_null(strstr(library, "/libpm-adopt.so"));
}

static void test_canceled(void **state)
{
    struct adopt_ask *late;

    (void)state;
    adopt_ask_cancel(ask("sh"));
    assert_int_equal(answers, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(answers, 1);
    assert_int_equal(code, -ECANCELED);
    /* Also when the thread is done with it, and the loop has not heard yet. */
    late = ask("sh");
    usleep(100000);
    adopt_ask_cancel(late);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(answers, 2);
    assert_int_equal(code, -ECANCELED);
}

static void test_canceled_in_a_long_queue(void **state)
{
    struct adopt_ask *last = NULL;

    (void)state;
    for (int i = 0; i < 50; i++)
        last = ask("sh");
    adopt_ask_cancel(last);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(answers, 50);
}

static void test_forgotten(void **state)
{
    (void)state;
    adopt_ask_forget(ask("sh"));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(answers, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_canceled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_canceled_in_a_long_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forgotten, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
