/* The ecosystem file that most users of PM2 have, as JavaScript and as YAML: it must mean the same. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "config/config.h"
#include "config/resolve.h"

#define FOLDER TEST_SOURCE_DIR "/configs/good"

static char *environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/root", "NODE_ENV=shell", NULL};

static void check_app(const struct app_spec *s, const char *node_env, const char *port)
{
    assert_string_equal(s->name, "web");
    assert_string_equal(s->script, FOLDER "/server.js");
    assert_string_equal(s->cwd, FOLDER);
    assert_string_equal(s->interpreter, "node");
    assert_int_equal(s->instances, 0);
    assert_string_equal(s->exec_mode, "cluster");
    assert_string_equal(s->error_file, FOLDER "/logs/err.log");
    assert_string_equal(s->out_file, FOLDER "/logs/out.log");
    assert_string_equal(s->log_date_format, "YYYY-MM-DD HH:mm:ss Z");
    assert_string_equal(env_get(s->env, "NODE_ENV"), node_env);
    assert_string_equal(env_get(s->env, "PORT"), port);
    assert_string_equal(env_get(s->env, "HOME"), "/root");
}

/* Loads it both without and with --env production. */
static void check_file(const char *file)
{
    static const char *const envs[][3] = {{NULL, "development", "3000"},
                                          {"production", "production", "8080"}};

    for (size_t i = 0; i < ARRAY_LEN(envs); i++) {
        struct config_ctx ctx = {.cwd = FOLDER, .environ = environment, .env_name = envs[i][0]};
        struct config_report report = {0};
        struct app_list apps;

        if (config_load_file(&ctx, file, &apps, &report) < 0)
            fail_msg("%s", report.errors.data);
        assert_int_equal(apps.n, 1);
        check_app(apps.v[0], envs[i][1], envs[i][2]);
        assert_string_equal(apps.v[0]->watch[0], ".");
        assert_int_equal(apps.v[0]->max_memory_restart, 1 << 30);
        assert_null(report.warnings.data);
        app_list_free(&apps);
        config_report_free(&report);
    }
}

static void test_javascript(void **state)
{
    (void)state;
    check_file("ecosystem.config.js");
}

static void test_yaml(void **state)
{
    (void)state;
    check_file("ecosystem.yaml");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_javascript), cmocka_unit_test(test_yaml)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
