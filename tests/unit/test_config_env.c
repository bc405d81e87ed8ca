/* Lists of variables, and which of their values are not shown. */
#include "unit.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/env.h"
#include "config/spec.h"

static void test_secrets(void **state)
{
    (void)state;
    assert_true(env_name_is_secret("API_KEY"));
    assert_true(env_name_is_secret("github_token"));
    assert_true(env_name_is_secret("DB_PASSWORD"));
    assert_true(env_name_is_secret("MYSQL_PWD"));
    assert_true(env_name_is_secret("AWS_SECRET_ACCESS_KEY"));
    assert_true(env_name_is_secret("DATABASE_URL"));
    assert_false(env_name_is_secret("PWD"));
    assert_false(env_name_is_secret("PATH"));
    assert_false(env_name_is_secret("NODE_ENV"));
    assert_false(env_name_is_secret("PORT"));
    assert_false(env_name_is_secret("SSH_AUTH_SOCK"));

    static const char *const secret[] = {
        "apiKey",    "apiKeyId",     "SSHKEYS", "KEY2",           "HTTP_AUTHORIZATION",
        "key",       "REDIS_PASS",   "GPG_KEY", "SESSION_COOKIE", "PASSPHRASE",
        "GH_TOKENS", "NPM_TOKEN_RO", "_KEY_",   "TLS_KEY_FILE"};
    static const char *const plain[] = {"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS",
                                        "PIP_CERT",      "SSL_CERT_DIR",
                                        "KEYBOARD",      "KEYMAP",
                                        "XAUTHORITY",    "GIT_AUTHOR_NAME",
                                        "AUTHOR",        "OLDPWD",
                                        "CALLBACK_URI",  "TOKENIZERS_PARALLELISM",
                                        "PASSENGER_ENV", "HOME",
                                        "LS_COLORS"};

    for (size_t i = 0; i < ARRAY_LEN(secret); i++)
        assert_true(env_name_is_secret(secret[i]));
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        assert_false(env_name_is_secret(plain[i]));
}

static void check_mask(const char *value, const char *want)
{
    char *masked = env_mask("BACKEND", value);

    if (want)
        assert_string_equal(masked, want);
    else
        assert_null(masked);
    free(masked);
}

static void test_masks(void **state)
{
    char *masked = env_mask("A_TOKEN", "x");

    (void)state;
    assert_string_equal(masked, "********");
    free(masked);
    check_mask("postgres://shop:geheim@db:5432/shop?x=1", "postgres://shop:********@db:5432/shop?x=1");
    check_mask("redis://:geheim@r", "redis://:********@r");
    check_mask("mongodb://u:p@a:1,b:2/x http://v:q@c", "mongodb://u:********@a:1,b:2/x http://v:********@c");
    check_mask("amqp://u:p@ss@h/x", "amqp://u:********@h/x");
    check_mask("amqp://u:p/ss@h/x", "amqp://u:********@h/x");
    check_mask("{\"url\":\"http://u:p@h\"}", "{\"url\":\"http://u:********@h\"}");
    check_mask("http://u@h/x", NULL);
    check_mask("http://u:@h", NULL);
    check_mask("http://h:8080/a@b", NULL);
    check_mask("http://h/a:b@c", NULL);
    check_mask("://", NULL);
    check_mask("http://a:b", NULL);
    check_mask("", NULL);
}

static void test_env(void **state)
{
    char **env = NULL;
    static char *const callers[] = {
        "A=1", "NODE_CHANNEL_FD=3", "LISTEN_FDS=1", "PM_RUN_ID=x.1", "LISTEN_FDSX=1", "=odd", "odd", NULL};
    struct err e;
    static const char file[] =
        "# c\n\nexport A=1 # note\nB = \"two\\nlines\"\nC='a\\b#c'\nD=\nE=x#y\r\nF=last";

    (void)state;
    env_set(&env, "A", "1");
    env_set(&env, "AB", "2");
    env_set(&env, "A", "3");
    assert_string_equal(env_get(env, "A"), "3");
    assert_string_equal(env_get(env, "AB"), "2");
    assert_null(env_get(env, "B"));
    env_unset(env, "A");
    assert_null(env_get(env, "A"));
    assert_int_equal(strv_len(env), 1);
    strv_free(env);
    assert_null(env_get(NULL, "A"));

    env = env_inherit(callers);
    assert_int_equal(strv_len(env), 2);
    assert_string_equal(env_get(env, "LISTEN_FDSX"), "1");
    strv_free(env);

    env = NULL;
    assert_int_equal(env_apply_file_text(&env, file, strlen(file), &e), 0);
    assert_string_equal(env_get(env, "A"), "1");
    assert_string_equal(env_get(env, "B"), "two\nlines");
    assert_string_equal(env_get(env, "C"), "a\\b#c");
    assert_string_equal(env_get(env, "D"), "");
    assert_string_equal(env_get(env, "E"), "x#y");
    assert_string_equal(env_get(env, "F"), "last");
    assert_int_equal(env_apply_file_text(&env,
                                         "\xef\xbb\xbf"
                                         "BOM=1\r\n",
                                         10, &e),
                     0);
    assert_string_equal(env_get(env, "BOM"), "1");
    assert_true(env_apply_file_text(&env, "A B=1\n", 6, &e) < 0);
    assert_non_null(strstr(e.msg, "line 1: the name \"A B\" has a blank in it"));
    assert_true(env_apply_file_text(&env, "A=1\nnonsense\n", 13, &e) < 0);
    assert_string_equal(e.msg, "line 2: expected NAME=value, all of it in one line");
    assert_true(env_apply_file_text(&env, "A=\"x\n", 5, &e) < 0);
    strv_free(env);
}

static void test_env_json(void **state)
{
    static char *const base[] = {"A=1", "B=2", "C=3", NULL};
    char **env = strv_dup(base), **merged = strv_dup(base);
    json_t *diff;
    struct err e;

    (void)state;
    env_set(&env, "B", "\xff raw");
    env_unset(env, "C");
    env_set(&env, "D", "é");
    diff = env_diff_to_json(base, env);
    assert_int_equal(json_object_size(diff), 3);
    assert_int_equal(env_merge_json(&merged, diff, &e), 0);
    assert_string_equal(env_get(merged, "A"), "1");
    assert_string_equal(env_get(merged, "B"), "\xff raw");
    assert_null(env_get(merged, "C"));
    assert_string_equal(env_get(merged, "D"), "é");
    json_object_set_new(diff, "E", json_integer(1));
    assert_true(env_merge_json(&merged, diff, &e) < 0);
    json_decref(diff);
    strv_free(env);
    strv_free(merged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_env),
        cmocka_unit_test(test_env_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
