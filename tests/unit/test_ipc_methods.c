#include "unit.h"

#include <string.h>

#include "common/err.h"
#include "ipc/methods.h"

static void table_is_whole(void **state)
{
    (void)state;
    for (int i = 0; i < METHOD_COUNT; i++) {
        const struct method *m = &methods[i];

        assert_non_null(m->name);
        assert_non_null(m->help);
        assert_int_equal(method_find(m->name), i); /* also: no name comes twice */
        for (int k = 0; k < METHOD_PARAMS_MAX && m->params[k].name; k++)
            if (m->params[k].type == PARAM_INT)
                assert_true(m->params[k].min < m->params[k].max);
    }
    assert_int_equal(method_find("hello"), M_HELLO);
    assert_int_equal(method_find("nothing"), -1);
    assert_int_equal(method_find(""), -1);
}

static void check(enum method_id id, const char *params, const char *complaint)
{
    json_t *j = params ? json_loads(params, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    struct err e = {0};
    int rc = method_check(&methods[id], j, &e);

    if (complaint) {
        assert_int_equal(rc, RPC_BAD_PARAMS);
        assert_non_null(strstr(e.msg, complaint));
    } else {
        assert_int_equal(rc, 0);
    }
    json_decref(j);
}

static void params_are_checked(void **state)
{
    (void)state;
    check(M_PING, NULL, NULL);
    check(M_PING, "{}", NULL);
    check(M_PING, "[]", "must be an object");
    check(M_PING, "7", "must be an object");
    check(M_PING, "{\"x\":1}", "unknown parameter \"x\"");
    check(M_HELLO, "{}", "missing");
    check(M_HELLO, "{\"protocol\":\"1\",\"version\":\"1\"}", "\"protocol\" must be an integer");
    check(M_HELLO, "{\"protocol\":-1,\"version\":\"1\"}", "from 0");
    check(M_HELLO, "{\"protocol\":1,\"version\":\"1\",\"by\":null}", "\"by\" must be a string");
    check(M_HELLO, "{\"protocol\":1,\"version\":\"1\",\"by\":\"me\"}", NULL);
    check(M_PROCESS_STOP, "{\"selectors\":\"all\"}", "array of strings");
    check(M_PROCESS_STOP, "{\"selectors\":[\"a\",1]}", "array of strings");
    check(M_PROCESS_STOP, "{\"selectors\":[]}", NULL);
    check(M_PROCESS_SEND, "{\"selector\":\"a\\u0000b\",\"text\":\"x\"}", "\"selector\" holds a NUL byte");
    check(M_START, "{\"apps\":[{\"env\":{\"A\":[\"\\u0000\"]}}]}", "NUL");
    check(M_START, "{\"apps\":[{}],\"wait\":1}", "true or false");
    check(M_START, "{\"apps\":[[]]}", "array of objects");
    check(M_START, "{\"apps\":[{}],\"wait\":false}", NULL);
    check(M_ENV_SET, "{\"env\":[]}", "an object");
    check(M_WHY, "{\"selectors\":[],\"runs\":101}", "from 1 to 100");
    check(M_WHY, "{\"selectors\":[],\"runs\":99999999999999999}", "from 1 to 100");
}

static void long_names_are_cut(void **state)
{
    char text[5000];
    json_t *j = json_object();
    struct err e = {0};

    (void)state;
    memset(text, 'k', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    json_object_set_new(j, text, json_null());
    assert_int_equal(method_check(&methods[M_PING], j, &e), RPC_BAD_PARAMS);
    assert_true(strlen(e.msg) < 200);
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_whole),
        cmocka_unit_test(params_are_checked),
        cmocka_unit_test(long_names_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
