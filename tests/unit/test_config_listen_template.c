/* {fd} and {listen.NAME}: what they become, what is left alone, and where a wrong one is told. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/config.h"
#include "config/listen_template.h"
#include "config/options.h"

static struct app_spec *with(const char *addresses)
{
    struct app_spec *s = app_spec_new();

    assert_int_equal(option_set_text(option_find("listen"), s, addresses, NULL), 0);
    return s;
}

static void check(const struct app_spec *s, const char *text, const char *want)
{
    struct err e;
    char *got = listen_expand(&s->listen, text, &e);

    assert_non_null(got);
    assert_string_equal(got, want);
    free(got);
}

static void test_expand(void **state)
{
    struct app_spec *one = with("80"), *two = with("80\nunix:/x"), *none = app_spec_new();

    (void)state;
    check(one, "{fd}", "3");
    check(one, "fd://{fd}/{listen.80}.", "fd://3/3.");
    check(two, "{listen.listen1},{listen.80}", "4,3");
    check(two, "{\"a\": {\"b\": 1}} {{.Name}} {x} { {fdd} {listen} {listen.",
          "{\"a\": {\"b\": 1}} {{.Name}} {x} { {fdd} {listen} {listen.");
    check(one, "{{fd} {{listen.x} {{{fd}", "{fd} {listen.x} {{fd}");
    check(one, "${fd} ${listen.x} $ {fd}", "${fd} ${listen.x} $ 3");
    check(none, "{fd} {listen.x} {{fd}", "{fd} {listen.x} {{fd}");
    app_spec_free(one);
    app_spec_free(two);
    app_spec_free(none);
}

static void test_refused(void **state)
{
    struct app_spec *s = with("80\nunix:/x");
    struct err e;

    (void)state;
    assert_true(listen_check_text(&s->listen, "a{fd}", &e) < 0);
    assert_string_equal(e.msg, "{fd} could be any of 2 sockets; say which: {listen.80}, {listen.listen1}");
    assert_true(listen_check_text(&s->listen, "{listen.81}", &e) < 0);
    assert_string_equal(e.msg,
                        "listen has no entry with the name \"81\"; there is {listen.80}, {listen.listen1}");
    env_set(&s->env, "X", "{listen.}");
    assert_true(listen_check_app(s, &e) < 0);
    assert_non_null(strstr(e.msg, "the variable X: listen has no entry with the name \"\""));
    strv_push(&s->args, xstrdup("{fd}"));
    assert_true(listen_check_app(s, &e) < 0);
    assert_non_null(strstr(e.msg, "args: {fd} could be"));
    app_spec_free(s);
}

/* Over the wire too: a known app may get another list. */
static void test_over_a_spec(void **state)
{
    struct app_spec *s = with("80");
    json_t *set = json_pack("{s:s,s:s,s:s,s:[{s:s}]}", "name", "a", "script", "/bin/true", "cwd", "/",
                            "listen", "tcp", "81");
    struct err e;

    (void)state;
    strv_push(&s->args, xstrdup("{listen.80}"));
    assert_null(app_spec_with_json(s, set, &e));
    assert_string_equal(e.msg, "args: listen has no entry with the name \"80\"; there is {listen.81}");
    json_decref(set);
    app_spec_free(s);
}

/* A word of the command line: "uvicorn --fd {fd} app" is a line for a shell. */
static void test_command_line(void **state)
{
    static char *environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/root", NULL};
    struct config_ctx ctx = {.cwd = "/tmp", .environ = environment};
    struct app_spec *s = with("80");
    struct err e;

    (void)state;
    assert_int_equal(config_resolve_word(&ctx, "echo --fd {fd}", s, &e), 0);
    app_spec_free(s);
    s = with("80\n81");
    assert_true(config_resolve_word(&ctx, "echo --fd {fd}", s, &e) < 0);
    assert_non_null(strstr(e.msg, "{fd} could be any of 2 sockets"));
    app_spec_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expand),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_over_a_spec),
        cmocka_unit_test(test_command_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
