/* The line that tells how far a long action is. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "cli/progress.h"

static void check(const char *what, const char *done, const char *params, int width, const char *want)
{
    const struct progress p = {.what = what, .done = done};
    json_t *j = json_loads(params, 0, NULL);
    char *line = progress_line(&p, j, width);

    assert_string_equal(line, want);
    free(line);
    json_decref(j);
}

static void test_lines(void **state)
{
    (void)state;
    check("api", "started", "{\"done\":0,\"failed\":0,\"total\":40}", 80, "starting api: 0/40 up");
    check("api", "started",
          "{\"done\":13,\"failed\":1,\"total\":40,\"outcome\":{\"name\":\"api\",\"id\":11}}", 80,
          "starting api: 12/40 up, 1 failed; last: api 11");
    check("all", "deleted", "{\"done\":3,\"failed\":0,\"total\":4}", 80, "deleting all: 3/4 deleted");
    check("all", "restarted", "{\"done\":3,\"failed\":0,\"total\":4}", 80, "restarting all: 3/4 up");
    check("all", "stopped", "{\"done\":3,\"failed\":3,\"total\":4}", 80,
          "stopping all: 0/4 stopped, 3 failed");
    check("api", "scaled", "{\"done\":1,\"failed\":0,\"total\":2}", 80, "scaling api: 1/2 done");
}

/* It never reaches the last column, where some terminals break the line. */
static void test_width(void **state)
{
    (void)state;
    check("api", "started", "{\"done\":0,\"failed\":0,\"total\":40}", 12, "starting ap");
    check("api", "started", "{\"done\":0,\"failed\":0,\"total\":40}", 0, "s");
    check("one two three four five six seven eight nine", "stopped", "{\"done\":0,\"failed\":0,\"total\":9}",
          80, "stopping one two three four five six se: 0/9 stopped");
}

static void test_harmless(void **state)
{
    (void)state;
    check("a\033[2J\n", "started", "{\"done\":0,\"failed\":0,\"total\":1}", 80, "starting a^[[2J^J: 0/1 up");
}

static void test_other_notifications_are_not_taken(void **state)
{
    struct progress p = {.what = "x", .done = "started"};
    json_t *log = json_pack("{s:s,s:{}}", "method", "log", "params");
    json_t *missed = json_pack("{s:s,s:{s:i}}", "method", "progress", "params", "missed", 3);

    (void)state;
    assert_false(progress_show(&p, log));
    assert_true(progress_show(&p, missed));
    assert_false(p.shown);
    progress_clear(&p);
    progress_clear(NULL);
    json_decref(log);
    json_decref(missed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_width),
        cmocka_unit_test(test_harmless),
        cmocka_unit_test(test_other_notifications_are_not_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
