/* The names of log files: PM2's, and where the id comes in. */
#include "unit.h"

#include <stdbool.h>

#include "common/mem.h"
#include "daemon/log_paths.h"

static struct app_spec *spec;
static struct log_paths paths;

static int setup(void **state)
{
    (void)state;
    spec = app_spec_new();
    spec->name = xstrdup("api");
    spec->instances = 1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_paths_deinit(&paths);
    app_spec_free(spec);
    return 0;
}

static void expect(const char *out, const char *err)
{
    log_paths_deinit(&paths);
    log_paths_init(&paths, spec, "/home/x", 3);
    assert_string_equal(paths.out, out);
    assert_string_equal(paths.err, err);
}

static void one_instance_has_plain_names(void **state)
{
    (void)state;
    expect("/home/x/logs/api-out.log", "/home/x/logs/api-error.log");
    assert_null(paths.both);
    assert_string_equal(paths.pid, "/home/x/pids/api-3.pid");
}

static void several_instances_have_their_ids_unless_merged(void **state)
{
    (void)state;
    spec->instances = 2;
    expect("/home/x/logs/api-out-3.log", "/home/x/logs/api-error-3.log");
    spec->merge_logs_set = spec->merge_logs = true;
    expect("/home/x/logs/api-out.log", "/home/x/logs/api-error.log");
    spec->instances = 1;
    spec->merge_logs = false;
    expect("/home/x/logs/api-out-3.log", "/home/x/logs/api-error-3.log");
}

static void a_name_cannot_leave_the_folder(void **state)
{
    (void)state;
    free(spec->name);
    spec->name = xstrdup("../a b/ü.js");
    expect("/home/x/logs/..-a-b---.js-out.log", "/home/x/logs/..-a-b---.js-error.log");
}

static void given_files(void **state)
{
    (void)state;
    spec->out_file = xstrdup("/var/log/o.txt");
    spec->error_file = xstrdup("/dev/null");
    spec->log_file = xstrdup("/var/log/both.log");
    expect("/var/log/o.txt", "/dev/null");
    assert_string_equal(paths.both, "/var/log/both.log");
    spec->instances = 4;
    expect("/var/log/o.txt-3", "/dev/null"); /* never "/dev/null-3" */
    assert_string_equal(paths.both, "/var/log/both-3.log");
}

static void date_formats(void **state)
{
    (void)state;
    assert_null(log_date_format_of(spec));
    spec->time = true;
    assert_string_equal(log_date_format_of(spec), "YYYY-MM-DDTHH:mm:ss");
    spec->log_date_format = xstrdup("HH:mm");
    assert_string_equal(log_date_format_of(spec), "HH:mm");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_instance_has_plain_names, setup, teardown),
        cmocka_unit_test_setup_teardown(several_instances_have_their_ids_unless_merged, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_cannot_leave_the_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(given_files, setup, teardown),
        cmocka_unit_test_setup_teardown(date_formats, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
