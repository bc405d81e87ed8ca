/* Which processes the words of a command mean. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "daemon/selector.h"

static struct supervisor *sup;

static uint64_t now(void *ctx)
{
    (void)ctx;
    return 1000;
}

static void no_timer(void *ctx, struct process *p, enum sys_timer which)
{
    (void)ctx;
    (void)p;
    (void)which;
}

static struct app *add_app(uint64_t id, const char *name)
{
    struct app_spec *s = app_spec_new();

    s->name = xstrdup(name);
    return supervisor_add_app(sup, id, s);
}

/* web: 0, 1, 4; api: 2; "7": 3 */
static int setup(void **state)
{
    const struct sys sys = {.mono_ms = now, .wall_ms = now, .timer_clear = no_timer};
    struct app *web, *api, *seven;

    (void)state;
    sup = supervisor_new(&sys);
    web = add_app(1, "web");
    api = add_app(2, "api");
    seven = add_app(3, "7");
    supervisor_add_process(sup, web, 0, -1);
    supervisor_add_process(sup, web, 1, -1);
    supervisor_add_process(sup, api, 0, -1);
    supervisor_add_process(sup, seven, 0, -1);
    supervisor_add_process(sup, web, 2, -1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    supervisor_free(sup);
    return 0;
}

/* `ids` in order as text, or the message when nothing matches. */
static void expect(json_t *words, int rc, const char *text)
{
    struct selection sel;
    struct err e = {0};
    char got[200] = "";

    assert_int_equal(selector_match(sup, words, &sel, &e), rc);
    for (size_t i = 0; i < sel.n; i++)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%u", i ? " " : "", sel.v[i]->id);
    if (rc == 0)
        assert_string_equal(got, text);
    else
        assert_non_null(strstr(e.msg, text));
    assert_true(rc == 0 || sel.n == 0);
    selection_free(&sel);
    json_decref(words);
}

static void names_ids_and_all(void **state)
{
    (void)state;
    expect(json_pack("[s]", "all"), 0, "0 1 2 3 4");
    expect(json_pack("[s]", "web"), 0, "0 1 4");
    expect(json_pack("[s]", "2"), 0, "2");
    expect(json_pack("[]"), 0, "");
}

static void each_once_in_order_of_id(void **state)
{
    (void)state;
    expect(json_pack("[s,s,s]", "4", "api", "web"), 0, "0 1 2 4");
    expect(json_pack("[s,s]", "all", "all"), 0, "0 1 2 3 4");
}

/* A number is first an app's name. */
static void a_name_that_is_a_number(void **state)
{
    (void)state;
    expect(json_pack("[s]", "7"), 0, "3");
}

static void one_word_without_a_match_fails_all(void **state)
{
    (void)state;
    expect(json_pack("[s,s]", "web", "nope"), -ENOENT, "nope");
    expect(json_pack("[s]", "99"), -ENOENT, "99");
    expect(json_pack("[s]", "4294967298"), -ENOENT, "4294967298"); /* not 2 */
    expect(json_pack("[s]", "-1"), -ENOENT, "-1");
    expect(json_pack("[s]", "2x"), -ENOENT, "2x");
    expect(json_pack("[s]", ""), -ENOENT, "no process");
}

static void all_of_nothing(void **state)
{
    struct supervisor *full = sup;
    const struct sys sys = {.mono_ms = now, .wall_ms = now, .timer_clear = no_timer};

    (void)state;
    sup = supervisor_new(&sys);
    expect(json_pack("[s]", "all"), -ENOENT, "no processes");
    supervisor_free(sup);
    sup = full;
}

/* web: 0, 1, 4 in namespace 7x; api: 2 in "front"; "7": 3 in "2", with the script /srv/seven */
static void namespaces_and_scripts(void **state)
{
    struct app *a;

    (void)state;
    TAILQ_FOREACH (a, supervisor_apps(sup), entry) {
        free(a->spec->ns);
        a->spec->ns = xstrdup(a->id == 1 ? "7x" : a->id == 2 ? "front" : "2");
        if (a->id == 3)
            a->spec->script = xstrdup("/srv/seven");
    }
    expect(json_pack("[s]", "7x"), 0, "0 1 4");
    expect(json_pack("[s]", "front"), 0, "2");
    expect(json_pack("[s]", "2"), 0, "3"); /* a namespace before an id */
    expect(json_pack("[s]", "3"), 0, "3");
    expect(json_pack("[s]", "/srv/seven"), 0, "3");
    expect(json_pack("[s]", "/srv/eight"), -ENOENT, "/srv/eight");
}

static void regular_expressions(void **state)
{
    (void)state;
    expect(json_pack("[s]", "/^(web|api)$/"), 0, "0 1 2 4");
    expect(json_pack("[s,s]", "/./", "all"), 0, "0 1 2 3 4");
    expect(json_pack("[s]", "/[0-9]/"), 0, "3");
    expect(json_pack("[s]", "/nothing/"), -ENOENT, "/nothing/");
    expect(json_pack("[s]", "//"), -ENOENT, "//");
    expect(json_pack("[s]", "/[a/"), -EINVAL, "not a regular expression");
    expect(json_pack("[s]", "/((a{255}){255}){255}/"), -EINVAL, "counted repeats");
    expect(json_pack("[s]", "/(a*)\\1/"), -EINVAL, "back-references");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_ids_and_all, setup, teardown),
        cmocka_unit_test_setup_teardown(each_once_in_order_of_id, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_that_is_a_number, setup, teardown),
        cmocka_unit_test_setup_teardown(one_word_without_a_match_fails_all, setup, teardown),
        cmocka_unit_test_setup_teardown(all_of_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(namespaces_and_scripts, setup, teardown),
        cmocka_unit_test_setup_teardown(regular_expressions, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
