/* Configs in JavaScript, evaluated by the real node; and configs whose language is told by the content. */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/mem.h"
#include "config/config.h"
#include "config/js_eval.h"
#include "config/tree.h"

static char *environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin",
                              "HOME=/root",
                              "STAGE=blue",
                              "NODE_CHANNEL_FD=3",
                              "A_TOKEN=secret",
                              NULL};
static char *no_node[] = {"PATH=/nowhere", NULL};

static char folder[] = "/tmp/pm-js-XXXXXX";

static void put(const char *name, const char *text)
{
    char *path = fs_join(folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
    close(fd);
    free(path);
}

static void drop(const char *name)
{
    char *path = fs_join(folder, name);

    remove(path);
    free(path);
}

/* Writes the file, loads it by its relative name from the folder above, and removes it. */
static struct app_list load(const char *name, const char *text)
{
    struct config_ctx ctx = {.cwd = "/tmp", .environ = environment};
    struct config_report report = {0};
    struct app_list apps;
    char *path = fs_join(folder + strlen("/tmp/"), name);

    put(name, text);
    if (config_load_file(&ctx, path, &apps, &report) < 0)
        fail_msg("%s", report.errors.data);
    assert_null(report.warnings.data);
    config_report_free(&report);
    drop(name);
    free(path);
    return apps;
}

static void test_languages(void **state)
{
    static const struct {
        const char *name, *text;
    } files[] = {
        {"ecosystem.config.js", "module.exports = { apps: [{ name: 'a', script: '/bin/sh' }] };\n"},
        {"pm.config.cjs", "exports.apps = [{ name: 'a', script: '/bin/sh' }];\n"},
        {"pm.config.mjs", "export default { apps: [{ name: 'a', script: '/bin/sh' }] };\n"},
        {"named.config.mjs", "export const apps = [{ name: 'a', script: '/bin/sh' }];\n"},
        {"list.config.mjs", "export default [{ name: 'a', script: '/bin/sh' }];\n"},
        {"wait.config.mjs", "const name = await Promise.resolve('a');\nexport default { name, script: "
                            "'/bin/sh' };\n"},
        {"promise.config.js", "module.exports = Promise.resolve({ name: 'a', script: '/bin/sh' });\n"},
        {"ts.config.js",
         "exports.__esModule = true;\nexports.default = { apps: [{ name: 'a', script: '/bin/sh' }] };\n"},
        {"keys.json", "// as JavaScript\n{apps: [{name: 'a', script: `/bin/${'sh'}`}]}\n"},
        {"module.json", "module.exports = { apps: [{ name: 'a', script: '/bin/sh' }] };\n"},
        {"noise.config.js", "process.stdout.write('');\nsetInterval(() => 0, 1000);\n"
                            "module.exports = { apps: [{ name: 'a', script: '/bin/sh' }] };\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct app_list apps = load(files[i].name, files[i].text);

        assert_int_equal(apps.n, 1);
        assert_string_equal(apps.v[0]->name, "a");
        assert_string_equal(apps.v[0]->script, "/bin/sh");
        assert_string_equal(apps.v[0]->cwd, folder);
        app_list_free(&apps);
    }
}

/* The working folder, the caller's environment, other files; values as JSON has them. */
static void test_surroundings(void **state)
{
    struct app_list apps;
    const struct app_spec *s;

    (void)state;
    put("ports.js", "exports.http = 3000;\n");
    apps = load("e.config.js", "const ports = require('./ports');\n"
                               "module.exports = { apps: [{\n"
                               "  name: 'web-' + process.env.STAGE, script: 'sh',\n"
                               "  env: { PORT: ports.http + 1, CWD: process.cwd(), DIR: __dirname, GONE: "
                               "undefined,\n"
                               "         CHANNEL: String(process.env.NODE_CHANNEL_FD), RE: /a b/g,\n"
                               "         BIG: 2n ** 60n, LIST: [1, { b: null }], RAW: '${STAGE} $$' },\n"
                               "  kill_timeout: 2 * 1000, instances: '2', autorestart: !process.env.NOPE,\n"
                               "  helper() {} }] };\n");
    s = apps.v[0];
    assert_string_equal(s->name, "web-blue");
    assert_string_equal(env_get(s->env, "PORT"), "3001");
    assert_string_equal(env_get(s->env, "CWD"), folder);
    assert_string_equal(env_get(s->env, "DIR"), folder);
    assert_string_equal(env_get(s->env, "CHANNEL"), "undefined");
    assert_string_equal(env_get(s->env, "RE"), "/a b/g");
    assert_string_equal(env_get(s->env, "BIG"), "1152921504606846976");
    assert_string_equal(env_get(s->env, "LIST"), "[1,{\"b\":null}]");
    assert_string_equal(env_get(s->env, "RAW"), "${STAGE} $$");
    assert_null(env_get(s->env, "GONE"));
    assert_int_equal(s->kill_timeout, 2000);
    assert_int_equal(s->instances, 2);
    assert_true(s->autorestart);
    app_list_free(&apps);
    drop("ports.js");
}

/* Through the pipe in many pieces. */
static void test_large(void **state)
{
    struct app_list apps = load("l.config.js", "module.exports = { apps: [{ name: 'a', script: '/bin/sh',\n"
                                               "  env: { LONG: 'x'.repeat(8 << 20) } }] };\n");

    (void)state;
    assert_int_equal(strlen(env_get(apps.v[0]->env, "LONG")), 8 << 20);
    app_list_free(&apps);
}

static void check_outcome(struct js_input *in, enum js_outcome want, const char *msg)
{
    struct js_result result;

    assert_int_equal(js_eval(in, &result), want);
    if (!result.msg || !strstr(result.msg, msg))
        fail_msg("%s", result.msg);
    js_result_deinit(&result);
}

static void test_limits(void **state)
{
    static const char endless[] = "for (;;);", wide[] = "'x'.repeat(17 << 20)", fine[] = "[]";
    struct js_input in = {.path = "/tmp/x.json", .folder = "/tmp", .environ = environment};

    (void)state;
    in.text = endless;
    in.len = strlen(endless);
    in.limit_ms = 400;
    check_outcome(&in, JS_TROUBLE, "node has not finished this config after 0.4 s");
    in.limit_ms = 0;
    in.text = wide;
    in.len = strlen(wide);
    check_outcome(&in, JS_TROUBLE, "larger than 16 MiB");
    in.text = fine;
    in.len = strlen(fine);
    in.environ = no_node;
    check_outcome(&in, JS_TROUBLE, "node is not installed (it is not on PATH)");
}

/* JSON with a mistake keeps its own message where nobody can try it as JavaScript. */
static void test_without_node(void **state)
{
    struct config_ctx ctx = {.cwd = folder, .environ = no_node};
    struct config_report report = {0};
    struct app_list apps;

    (void)state;
    assert_int_equal(config_load_text(&ctx, "f", "{apps: []}", 10, CONFIG_JSON, &apps, &report), -22);
    assert_string_equal(report.errors.data,
                        "f: it is not JSON, and trying it as JavaScript failed: node is not installed (it is "
                        "not on PATH), and a config in JavaScript needs it; YAML and JSON do not\n"
                        "f:1:2: JSON: expected a key in double quotes\n");
    config_report_free(&report);
    put("e.config.js", "module.exports = [];\n");
    assert_int_equal(config_load_file(&ctx, "e.config.js", &apps, &report), -22);
    assert_string_equal(report.errors.data,
                        "e.config.js: node is not installed (it is not on PATH), and a config in JavaScript "
                        "needs it; YAML and JSON do not\n");
    config_report_free(&report);
    drop("e.config.js");
}

/* Whatever comes on stdin, of any size and in any pieces. */
static struct app_list load_piped(const char *text, size_t len, const char *want_error)
{
    struct config_ctx ctx = {.cwd = folder, .environ = environment};
    struct config_report report = {0};
    struct app_list apps;
    int ends[2], r;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        _exit(fs_write_all(ends[1], text, len) < 0);
    }
    close(ends[1]);
    r = config_load_fd(&ctx, "stdin", ends[0], &apps, &report);
    close(ends[0]);
    waitpid(pid, NULL, 0);
    if (r < 0 && !want_error)
        fail_msg("%s", report.errors.data);
    if (want_error)
        assert_string_equal(report.errors.data, want_error);
    config_report_free(&report);
    return apps;
}

static void test_stdin_languages(void **state)
{
    static const char *const texts[] = {
        "apps:\n  - name: a\n    script: /bin/sh\n",
        "# YAML\n- {name: a, script: /bin/sh}\n",
        "--- \nname: a\nscript: /bin/sh\n",
        "{\"apps\": [{\"name\": \"a\", \"script\": \"/bin/sh\"}]}",
        "\n  // JSON\n[{\"name\": \"a\", \"script\": \"/bin/sh\",},]",
        "{apps: [{name: 'a', script: '/bin/' + 'sh'}]}",
        "{name: a, script: /bin/sh}\n",
        "const name = 'a';\nmodule.exports = { name, script: '/bin/sh' };\n",
        "// a module\nmodule.exports = [{ name: 'a', script: '/bin/sh' }];\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct app_list apps = load_piped(texts[i], strlen(texts[i]), NULL);

        assert_int_equal(apps.n, 1);
        assert_string_equal(apps.v[0]->name, "a");
        assert_string_equal(apps.v[0]->script, "/bin/sh");
        app_list_free(&apps);
    }
}

static void test_stdin_errors(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "stdin:1:1: the config is empty\n"},
        {"[{\"script\": \"/bin/sh\",, }]", "stdin:1:23: JSON: expected a key in double quotes\n"},
        {"const a = b;\n", "stdin:1:11: ReferenceError: b is not defined\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        load_piped(cases[i].text, strlen(cases[i].text), cases[i].error);
}

static void test_stdin_large(void **state)
{
    struct buf text = {0};
    struct app_list apps;

    (void)state;
    buf_puts(&text, "apps:\n");
    for (int i = 0; i < 5000; i++)
        buf_printf(&text, "  - name: app-%d\n    script: /bin/sh\n    env: {PADDING: %0200d}\n", i, i);
    assert_true(text.len > 1 << 20);
    apps = load_piped(text.data, text.len, NULL);
    assert_int_equal(apps.n, 5000);
    assert_string_equal(apps.v[4999]->name, "app-4999");
    app_list_free(&apps);
    buf_free(&text);
    buf_reserve(&text, TREE_INPUT_MAX + 1);
    memset(text.data, ' ', TREE_INPUT_MAX + 1);
    apps = load_piped(text.data, TREE_INPUT_MAX + 1, "stdin: larger than 16 MiB\n");
    buf_free(&text);
}

static int setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(folder); /* nothing may be left in it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_languages),    cmocka_unit_test(test_surroundings),
        cmocka_unit_test(test_large),        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_without_node), cmocka_unit_test(test_stdin_languages),
        cmocka_unit_test(test_stdin_errors), cmocka_unit_test(test_stdin_large),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
