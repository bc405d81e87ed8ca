/* fork or cluster, as PM2 chooses between them, and what can be no cluster. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/exec_mode.h"

static struct app_spec *spec;

static int setup(void **state)
{
    (void)state;
    spec = app_spec_new();
    spec->script = xstrdup("/srv/app.js");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    app_spec_free(spec);
    return 0;
}

static void set(char **field, const char *value)
{
    free(*field);
    *field = xstrdup(value);
}

static void check(const char *interpreter, bool given, int64_t instances, const char *mode)
{
    struct err e;

    set(&spec->interpreter, interpreter);
    spec->instances = instances;
    assert_int_equal(exec_mode_choose(spec, false, given, &e), 0);
    assert_string_equal(spec->exec_mode, mode);
}

static void test_chosen(void **state)
{
    (void)state;
    check("node", true, 1, "cluster");
    check("node", true, 0, "cluster");
    check("node", true, -1, "cluster");
    check("node", true, -2, "fork");
    check("node", true, 4, "cluster");
    check("node", false, 1, "fork");
    check("/opt/bin/node20", true, 2, "cluster");
    check("node@18", true, 2, "cluster");
    check("bun", true, 2, "cluster");
    check("nodemon", true, 2, "fork");
    check("python3", true, 2, "fork");
    check("none", true, 2, "fork");
    strv_push(&spec->interpreter_args, xstrdup("--env-file=x"));
    check("node", true, 2, "cluster");
    strv_push(&spec->interpreter_args, xstrdup("--eval=1"));
    check("node", true, 2, "fork");
}

static void refuse(const char *interpreter, const char *script, const char *part)
{
    struct err e;

    set(&spec->interpreter, interpreter);
    set(&spec->script, script);
    set(&spec->exec_mode, "cluster");
    assert_true(exec_mode_choose(spec, true, true, &e) < 0);
    if (!strstr(e.msg, part))
        fail_msg("%s", e.msg);
}

static void test_given(void **state)
{
    struct err e;

    (void)state;
    set(&spec->interpreter, "node");
    set(&spec->exec_mode, "fork");
    spec->instances = 4;
    assert_int_equal(exec_mode_choose(spec, true, true, &e), 0);
    assert_string_equal(spec->exec_mode, "fork");
    assert_false(app_is_cluster(spec));
    set(&spec->exec_mode, "cluster");
    assert_int_equal(exec_mode_choose(spec, true, false, &e), 0);
    assert_string_equal(spec->exec_mode, "cluster");
    assert_true(app_is_cluster(spec));
    refuse("python3", "/srv/app.py", "this is run by python3; use fork, and \"listen\"");
    assert_false(app_is_cluster(spec));
    refuse("none", "/srv/server", "this is run by server");
    refuse("none", "/usr/bin/node", "name it as \"script\", and node as \"interpreter\"");
    strv_push(&spec->interpreter_args, xstrdup("-e"));
    refuse("node", "code", "not code after -e");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_chosen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_given, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
