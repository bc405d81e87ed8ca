/* What a child gets: variables that depend on its place among the instances. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "daemon/launch.h"

static struct app_spec *make_spec(const char *port)
{
    struct app_spec *s = app_spec_new();

    s->name = xstrdup("api");
    s->script = xstrdup("/bin/true");
    s->cwd = xstrdup("/");
    s->interpreter = xstrdup("none");
    s->increment_var = xstrdup("PORT");
    if (port)
        env_set(&s->env, "PORT", port);
    return s;
}

static void check(const char *base, uint32_t instance, const char *want)
{
    struct launch_ctx ctx = {.home = "/h", .home_id = "0123456789"};
    struct app app = {.spec = make_spec(base)};
    struct process p = {.app = &app, .id = 7, .instance = instance, .run = 1};
    struct launch l;

    launch_init(&l, &ctx, &p);
    assert_string_equal(env_get(l.envp, "PORT"), want);
    assert_string_equal(env_get(l.envp, "pm_id"), "7");
    launch_deinit(&l);
    app_spec_free(app.spec);
}

static void test_increment(void **state)
{
    (void)state;
    check("3000", 0, "3000");
    check("3000", 4, "3004");
    check("-1", 1, "0");
    check(NULL, 0, "0");
    check(NULL, 3, "3");
    check("9223372036854775807", 1, "9223372036854775807");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_increment)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
