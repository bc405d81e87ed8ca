/* `depends_on`: its forms in a file, circles, and the order that follows. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "config/config.h"
#include "config/depends.h"

static char *environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/root", NULL};

static bool knows_old(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "old") == 0;
}

static int load(const char *text, struct app_list *apps, struct config_report *report)
{
    struct config_ctx ctx = {.cwd = "/tmp", .environ = environment, .known = knows_old};

    *report = (struct config_report){0};
    return config_load_text(&ctx, "x.yaml", text, strlen(text), CONFIG_YAML, apps, report);
}

static void check_form(const char *value, const char *want)
{
    _cleanup_free_ char *text =
        xasprintf("apps:\n- {name: a, script: /bin/true, depends_on: %s}\n- {name: b, script: /bin/true}\n"
                  "- {name: c, script: /bin/true, name_prefix: p}\n",
                  value);
    struct config_report report;
    struct app_list apps;
    char got[256] = "";

    if (load(text, &apps, &report) < 0)
        fail_msg("%s: %s", value, report.errors.data);
    for (unsigned i = 0; i < apps.v[0]->depends_on.n; i++)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s=%s ", apps.v[0]->depends_on.v[i].name,
                 apps.v[0]->depends_on.v[i].condition);
    assert_string_equal(got, want);
    config_report_free(&report);
    app_list_free(&apps);
}

static void test_forms(void **state)
{
    (void)state;
    check_form("b", "b=started ");
    check_form("[b, old]", "b=started old=started ");
    check_form("{b: healthy, old: exited}", "b=healthy old=exited ");
    check_form("{b: {condition: completed}, old: {}}", "b=completed old=started ");
    check_form("[{name: b, condition: exited}, old]", "b=exited old=started ");
    check_form("[b: {condition: healthy}, old: completed]", "b=healthy old=completed ");
    check_form("c", "p:c=started "); /* by the name that it has in the file */
    check_form("\"p:c\"", "p:c=started ");
    check_form("[]", "");
}

static void check_error(const char *text, const char *want)
{
    struct config_report report;
    struct app_list apps;

    assert_true(load(text, &apps, &report) < 0);
    assert_string_equal(report.errors.data, want);
    config_report_free(&report);
    app_list_free(&apps);
}

#define APP(name, rest) "- name: " name "\n  script: /bin/true\n" rest

static void test_errors(void **state)
{
    (void)state;
    check_error(APP("web", "  depends_on: [old, bd]\n") APP("db", ""),
                "x.yaml:3:21: depends_on: there is no app \"bd\", did you mean \"db\"?\n");
    check_error(APP("web", "  depends_on:\n    nothing: healthy\n"),
                "x.yaml:4:5: depends_on: there is no app \"nothing\"\n");
    check_error(APP("web", "  depends_on:\n    - name: nothing\n"),
                "x.yaml:4:13: depends_on: there is no app \"nothing\"\n");
    check_error(APP("a", "  depends_on: a\n"),
                "x.yaml:3:15: depends_on: these wait for each other: a -> a\n");
    check_error(APP("z", "  depends_on: a\n") APP("a", "  depends_on: [old, b]\n")
                    APP("b", "  dependsOn: a\n"),
                "x.yaml:6:21: depends_on: these wait for each other: a -> b -> a\n");
    check_error(APP("a", "  depends_on: [old, old]\n"),
                "x.yaml:3:21: depends_on[1]: \"old\" is named twice\n");
    check_error(APP("a", "  depends_on: {old: up}\n"),
                "x.yaml:3:21: depends_on.old: expected \"started\" or \"healthy\" or \"completed\" or "
                "\"exited\", found the text \"up\"\n");
    check_error(APP("a", "  depends_on: {old: {when: started}}\n"),
                "x.yaml:3:22: depends_on.old: unknown key \"when\"\n");
    check_error(APP("a", "  depends_on: 1.5\n"), "x.yaml:3:15: depends_on: there is no app \"1.5\"\n");
    check_error(APP("a", "  depends_on: true\n"), "x.yaml:3:15: depends_on: expected the name of an app, a "
                                                  "mapping, or a list of them, found true\n");
}

/* A chain so long that nothing recursive would come through it. */
static void test_walk(void **state)
{
    enum { N = 20000 };
    struct app_spec *specs = xcalloc(N, sizeof(*specs));
    const struct app_spec **v = xcalloc(N, sizeof(*v));
    struct depends_options *d = xcalloc(N, sizeof(*d));
    unsigned *rank = xcalloc(N, sizeof(*rank));
    size_t at[2];
    char *circle;

    (void)state;
    for (unsigned i = 0; i < N; i++) {
        specs[i].name = xasprintf("n%u", i);
        v[i] = &specs[i];
        if (i + 1 < N) {
            d[i].name = xasprintf("n%u", i + 1);
            specs[i].depends_on = (struct depends_list){&d[i], 1};
        }
    }
    assert_null(depends_walk(v, N, rank, at));
    assert_int_equal(rank[0], N - 1);
    assert_int_equal(rank[N - 1], 0);
    d[N - 1].name = xasprintf("n%u", N - 2);
    specs[N - 1].depends_on = (struct depends_list){&d[N - 1], 1};
    circle = depends_walk(v, N, rank, at);
    assert_string_equal(circle, "n19998 -> n19999 -> n19998");
    assert_int_equal(at[0], N - 2);
    assert_int_equal(at[1], N - 1);
    free(circle);
    for (unsigned i = 0; i < N; i++) {
        free(specs[i].name);
        free(d[i].name);
    }
    free(specs);
    free(v);
    free(d);
    free(rank);
}

static void test_ranks(void **state)
{
    struct depends_options on_b[] = {{.name = (char *)"b"}, {.name = (char *)"none"}},
                           on_bc[] = {{.name = (char *)"c"}, {.name = (char *)"b"}};
    struct app_spec a = {.name = (char *)"a", .depends_on = {on_bc, 2}},
                    c = {.name = (char *)"c", .depends_on = {on_b, 2}}, b = {.name = (char *)"b"};
    const struct app_spec *v[] = {&a, &b, &c, &b};
    unsigned rank[4];
    size_t at[2];

    (void)state;
    assert_null(depends_walk(v, 4, rank, at));
    assert_int_equal(rank[0], 2);
    assert_int_equal(rank[1], 0);
    assert_int_equal(rank[2], 1);
    assert_int_equal(rank[3], 0);
    assert_null(depends_walk(v, 0, NULL, at));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_ranks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
