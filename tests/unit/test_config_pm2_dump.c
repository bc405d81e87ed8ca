/* Dumps of PM2: what becomes of their records, and what is said of bad ones. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fs.h"
#include "common/mem.h"
#include "config/pm2_dump.h"

static struct pm2_dump dump;
static struct config_report report;

static int teardown(void **state)
{
    (void)state;
    pm2_dump_free(&dump);
    config_report_free(&report);
    return 0;
}

static const struct app_spec *app(size_t i)
{
    assert_true(i < dump.apps.n);
    return dump.apps.v[i];
}

static void read_good(const char *text)
{
    int rc = pm2_dump_read("/home/shop/.pm2/dump.pm2", text, strlen(text), &dump, &report);

    if (rc < 0)
        print_message("%s", report.errors.data);
    assert_int_equal(rc, 0);
}

static void read_bad(const char *text, const char *errors)
{
    assert_int_equal(pm2_dump_read("dump.pm2", text, strlen(text), &dump, &report), -EINVAL);
    assert_string_equal(report.errors.data, errors);
    assert_int_equal(dump.apps.n, 0);
    config_report_free(&report);
}

static void check_warnings(const char *lines)
{
    assert_string_equal(report.warnings.data ? report.warnings.data : "", lines);
}

#define RECORD(name, more)                                                                                   \
    "{\"name\":\"" name                                                                                      \
    "\",\"pm_exec_path\":\"/srv/a.js\",\"pm_cwd\":\"/srv\",\"exec_interpreter\":\"node\","                   \
    "\"exec_mode\":\"fork_mode\",\"namespace\":\"default\"" more "}"

static void test_real(void **state)
{
    struct buf text = {0};
    struct err *none = NULL;
    const struct app_spec *s;

    (void)state;
    assert_int_equal(fs_read_file(TEST_SOURCE_DIR "/configs/pm2/dump.pm2", 1 << 20, &text, none), 0);
    /* The places where it was made are not absolute in the sample; any root will do. */
    struct buf placed = {0};
    for (const char *p = text.data; *p;) {
        if (*p == '@' && p[1] >= 'A' && p[1] <= 'Z') {
            buf_putc(&placed, '/');
            for (p++; *p != '@'; p++)
                buf_putc(&placed, *p);
            p++;
        } else {
            buf_putc(&placed, *p++);
        }
    }
    read_good(placed.data);
    buf_free(&text);
    buf_free(&placed);

    assert_int_equal(dump.apps.n, 4);
    s = app(0);
    assert_string_equal(s->name, "web");
    assert_string_equal(s->script, "/APPS/web.js");
    assert_string_equal(s->cwd, "/APPS");
    assert_string_equal(s->interpreter, "node");
    assert_string_equal(s->interpreter_args[0], "--max-old-space-size=100");
    assert_string_equal(s->args[0], "one");
    assert_string_equal(s->args[1], "two words");
    assert_null(s->args[2]);
    assert_string_equal(s->exec_mode, "fork");
    assert_string_equal(env_get(s->env, "GREETING"), "hallo");
    assert_string_equal(env_get(s->env, "LIMITS"), "{\"a\":1}");
    assert_int_equal(s->min_uptime, 2000);
    assert_int_equal(s->max_restarts, 5);
    assert_int_equal(s->restart_delay, 50);
    assert_int_equal(s->exp_backoff_restart_delay, 100);
    assert_int_equal(s->kill_timeout, 3000);
    assert_int_equal(s->stop_exit_codes.n, 2);
    assert_true(s->time);
    assert_string_equal(s->out_file, "/APPS/data/web.log"); /* chosen by a person */
    assert_null(s->error_file);                             /* PM2's own name, in PM2's home */
    assert_null(s->pid_file);
    assert_true(s->merge_logs);

    s = app(1);
    assert_string_equal(s->ns, "jobs");
    assert_false(s->autorestart);
    assert_string_equal(s->interpreter, "python3");
    assert_string_equal(env_get(s->env, "PYTHONUNBUFFERED"), "1");

    s = app(2);
    assert_string_equal(s->exec_mode, "cluster");
    assert_int_equal(s->instances, 2);
    assert_int_equal(dump.processes[2].n, 2);
    assert_int_equal(dump.processes[2].v[0].instance, 0);
    assert_int_equal(dump.processes[2].v[1].instance, 1);
    assert_string_equal(env_get(s->env, "N"), "0");
    assert_string_equal(s->instance_var, "WHICH");
    assert_false(s->merge_logs);

    s = app(3);
    assert_string_equal(s->interpreter, "none");
    assert_string_equal(s->args[0], "-c");
    assert_false(dump.processes[3].v[0].up);
    assert_true(dump.processes[0].v[0].up);

    static const char *const own[] = {"unique_id",
                                      "PM2_HOME",
                                      "PM2_USAGE",
                                      "PM2_JSON_PROCESSING",
                                      "PM2_INTERACTOR_PROCESSING",
                                      "web",
                                      "worker",
                                      "api",
                                      "plain",
                                      "pm_uptime",
                                      "status",
                                      "axm_options",
                                      "NODE_APP_INSTANCE"};
    for (size_t i = 0; i < dump.apps.n; i++)
        for (size_t k = 0; k < ARRAY_LEN(own); k++)
            assert_null(env_get(app(i)->env, own[k]));
    assert_int_equal(app(0)->max_memory_restart, 200 << 20);
    assert_string_equal(app(1)->cron_restart, "0 3 * * *");
    check_warnings("");
}

