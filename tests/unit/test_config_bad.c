/*
 * Every file in tests/configs/bad is a config with mistakes. Its first line tells, in a comment, all errors
 * that must be reported: "expect: line:col: part of the message | line:col: ...", in this order and no
 * others. In JavaScript the place is a way such as apps[0].name, or it is left out with its colon.
 */
#include "unit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fs.h"
#include "common/mem.h"
#include "config/config.h"

#define FILES_MIN 60

static char *environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/root", NULL};

static unsigned check_line(const char *name, const char *expected, char **errors)
{
    char *line = strsep(errors, "\n"), *colon = NULL, *place;

    if (!line || !*line) {
        print_error("%s: missing error: %s\n", name, expected);
        return 1;
    }
    place = strstr(line, name);
    place = place ? place + strlen(name) + 1 : line;
    place += *place == ' ';
    colon = strstr(expected, ": ");
    if (!colon && strstr(place, expected))
        return 0;
    if (colon && strncmp(place, expected, (size_t)(colon + 2 - expected)) == 0 && strstr(place, colon + 2))
        return 0;
    print_error("%s: expected: %s\n%*s  got: %s\n", name, expected, (int)strlen(name), "", place);
    return 1;
}

static unsigned check_file(const char *folder, const char *name)
{
    struct config_ctx ctx = {.cwd = folder, .environ = environment};
    struct app_list apps = {.v = (struct app_spec **)1, .n = 1};
    struct config_report report = {0};
    struct buf text = {0};
    char *path = fs_join(folder, name), *expect, *errors, *part;
    unsigned failed = 0;

    assert_int_equal(fs_read_file(path, 1 << 20, &text, NULL), 0);
    expect = strstr(text.data, "expect: ");
    assert_non_null(expect);
    expect += strlen("expect: ");
    *strchr(expect, '\n') = '\0';

    if (config_load_file(&ctx, path, &apps, &report) != -22)
        fail_msg("%s: no error", name);
    assert_int_equal(apps.n, 0);
    assert_null(apps.v);
    errors = report.errors.data;
    while ((part = expect) != NULL) {
        expect = strstr(part, " | ");
        if (expect) {
            *expect = '\0';
            expect += 3;
        }
        failed += check_line(name, part, &errors);
    }
    if (errors && *errors) {
        print_error("%s: too many errors: %s", name, errors);
        failed++;
    }
    config_report_free(&report);
    buf_free(&text);
    free(path);
    return failed;
}

static void test_bad_configs(void **state)
{
    struct dirent **entries;
    int n = scandir(TEST_SOURCE_DIR "/configs/bad", &entries, NULL, alphasort);
    unsigned files = 0, failed = 0;

    (void)state;
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        if (config_is_file_name(entries[i]->d_name)) {
            files++;
            failed += check_file(TEST_SOURCE_DIR "/configs/bad", entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
    assert_true(files >= FILES_MIN);
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bad_configs)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
