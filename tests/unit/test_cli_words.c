/* How runs ended in words, "why", "describe", help texts, and the packing of apps into requests. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "cli/appsend.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/help.h"
#include "cli/runwords.h"
#include "cli/text.h"
#include "cli/why.h"
#include "common/buf.h"
#include "common/mem.h"

#define NOW INT64_C(1760796202000)

static void test_endings(void **state)
{
    static const struct {
        const char *run, *words;
        bool bad;
    } cases[] = {
        {"{\"reason\":\"exit\",\"exit_code\":7}", "exited with code 7", true},
        {"{\"reason\":\"exit\",\"exit_code\":0}", "exited with code 0", false},
        {"{\"reason\":\"signal\",\"signal\":15}", "was killed by SIGTERM", true},
        {"{\"reason\":\"signal\",\"signal\":\"SIGKILL\"}",
         "was killed by SIGKILL (not by pm: perhaps the kernel, out of memory)", true},
        {"{\"reason\":\"signal\",\"signal\":\"SEGV\",\"core\":true}", "crashed: SIGSEGV, core dumped", true},
        {"{\"reason\":\"stopped\",\"signal\":2}", "was stopped on request (SIGINT)", false},
        {"{\"reason\":\"stopped\",\"signal\":9}",
         "was stopped on request (SIGKILL, it had not ended in time)", false},
        {"{\"reason\":\"restarted\",\"exit_code\":0}", "was stopped for a restart on request (exit code 0)",
         false},
        {"{\"reason\":\"exec-failed\",\"detail\":\"cannot exec /x: No such file or directory\"}",
         "could not be started: cannot exec /x: No such file or directory", true},
        {"{\"reason\":\"lost\"}", "ended while no daemon watched; how is not known", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *run = json_loads(cases[i].run, 0, NULL);
        struct buf b = {0};

        assert_non_null(run);
        runwords_ending(&b, run);
        assert_string_equal(b.data, cases[i].words);
        assert_int_equal(runwords_is_bad(run), cases[i].bad);
        json_decref(run);
        buf_free(&b);
    }
}

static void test_why(void **state)
{
    json_t *r = json_loads(
        "{\"id\":0,\"name\":\"api\",\"instance\":0,\"status\":\"errored\",\"reason_text\":\"16 unstable "
        "runs\","
        "\"runs\":[{\"run\":12,\"pid\":4242,\"started_at\":1760796021960,\"ended_at\":1760796022000,"
        "\"uptime\":40,\"exit_code\":7,\"core\":false,\"reason\":\"exit\",\"by\":\"pm start api\","
        "\"max_rss\":35651584,\"cpu_time\":120,\"stderr\":[\"Error: \\u001b[2Jport in use\"]}]}",
        0, NULL);
    const struct out o = {.charset = OUT_UTF8};
    struct buf b = {0};

    (void)state;
    assert_non_null(r);
    setenv("TZ", "UTC", 1);
    why_render(&o, r, NOW, &b);
    assert_string_equal(b.data,
                        "api (id 0)  errored\n"
                        "  16 unstable runs\n"
                        "\n"
                        "  2025-10-18 14:00:22  3 min ago   exited with code 7, after 40 ms\n"
                        "      run 12, pid 4242, asked for by \"pm start api\", memory at most 34.0mb, CPU "
                        "time 120 ms\n"
                        "      │ Error: ^[[2Jport in use\n");
    json_decref(r);
    buf_free(&b);
}

static void test_describe(void **state)
{
    char *mine[] = {"SAME=1", "OTHER=2", NULL};
    json_t *r = json_loads(
        "{\"pid\":12,\"name\":\"api\",\"pm_id\":4,\"monit\":{\"memory\":2048,\"cpu\":1.5},"
        "\"pm\":{\"reason_text\":\"\"},\"pm2_env\":{\"status\":\"online\",\"args\":[\"--port\",\"80\"],"
        "\"kill_timeout\":1600,\"autorestart\":true,\"env\":{\"SAME\":\"1\",\"OTHER\":\"3\",\"API_KEY\":\"***"
        "*****\"}}}",
        0, NULL);
    const struct out o = {.charset = OUT_UTF8};
    struct buf b = {0};

    (void)state;
    assert_non_null(r);
    describe_render(&(struct describe){.out = &o, .environ_ = mine, .now = NOW}, r, &b);
    assert_non_null(strstr(b.data, "api (id 4)\n"));
    assert_non_null(strstr(b.data, "  arguments             --port 80\n"));
    assert_non_null(strstr(b.data, "  kill timeout          1.6 s\n"));
    assert_non_null(strstr(b.data, "  autorestart           yes\n"));
    assert_non_null(strstr(b.data, "  memory                2.0kb\n"));
    assert_non_null(strstr(b.data, "  API_KEY               ********\n"));
    assert_non_null(strstr(b.data, "  OTHER                 3\n"));
    assert_null(strstr(b.data, "SAME"));
    assert_null(strstr(b.data, "reason"));
    json_decref(r);
    buf_free(&b);
}

/* What says nothing is left out; how it ended stands before what it is; on a terminal nothing runs over. */
static void test_describe_short(void **state)
{
    char *mine[] = {"API_KEY=mine", NULL};
    json_t *r = json_loads(
        "{\"pid\":0,\"name\":\"api\",\"pm_id\":4,\"monit\":{\"memory\":0,\"cpu\":0},\"pm\":{\"reason_text\":"
        "\"2 unstable runs in a row; the last: exited with code 7 after 11 ms\",\"stop_signal\":2,"
        "\"disable_logs\":false,\"dropped_lines\":0},\"pm2_env\":{\"status\":\"errored\",\"exec_mode\":"
        "\"fork_mode\","
        "\"version\":\"N/A\",\"treekill\":true,\"restart_delay\":0,\"wait_ready\":false,\"restart_time\":0,"
        "\"pm_cwd\":\"/"
        "srv\",\"env\":{\"API_KEY\":\"********\",\"LONG\":\"0123456789012345678901234567890123456789\"}}}",
        0, NULL);
    json_t *runs = json_pack("[{s:I,s:I,s:i,s:i,s:s}]", "started_at", (json_int_t)NOW - 60011, "ended_at",
                             (json_int_t)NOW - 60000, "uptime", 11, "exit_code", 7, "reason", "exit");
    const struct out o = {.charset = OUT_UTF8, .width = 60, .tty = true};
    struct buf b = {0};

    (void)state;
    assert_non_null(r);
    setenv("TZ", "UTC", 1);
    describe_render(&(struct describe){.out = &o, .environ_ = mine, .now = NOW, .runs = runs}, r, &b);
    assert_string_equal(b.data, "api (id 4)\n"
                                "\nProcess\n"
                                "  status                errored\n"
                                "  reason                2 unstable runs in a row; the last:\n"
                                "                        exited with code 7 after 11 ms\n"
                                "  restarts              0\n"
                                "  mode                  fork\n"
                                "\nLast runs\n"
                                "  2025-10-18 14:02:22  1 min ago\n"
                                "      exited with code 7, after 11 ms\n"
                                "\nCommand\n"
                                "  folder                /srv\n"
                                "\nRules\n"
                                "  stop signal           SIGINT\n"
                                "\nEnvironment (what differs from this shell's)\n"
                                "  LONG                  01234567890123456789012345678901234…\n"
                                "  also set, masked: API_KEY\n");
    json_decref(runs);
    json_decref(r);
    buf_free(&b);
}