/* A `pm2 start` that was called by an app of PM2 hands that app's fields down as variables. */
static void test_fields_in_the_environment(void **state)
{
    (void)state;
    read_good("[" RECORD("a",
                         ",\"env\":{\"pm_id\":\"3\",\"pm_exec_path\":\"/srv/outer.js\",\"name\":\"outer\","
                         "\"status\":\"launching\",\"autorestart\":\"true\",\"km_link\":\"false\","
                         "\"axm_monitor\":\"x\",\"NODE_CHANNEL_FD\":\"3\",\"USER\":\"shop\"},"
                         "\"autorestart\":true,\"USER\":\"shop\"") "]");
    assert_int_equal(strv_len(app(0)->env), 1);
    assert_string_equal(env_get(app(0)->env, "USER"), "shop");
    assert_string_equal(app(0)->name, "a");
}

/* Variables stand beside PM2's fields too, and may be called as an option is. */
static void test_variables_beside_fields(void **state)
{
    (void)state;
    read_good("[" RECORD("a",
                         ",\"env\":{\"time\":\"late\",\"status\":\"fine\",\"N\":5,\"B\":false,\"NULL\":null},"
                         "\"time\":\"late\",\"N\":5,\"B\":false") "]");
    assert_false(app(0)->time);
    assert_string_equal(env_get(app(0)->env, "time"), "late");
    assert_string_equal(env_get(app(0)->env, "status"), "fine");
    assert_string_equal(env_get(app(0)->env, "N"), "5");
    assert_string_equal(env_get(app(0)->env, "B"), "false");
    assert_null(env_get(app(0)->env, "NULL"));
}

static void test_files(void **state)
{
    (void)state;
    read_good("[" RECORD(
        "a",
        ",\"pm_pid_path\":\"/run/a-6.pid\",\"pm_out_log_path\":\"/var/log/a-6.log\","
        "\"pm_err_log_path\":\"/home/shop/.pm2/logs/a-error-6.log\"") "," RECORD("a",
                                                                                 ",\"pm_pid_path\":\"/run/"
                                                                                 "a-7.pid\",\"pm_out_log_"
                                                                                 "path\":\"/var/log/"
                                                                                 "a-7.log\","
                                                                                 "\"pm_err_log_path\":\"/"
                                                                                 "home/shop/.pm2/logs/"
                                                                                 "a-error-7.log\",\"status\":"
                                                                                 "\"stopped\"") "," RECORD("b",
                                                                                                           ","
                                                                                                           "\"merge_logs\":true,\"pm_pid_path\":\"/run/b-8.pid\",\"pm_out_log_path\":\"/dev/null\","
                                                                                                           "\"pm_log_path\":\"/var/log/b-8.log\"") "]");
    assert_int_equal(dump.apps.n, 2);
    assert_string_equal(app(0)->out_file, "/var/log/a.log"); /* pm adds the id of its own process */
    assert_false(app(0)->merge_logs);
    assert_null(app(0)->error_file);
    assert_null(app(0)->pid_file);
    assert_int_equal(dump.processes[0].v[1].instance, 1); /* PM2 did not tell */
    assert_false(dump.processes[0].v[1].up);
    assert_string_equal(app(1)->pid_file, "/run/b-8.pid");
    assert_string_equal(app(1)->out_file, "/dev/null");
    assert_string_equal(app(1)->log_file, "/var/log/b-8.log");
}

