/* The option table, the values it reads, and the wire form that follows from it. */
#include "unit.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/env.h"
#include "config/options.h"
#include "config/suggest.h"
#include "config/values.h"

/* Every word that names a row, with its camelCase form found again by option_find. */
static void check_word_of(const struct option_row *row, const char *word)
{
    char camel[64];
    size_t n = 0;

    for (const char *p = word; *p; p++)
        camel[n++] = *p == '_' ? (char)(*++p - 'a' + 'A') : *p;
    camel[n] = '\0';
    assert_ptr_equal(option_find(word), row);
    assert_ptr_equal(option_find(camel), row);
    assert_null(foreign_key_find(word));
    assert_null(foreign_key_find(camel));
}

/* What holds for the table holds inside its groups. */
static void check_group(const struct option_row *outer)
{
    const struct option_group *g = outer->group;

    assert_int_equal(outer->store, outer->type == OPT_LIST ? STORE_LIST : STORE_GROUP);
    assert_true((outer->type == OPT_LIST) == (g->size > 0));
    assert_true(g->n > 0);
    assert_true(!g->shorthand || option_group_shorthand(g));
    for (size_t i = 0; i < g->n; i++) {
        const struct option_row *row = &g->rows[i];

        assert_ptr_equal(option_group_find(g, row->name), row);
        assert_ptr_equal(option_group_by_name(g, row->name), row);
        assert_int_equal(row->help[strlen(row->help) - 1], '.');
        assert_true((row->type == OPT_ENUM) == (row->words != NULL));
        assert_true(row->store != STORE_NONE && !row->local);
        for (size_t k = 0; k < i; k++)
            assert_true(g->rows[k].offset != row->offset);
        if (row->store == STORE_INT)
            assert_true(row->def >= row->min && row->def <= row->max);
    }
}

static void test_table_is_sound(void **state)
{
    size_t n;
    const struct option_row *rows = options(&n);
    bool used[sizeof(struct app_spec)] = {false};

    (void)state;
    assert_true(n > 30);
    for (size_t i = 0; i < n; i++) {
        const struct option_row *row = &rows[i];

        check_word_of(row, row->name);
        for (const char *const *alias = row->aliases; *alias; alias++)
            check_word_of(row, *alias);
        assert_ptr_equal(option_by_name(row->name), row);
        assert_non_null(row->help);
        assert_true(strlen(row->help) > 20);
        assert_int_equal(row->help[strlen(row->help) - 1], '.');
        assert_true(row->min <= row->max);
        assert_true((row->type == OPT_ENUM) == (row->words != NULL));
        assert_non_null(opt_type_expected(row->type));
        assert_true((row->type == OPT_GROUP || row->type == OPT_LIST) == (row->group != NULL));
        if (row->group)
            check_group(row);
        if (row->store == STORE_NONE)
            continue;
        assert_false(used[row->offset]);
        used[row->offset] = true;
        if (row->store == STORE_INT)
            assert_true(row->def >= row->min && row->def <= row->max);
    }
}

static void test_foreign_keys(void **state)
{
    size_t n;
    const struct foreign_key *keys = foreign_keys(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        assert_null(option_find(keys[i].name));
        assert_ptr_equal(foreign_key_find(keys[i].name), &keys[i]);
    }
    assert_non_null(foreign_key_find("windowsHide"));
    assert_non_null(foreign_key_find("deepMonitoring"));
    assert_null(foreign_key_find("cron"));
    assert_null(foreign_key_find("nonsense"));
}

static void test_defaults(void **state)
{
    struct app_spec *s = app_spec_new();

    (void)state;
    assert_null(s->name);
    assert_string_equal(s->ns, "default");
    assert_int_equal(s->instances, 1);
    assert_string_equal(s->exec_mode, "fork");
    assert_true(s->autostart && s->autorestart && s->treekill);
    assert_false(s->wait_ready || s->shutdown_with_message || s->merge_logs || s->merge_logs_set || s->time);
    assert_int_equal(s->min_uptime, 1000);
    assert_int_equal(s->max_restarts, 16);
    assert_int_equal(s->restart_delay, 0);
    assert_int_equal(s->exp_backoff_restart_delay, 0);
    assert_int_equal(s->kill_timeout, 1600);
    assert_int_equal(s->stop_signal, SIGINT);
    assert_int_equal(s->listen_timeout, 3000);
    assert_string_equal(s->instance_var, "NODE_APP_INSTANCE");
    assert_non_null(s->args);
    assert_non_null(s->env);
    app_spec_free(s);
    app_spec_free(NULL);
}