static void test_wrap(void **state)
{
    struct buf b = {0};

    (void)state;
    help_wrap(&b, "one two three\nfour\n\nfive", 2, 2, 10);
    assert_string_equal(b.data, "one two\n  three\n  four\n\n  five\n");
    buf_free(&b);
}

static void test_chunks(void **state)
{
    json_t *all = json_pack("[{s:s},{s:s},{s:s}]", "a", "0123456789", "b", "0123456789", "c", "0123456789");
    size_t too_large;
    json_t *chunk = appsend_chunk(all, 40, &too_large);

    (void)state;
    assert_int_equal(json_array_size(chunk), 2);
    json_decref(chunk);
    chunk = appsend_chunk(all, 10, &too_large);
    assert_null(chunk);
    assert_true(too_large > 10);
    chunk = appsend_chunk(all, 40, &too_large);
    assert_int_equal(json_array_size(chunk), 1);
    json_decref(chunk);
    assert_null(appsend_chunk(all, 40, &too_large));
    assert_int_equal(too_large, 0);
    json_decref(all);
}

static struct app_spec *app_with_env(const char *name, const char *const *env)
{
    struct app_spec *s = app_spec_new();

    s->name = xstrdup(name);
    for (; *env; env++)
        strv_push(&s->env, xstrdup(*env));
    return s;
}

static void test_base_environment(void **state)
{
    const char *one[] = {"PATH=/bin", "HOME=/root", "X=1", NULL}, *two[] = {"PATH=/bin", "HOME=/srv", NULL};
    struct app_spec *specs[] = {app_with_env("a", one), app_with_env("b", two)};
    struct app_list apps = {.v = specs, .n = 2};
    json_t *base, *all = appsend_pack(&apps, &base), *env;

    (void)state;
    assert_int_equal(json_object_size(base), 1); /* X, which the second has not, must not come to it */
    assert_string_equal(json_string_value(json_object_get(base, "PATH")), "/bin");
    env = json_object_get(json_array_get(all, 0), "env");
    assert_int_equal(json_object_size(env), 2);
    assert_string_equal(json_string_value(json_object_get(env, "X")), "1");
    env = json_object_get(json_array_get(all, 1), "env");
    assert_int_equal(json_object_size(env), 1);
    assert_string_equal(json_string_value(json_object_get(env, "HOME")), "/srv");
    json_decref(all);
    json_decref(base);
    app_spec_free(specs[0]);
    app_spec_free(specs[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endings),          cmocka_unit_test(test_why),  cmocka_unit_test(test_describe),
        cmocka_unit_test(test_describe_short),   cmocka_unit_test(test_wrap), cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_base_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