static void test_what_is_one_app(void **state)
{
    (void)state;
    read_good(
        "[" RECORD("a", ",\"NODE_APP_INSTANCE\":0") "," RECORD("a", ",\"NODE_APP_INSTANCE\":2") "," RECORD(
            "a", ",\"NODE_APP_INSTANCE\":2") "," RECORD("a", ",\"args\":[\"x\"],"
                                                             "\"NODE_APP_INSTANCE\":"
                                                             "4") ","
                                                                  "{\"name\":\"a\","
                                                                  "\"pm_exec_path\":"
                                                                  "\"/srv/"
                                                                  "a.js\",\"pm_"
                                                                  "cwd\":\"/"
                                                                  "srv\","
                                                                  "\"namespace\":"
                                                                  "\"other\"}]");
    assert_int_equal(dump.apps.n, 4);
    assert_int_equal(app(0)->instances, 2);
    assert_int_equal(dump.processes[0].v[1].instance, 2);
    assert_int_equal(app(1)->instances, 1); /* the number is taken */
    assert_string_equal(app(2)->args[0], "x");
    assert_string_equal(app(3)->ns, "other");
    assert_string_equal(app(3)->interpreter, "none");
}

static void test_empty(void **state)
{
    (void)state;
    read_good("[]");
    assert_int_equal(dump.apps.n, 0);
}

static void test_bad(void **state)
{
    (void)state;
    read_bad("", "dump.pm2: is empty\n");
    read_bad("{\"apps\":[]}", "dump.pm2: is no dump of PM2: expected a list of processes, found a mapping\n");
    read_bad("[5]", "dump.pm2: [0]: expected a process, found the number 5\n");
    read_bad("[" RECORD("a", "") ",{\"name\":\"b\",\"script\":\"x.js\"}]",
             "dump.pm2: [1]: is no process of PM2: it has no \"pm_exec_path\"\n");
    read_bad("[" RECORD("a", ",\"kill_timeout\":\"soon\"") "," RECORD("b", ",\"env\":[1]") "]",
             "dump.pm2: [0].kill_timeout: expected a duration such as \"500ms\", \"10s\", \"2m\", \"2h\", or "
             "a number of "
             "ms, found the text \"soon\"\n"
             "dump.pm2: [1].env: expected a mapping of variables\n");
    read_bad("[{\"name\":\"a\",\"pm_exec_path\":\"a.js\",\"pm_cwd\":\"/srv\"}]",
             "dump.pm2: [0]: script: must be an absolute path\n");
}

/* Whatever a crash or a full disk has left of it. */
static void test_cut(void **state)
{
    static const char text[] = "[" RECORD("a", ",\"env\":{\"A\":\"b\"}") "]";

    (void)state;
    for (size_t len = 0; len + 1 < sizeof(text) - 1; len++) {
        assert_int_equal(pm2_dump_read("dump.pm2", text, len, &dump, &report), -EINVAL);
        assert_int_equal(report.n_errors, 1);
        config_report_free(&report);
    }
}

static void test_no_file(void **state)
{
    (void)state;
    assert_int_equal(pm2_dump_load("/nowhere/dump.pm2", &dump, &report), -ENOENT);
    assert_int_equal(report.n_errors, 0);
    assert_int_equal(pm2_dump_load("/", &dump, &report), -EINVAL);
    assert_int_equal(report.n_errors, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_real, teardown),
        cmocka_unit_test_teardown(test_fields_in_the_environment, teardown),
        cmocka_unit_test_teardown(test_variables_beside_fields, teardown),
        cmocka_unit_test_teardown(test_files, teardown),
        cmocka_unit_test_teardown(test_what_is_one_app, teardown),
        cmocka_unit_test_teardown(test_empty, teardown),
        cmocka_unit_test_teardown(test_bad, teardown),
        cmocka_unit_test_teardown(test_cut, teardown),
        cmocka_unit_test_teardown(test_no_file, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