static void test_suggestions(void **state)
{
    (void)state;
    assert_string_equal(option_suggest("instance"), "instances");
    assert_string_equal(option_suggest("scirpt"), "script");
    assert_string_equal(option_suggest("kill-timeout"), "kill_timeout");
    assert_string_equal(option_suggest("wach"), "watch");
    assert_null(option_suggest("zzz"));
    assert_null(option_suggest("flavour"));
    assert_int_equal(suggest_distance("abcd", "abdc"), 1);
    assert_int_equal(suggest_distance("", "abc"), 3);
}

static struct app_spec *full_spec(void)
{
    struct app_spec *s = app_spec_new();

    s->name = xstrdup("api");
    s->script = xstrdup("/srv/caf\xe9/api.js"); /* Latin-1: a legal path, not legal JSON */
    s->cwd = xstrdup("/srv");
    s->interpreter = xstrdup("node");
    strv_push(&s->args, xstrdup("--port"));
    strv_push(&s->args, xstrdup(""));
    env_set(&s->env, "PATH", "/bin");
    env_set(&s->env, "RAW", "\xfe\xff");
    s->stop_exit_codes = (struct int_list){.v = xcalloc(2, sizeof(int)), .n = 2};
    s->stop_exit_codes.v[1] = 143;
    s->merge_logs_set = true;
    s->kill_timeout = 5;
    s->log_type = xstrdup("json");
    return s;
}

static void test_wire(void **state)
{
    struct app_spec *s = full_spec(), *copy = app_spec_dup(s), *back;
    json_t *a, *b;
    struct err e = {0};

    (void)state;
    a = app_spec_to_json(copy);
    app_spec_free(copy);
    assert_null(json_object_get(a, "namespace")); /* defaults are left out */
    assert_null(json_object_get(a, "treekill"));
    assert_true(json_is_false(json_object_get(a, "merge_logs")));
    back = app_spec_from_json(a, &e);
    if (!back)
        fail_msg("%s", e.msg);
    assert_string_equal(back->script, s->script);
    assert_string_equal(env_get(back->env, "RAW"), "\xfe\xff");
    assert_int_equal(strv_len(back->args), 2);
    assert_int_equal(back->stop_exit_codes.v[1], 143);
    assert_true(back->merge_logs_set);
    assert_int_equal(back->kill_timeout, 5);
    b = app_spec_to_json(back);
    assert_true(json_equal(a, b));
    json_object_del(a, "exec_interpreter");
    app_spec_free(back);
    back = app_spec_from_json(a, &e);
    assert_string_equal(back->interpreter, "none");
    json_decref(a);
    json_decref(b);
    app_spec_free(back);
    app_spec_free(s);
}

/* The good app with one key replaced (null text: removed) must be refused with this message. */
static void refuse(const char *key, const char *value, const char *part)
{
    struct app_spec *s = full_spec(), *bad;
    json_t *j = app_spec_to_json(s);
    struct err e = {0};

    if (value)
        json_object_set_new(j, key, json_loads(value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
    else
        json_object_del(j, key);
    bad = app_spec_from_json(j, &e);
    assert_null(bad);
    if (!strstr(e.msg, part))
        fail_msg("%s: expected %s, got %s", key, part, e.msg);
    json_decref(j);
    app_spec_free(s);
}

static void test_wire_refuses(void **state)
{
    json_t *list = json_array();
    struct err e;

    (void)state;
    refuse("name", NULL, "name: is missing");
    refuse("name", "null", "name: is missing");
    refuse("name", "\"\"", "name: must not be empty");
    refuse("name", "\"a\\nb\"", "control characters");
    refuse("name", "\"a\\u0000b\"", "expected a string");
    refuse("name", "\"..\"", "must not be");
    refuse("name", "5", "expected a string");
    refuse("name", "{\"base64\":\"/w==\"}", "not valid UTF-8");
    refuse("name", "{\"base64\":\"/w=\"}", "expected a string");
    refuse("script", NULL, "script: is missing");
    refuse("script", "\"api.js\"", "absolute");
    refuse("script", "\"\"", "must not be empty");
    refuse("cwd", "\"..\"", "absolute");
    refuse("namespace", "null", "is missing");
    refuse("exec_mode", "\"thread\"", "expected \"fork\" or \"cluster\"");
    refuse("instances", "-5000", "at least -4096");
    refuse("instances", "100000", "at most");
    refuse("instances", "1.5", "whole number");
    refuse("min_uptime", "99", "at least 100 ms");
    refuse("kill_timeout", "\"1s\"", "whole number");
    refuse("kill_timeout", "-1", "at least 0");
    refuse("stop_signal", "65", "at most 64");
    refuse("autorestart", "1", "true or false");
    refuse("args", "\"x\"", "list of strings");
    refuse("args", "[1]", "entry 1");
    refuse("args", "[\"a\\u0000\"]", "entry 1");
    refuse("stop_exit_codes", "[256]", "0 to 255");
    refuse("env", "[]", "object");
    refuse("env", "{\"A=B\":\"1\"}", "must not contain \"=\"");
    refuse("env", "{\"\":\"1\"}", "must not be empty");
    refuse("env", "{\"A\":null}", "not a string");
    refuse("env", "{\"A\":\"x\\u0000\"}", "not a string");
    refuse("out_file", "\"logs/x\"", "absolute");
    refuse("instance_var", "\"A=B\"", "must not contain");
    refuse("port", "80", "config files only");
    refuse("force", "true", "config files only");
    refuse("filter_env", "true", "list of strings");
    refuse("increment_var", "\"\"", "must not be empty");
    refuse("interpreter", "\"node\"", "unknown key");
    refuse("nonsense", "1", "unknown key");
    assert_null(app_spec_from_json(list, &e));
    assert_null(app_spec_from_json(NULL, &e));
    json_decref(list);
}

static void test_set_text(void **state)
{
    struct app_spec *s = app_spec_new();
    struct err e;

    (void)state;
    assert_int_equal(option_set_text(option_find("kill_timeout"), s, "2s", &e), 0);
    assert_int_equal(s->kill_timeout, 2000);
    assert_int_equal(option_set_text(option_find("stop_exit_codes"), s, "0, 3", &e), 0);
    assert_int_equal(s->stop_exit_codes.n, 2);
    assert_int_equal(option_set_text(option_find("node_args"), s, "--a 'b c'", &e), 0);
    assert_string_equal(s->interpreter_args[1], "b c");
    assert_int_equal(option_set_text(option_find("merge_logs"), s, "true", &e), 0);
    assert_true(s->merge_logs && s->merge_logs_set);
    assert_int_equal(option_set_text(option_find("instances"), s, "max", &e), 0);
    assert_int_equal(s->instances, 0);
    assert_int_equal(option_set_text(option_find("exec_mode"), s, "cluster_mode", &e), 0);
    assert_string_equal(s->exec_mode, "cluster");
    assert_int_equal(option_set_text(option_find("out_file"), s, "NULL", &e), 0);
    assert_string_equal(s->out_file, "/dev/null");
    assert_true(option_set_text(option_find("kill_timeout"), s, "soon", &e) < 0);
    assert_non_null(strstr(e.msg, "found \"soon\""));
    assert_true(option_set_text(option_find("env"), s, "A=1", &e) < 0);
    app_spec_free(s);
}

static void test_groups(void **state)
{
    struct app_spec *s = app_spec_new(), *copy;
    const struct option_group *g = option_find("logRotate")->group;
    json_t *j, *group;
    struct err e;

    (void)state;
    assert_int_equal(s->log_rotate.retain, 30);
    assert_string_equal(s->log_rotate.compress, "none");
    assert_false(s->log_rotate.given);
    assert_string_equal(option_group_suggest(g, "maxsize"), "max_size");
    assert_null(option_group_suggest(g, "kill_timeout"));
    j = app_spec_to_json(s);
    assert_null(json_object_get(j, "log_rotate"));
    json_decref(j);

    assert_int_equal(option_set_text(option_find("log_rate_limit"), s, "1000", &e), 0);
    assert_int_equal(s->log_rate_limit.lines, 1000);
    assert_int_equal(option_set_text(option_find("log_rotate"), s, "10M", &e), 0);
    assert_true(s->log_rotate.given);
    assert_true(option_set_text(option_find("log_rotate"), s, "daily", &e) < 0);
    assert_non_null(strstr(e.msg, "expected a mapping of max_size, interval"));
    assert_int_equal(option_set_text(option_group_find(g, "retain"), &s->log_rotate, "all", &e), 0);
    assert_int_equal(s->log_rotate.retain, LOG_RETAIN_ALL);
    assert_int_equal(option_set_text(option_group_find(g, "interval"), &s->log_rotate, "0 0 * * *", &e), 0);

    /* A policy that is given is told, also where it has only defaults. */
    copy = app_spec_dup(s);
    app_spec_free(s);
    assert_string_equal(copy->log_rotate.interval, "0 0 * * *");
    j = app_spec_to_json(copy);
    group = json_object_get(j, "log_rotate");
    assert_int_equal(json_object_size(group), 2);
    assert_int_equal(json_integer_value(json_object_get(group, "retain")), LOG_RETAIN_ALL);
    assert_int_equal(json_object_size(json_object_get(j, "log_rate_limit")), 1);
    json_object_set_new(j, "name", json_string("a"));
    json_object_set_new(j, "script", json_string("/bin/true"));
    json_object_set_new(j, "cwd", json_string("/"));
    s = app_spec_from_json(j, &e);
    assert_non_null(s);
    assert_true(s->log_rotate.given);
    assert_int_equal(s->log_rate_limit.lines, 1000);
    app_spec_free(s);

    json_object_set_new(group, "retain", json_integer(-1));
    assert_null(app_spec_from_json(j, &e));
    assert_string_equal(e.msg, "log_rotate: retain: must be at least 0");
    json_object_del(group, "retain");
    json_object_set_new(group, "nonsense", json_integer(1));
    assert_null(app_spec_from_json(j, &e));
    assert_string_equal(e.msg, "log_rotate: unknown key \"nonsense\"");
    json_decref(j);
    app_spec_free(copy);
}

/* Some keys over a known app: what is not named stays, also a default counts, and nothing wrong comes in. */
static void test_keys_over_a_spec(void **state)
{
    struct app_spec *base = app_spec_new(), *s;
    json_t *set = json_pack("{s:i,s:s,s:[s]}", "max_restarts", 16, "name", "b", "args", "x");
    json_t *bad = json_pack("{s:i}", "kill_timeout", -1), *one;
    struct err e;

    (void)state;
    base->name = xstrdup("a");
    base->script = xstrdup("/bin/true");
    base->cwd = xstrdup("/");
    base->max_restarts = 3;
    base->kill_timeout = 5000;
    s = app_spec_with_json(base, set, &e);
    assert_non_null(s);
    assert_string_equal(s->name, "b");
    assert_string_equal(s->args[0], "x");
    assert_int_equal(s->max_restarts, 16);
    assert_int_equal(s->kill_timeout, 5000);
    assert_string_equal(base->name, "a");
    one = app_spec_key_to_json(s, option_by_name("max_restarts")); /* though it is the default */
    assert_int_equal(json_integer_value(one), 16);
    json_decref(one);
    assert_null(app_spec_with_json(base, bad, &e));
    assert_non_null(strstr(e.msg, "kill_timeout"));
    app_spec_free(s);
    app_spec_free(base);
    json_decref(set);
    json_decref(bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_sound),
        cmocka_unit_test(test_foreign_keys),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_suggestions),
        cmocka_unit_test(test_wire),
        cmocka_unit_test(test_wire_refuses),
        cmocka_unit_test(test_set_text),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_keys_over_a_spec),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
