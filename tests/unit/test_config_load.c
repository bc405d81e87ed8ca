/* Good configs: what apps come out of them, and which warnings. */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/mem.h"
#include "config/config.h"
#include "config/resolve.h"

static char *environment[] = {
    "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/root", "SHELL_VAR=shell", "GONE=1", "NOTIFY_SOCKET=/x", NULL};

struct loaded {
    struct app_list apps;
    struct config_report report;
};

static struct loaded load_in(const char *cwd, const char *env_name, const char *text, bool json)
{
    struct config_ctx ctx = {.cwd = cwd, .environ = environment, .env_name = env_name};
    struct loaded l = {0};

    if (config_load_text(&ctx, "f", text, strlen(text), json ? CONFIG_JSON : CONFIG_YAML, &l.apps,
                         &l.report) < 0)
        fail_msg("%s", l.report.errors.data);
    return l;
}

static struct loaded load(const char *text)
{
    return load_in("/", NULL, text, false);
}

static void loaded_deinit(struct loaded *l)
{
    app_list_free(&l->apps);
    config_report_free(&l->report);
}

static const char *warnings(const struct loaded *l)
{
    return l->report.warnings.data ? l->report.warnings.data : "";
}

static void test_shapes(void **state)
{
    static const char *const texts[] = {
        "apps:\n  - script: /bin/sh\n",
        "pm2:\n  - script: /bin/sh\n",
        "- script: /bin/sh\n",
        "script: /bin/sh\n",
        "apps:\n  cmd: /bin/sh\n",
        "{\"apps\": [{\"exec\": \"/bin/sh\"}]}",
        "base: &b {command: /bin/sh}\nx-note: 1\napps:\n  - <<: *b\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct loaded l = load(texts[i]);

        assert_int_equal(l.apps.n, 1);
        assert_string_equal(l.apps.v[0]->name, "sh");
        assert_string_equal(l.apps.v[0]->script, "/bin/sh");
        assert_string_equal(warnings(&l), "");
        loaded_deinit(&l);
    }
}

static void test_keys(void **state)
{
    struct loaded l = load("- name: 8080\n"
                           "  namespace: web\n"
                           "  script: /bin/sh\n"
                           "  args: -c 'exit 3' 7\n"
                           "  interpreterArgs: [--a, 1]\n"
                           "  instances: 3\n"
                           "  minUptime: 5s\n"
                           "  killTimeout: \"2000\"\n"
                           "  stop_signal: TERM\n"
                           "  stop_exit_codes: [0, '7']\n"
                           "  out: logs/out.log\n"
                           "  err: 'NULL'\n"
                           "  pid: run.pid\n"
                           "  combineLogs: true\n"
                           "  time: true\n"
                           "  log_date_format: HH:mm\n"
                           "  wait_ready: true\n");
    const struct app_spec *s = l.apps.v[0];

    (void)state;
    assert_string_equal(s->name, "8080");
    assert_string_equal(s->ns, "web");
    assert_int_equal(strv_len(s->args), 3);
    assert_string_equal(s->args[1], "exit 3");
    assert_string_equal(s->interpreter_args[1], "1");
    assert_int_equal(s->instances, 3);
    assert_int_equal(s->min_uptime, 5000);
    assert_int_equal(s->kill_timeout, 2000);
    assert_int_equal(s->stop_signal, SIGTERM);
    assert_int_equal(s->stop_exit_codes.v[1], 7);
    assert_string_equal(s->out_file, "/logs/out.log");
    assert_string_equal(s->error_file, "/dev/null");
    assert_string_equal(s->pid_file, "/run.pid");
    assert_true(s->merge_logs);
    assert_string_equal(s->log_date_format, "HH:mm");
    assert_true(s->wait_ready);
    loaded_deinit(&l);
}

static void test_instances(void **state)
{
    struct loaded l = load("- {script: /bin/sh, name: a}\n"
                           "- {script: /bin/sh, name: b, instances: max}\n"
                           "- {script: /bin/sh, name: c, instances: 0}\n"
                           "- {script: /bin/sh, name: d, instances: -4000}\n"
                           "- {script: /bin/sh, name: e, instances: \"2\"}\n"
                           "- {script: /bin/sh, name: f, instances: 1}\n");

    (void)state;
    assert_int_equal(l.apps.v[0]->instances, 1);
    assert_int_equal(l.apps.v[1]->instances, 0); /* the daemon counts its CPUs */
    assert_int_equal(l.apps.v[2]->instances, 0);
    assert_int_equal(l.apps.v[3]->instances, -4000);
    assert_int_equal(l.apps.v[4]->instances, 2);
    /* The files are shared only where the number of instances was left open. */
    assert_true(l.apps.v[0]->merge_logs);
    for (size_t i = 1; i < l.apps.n; i++)
        assert_false(l.apps.v[i]->merge_logs);
    loaded_deinit(&l);
}

static void test_environment(void **state)
{
    static const char text[] =
        "- script: /bin/sh\n"
        "  port: 3000\n"
        "  env: {A: 1, PORT: 80, LIST: [1, {b: \"x\"}], N: 007, T: True, GONE: null, HOME: /h}\n"
        "  env_production: {A: prod, P: ''}\n"
        "  env_test: {A: test, PORT: 5}\n";
    struct loaded l = load_in("/", NULL, text, false);
    char *const *env = l.apps.v[0]->env;

    (void)state;
    assert_string_equal(env_get(env, "A"), "1");
    assert_string_equal(env_get(env, "PORT"), "3000");
    assert_string_equal(env_get(env, "LIST"), "[1,{\"b\":\"x\"}]");
    assert_string_equal(env_get(env, "N"), "007");
    assert_string_equal(env_get(env, "T"), "True");
    assert_string_equal(env_get(env, "SHELL_VAR"), "shell");
    assert_string_equal(env_get(env, "HOME"), "/h");
    assert_null(env_get(env, "GONE"));
    assert_null(env_get(env, "NOTIFY_SOCKET"));
    assert_null(env_get(env, "P"));
    loaded_deinit(&l);

    l = load_in("/", "production", text, false);
    assert_string_equal(env_get(l.apps.v[0]->env, "A"), "prod");
    assert_string_equal(env_get(l.apps.v[0]->env, "P"), "");
    assert_string_equal(env_get(l.apps.v[0]->env, "PORT"), "3000");
    loaded_deinit(&l);

    l = load_in("/", "test", text, false);
    assert_string_equal(env_get(l.apps.v[0]->env, "PORT"), "5");
    loaded_deinit(&l);

    l = load_in("/", "staging", text, false);
    assert_string_equal(env_get(l.apps.v[0]->env, "A"), "1");
    assert_string_equal(warnings(&l), "f: no app has \"env_staging\", so --env staging changes nothing\n");
    loaded_deinit(&l);
}

/* In values of apps, whatever type they are of; nowhere else, and once. */
static void test_variables(void **state)
{
    static const char text[] =
        "deploy: {post: \"${NOWHERE}\"}\n"
        "x-base: &base {A: \"${SHELL_VAR}/a\", \"${KEY}\": k}\n"
        "apps:\n"
        "- script: /bin/sh\n"
        "  name: ${NAME:-web}-${SHELL_VAR}\n"
        "  x-note: ${NOWHERE}\n"
        "  args: -c 'echo $$HOME $HOME $${HOME} 5$'\n"
        "  max_restarts: ${LIMIT:-7}\n"
        "  autorestart: ${NOPE:-false}\n"
        "  kill_timeout: \"${NOPE:-2s}\"\n"
        "  stop_exit_codes: [\"${NOPE:-3}\"]\n"
        "  env: {<<: *base, EMPTY: \"${EMPTY}\", FILLED: \"${EMPTY:-x}\", NONE: \"${NOPE:-}\", TWICE: "
        "\"${DOLLARS}\"}\n"
        "  env_other: {B: \"${NOWHERE}\"}\n";
    char *vars[] = {"PATH=/bin", "SHELL_VAR=shell", "EMPTY=", "DOLLARS=${SHELL_VAR} $$", NULL};
    struct config_ctx ctx = {.cwd = "/", .environ = vars};
    struct loaded l = {0};
    const struct app_spec *s;

    (void)state;
    if (config_load_text(&ctx, "f", text, strlen(text), CONFIG_YAML, &l.apps, &l.report) < 0)
        fail_msg("%s", l.report.errors.data);
    s = l.apps.v[0];
    assert_string_equal(s->name, "web-shell");
    assert_string_equal(s->args[1], "echo $HOME $HOME ${HOME} 5$");
    assert_int_equal(s->max_restarts, 7);
    assert_false(s->autorestart);
    assert_int_equal(s->kill_timeout, 2000);
    assert_int_equal(s->stop_exit_codes.v[0], 3);
    assert_string_equal(env_get(s->env, "A"), "shell/a");
    assert_string_equal(env_get(s->env, "${KEY}"), "k");
    assert_string_equal(env_get(s->env, "EMPTY"), "");
    assert_string_equal(env_get(s->env, "FILLED"), "x");
    assert_string_equal(env_get(s->env, "NONE"), "");
    assert_string_equal(env_get(s->env, "TWICE"), "${SHELL_VAR} $$");
    loaded_deinit(&l);

    /* Once it is chosen, it must be complete. */
    ctx.env_name = "other";
    assert_int_equal(config_load_text(&ctx, "f", text, strlen(text), CONFIG_YAML, &l.apps, &l.report), -22);
    assert_non_null(strstr(l.report.errors.data, "f:13:18: B: the variable NOWHERE is not set"));
    config_report_free(&l.report);
}

static void test_filter_env(void **state)
{
    struct loaded l = load("- {script: /bin/sh, filter_env: [SHELL, ONE], env: {SHELL_X: 1}}\n"
                           "- {script: /bin/sh, filterEnv: 'HOME,GONE'}\n"
                           "- {script: node, args: ~/x, out_file: ~/o.log, filter_env: true, env: {A: 1}}\n"
                           "- {script: /bin/sh, filter_env: false}\n");
    char *const *env = l.apps.v[0]->env;

    (void)state;
    assert_string_equal(env_get(env, "SHELL_X"), "1");
    assert_string_equal(env_get(env, "HOME"), "/root");
    assert_null(env_get(env, "SHELL_VAR"));
    assert_null(env_get(env, "GONE"));
    env = l.apps.v[1]->env;
    assert_string_equal(env_get(env, "SHELL_VAR"), "shell");
    assert_null(env_get(env, "HOME"));
    assert_null(env_get(env, "GONE"));
    /* It is found by the caller's PATH and HOME, which it does not get. */
    env = l.apps.v[2]->env;
    assert_string_equal(env[0], "A=1");
    assert_null(env[1]);
    assert_string_equal(l.apps.v[2]->out_file, "/root/o.log");
    assert_int_equal(strv_len(l.apps.v[2]->filter_env), 1);
    assert_string_equal(env_get(l.apps.v[3]->env, "GONE"), "1");
    assert_int_equal(strv_len(l.apps.v[3]->filter_env), 0);
    loaded_deinit(&l);
}

static void test_names(void **state)
{
    static const char text[] =
        "- {script: /bin/sh, append_env_to_name: true, env_test: {A: 1}}\n"
        "- {script: /bin/sh, name: api, name_prefix: acme, appendEnvToName: false}\n"
        "- {script: /bin/sh, name: acme:web, name_prefix: acme}\n"
        "- {script: /bin/sh, name: '@scope/app', append_env_to_name: true, name_prefix: p}\n";
    static const char *const plain[] = {"sh", "api", "acme:web", "@scope/app"};
    struct loaded l = load(text);

    (void)state;
    assert_string_equal(l.apps.v[0]->name, "sh");
    assert_string_equal(l.apps.v[1]->name, "acme:api");
    assert_string_equal(l.apps.v[2]->name, "acme:web");
    assert_string_equal(l.apps.v[3]->name, "p:@scope/app");
    loaded_deinit(&l);
    l = load_in("/", "test", text, false);
    assert_string_equal(l.apps.v[0]->name, "sh-test");
    assert_string_equal(l.apps.v[1]->name, "acme:api");
    assert_string_equal(l.apps.v[3]->name, "p:@scope/app-test");
    for (size_t i = 0; i < l.apps.n; i++)
        assert_string_equal(l.apps.names[i], plain[i]);
    loaded_deinit(&l);
}

static void test_more_keys(void **state)
{
    struct loaded l = load("- script: node\n"
                           "  args: x.js\n"
                           "  increment_var: PORT\n"
                           "  env: {PORT: 3000}\n"
                           "  force: true\n"
                           "  min_uptime: 2h\n"
                           "  kill_timeout: 500ms\n"
                           "  restart_delay: 1d\n"
                           "  log_type: json\n"
                           "  disable_logs: true\n"
                           "  watch: false\n"
                           "- {script: /bin/sh, interpreter: node, source_map_support: true, "
                           "node_args: --no-warnings}\n");
    const struct app_spec *s = l.apps.v[0];
    json_t *j = app_spec_to_json(s);

    (void)state;
    assert_string_equal(s->increment_var, "PORT");
    assert_true(s->force);
    assert_int_equal(s->min_uptime, 7200000);
    assert_int_equal(s->kill_timeout, 500);
    assert_int_equal(s->restart_delay, 86400000);
    assert_string_equal(s->log_type, "json");
    assert_true(s->disable_logs);
    assert_string_equal(warnings(&l), "");
    assert_string_equal(json_string_value(json_object_get(j, "increment_var")), "PORT");
    assert_null(json_object_get(j, "force")); /* of no use to the daemon */
    json_decref(j);
    assert_string_equal(l.apps.v[1]->interpreter_args[0], "--no-warnings");
    assert_string_equal(l.apps.v[1]->interpreter_args[1], "--enable-source-maps");
    assert_null(l.apps.v[1]->interpreter_args[2]);
    loaded_deinit(&l);
}

static void test_warnings(void **state)
{
    struct loaded l = load("deploy: {}\n"
                           "apps:\n"
                           "  - script: /bin/sh\n"
                           "    watch_options: {usePolling: true, awaitWriteFinish: true}\n"
                           "    max_memory_restart: 1GiB\n"
                           "    ignore_watch: [node_modules, \"*.log\"]\n"
                           "    watch_delay: 1s\n"
                           "    cron: 0 4 * * *\n"
                           "    vizion: false\n"
                           "    windowsHide: true\n");

    (void)state;
    assert_int_equal(l.report.n_warnings, 4);
    assert_string_equal(l.apps.v[0]->cron_restart, "0 4 * * *");
    assert_true(l.apps.v[0]->watch_options.use_polling);
    assert_string_equal(l.apps.v[0]->ignore_watch[1], "*.log");
    assert_int_equal(l.apps.v[0]->watch_delay, 1000);
    assert_string_equal(warnings(&l),
                        "f:1:1: deploy: has no effect yet\n"
                        "f:4:39: watch_options.awaitWriteFinish: ignored, folders are watched by "
                        "the kernel's inotify here, and a save by renaming is one change\n"
                        "f:9:5: vizion: ignored, it is about git data in PM2's list\n"
                        "f:10:5: windowsHide: ignored, it is about Windows\n");
    loaded_deinit(&l);
}

static void put(const char *folder, const char *name, const char *text)
{
    char *path = fs_join(folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
    close(fd);
    free(path);
}

static void drop(const char *folder, const char *name)
{
    char *path = fs_join(folder, name);

    remove(path);
    free(path);
}

/* Paths of a file start at its folder, wherever the command is typed; with cwd, at cwd. */
static void test_file(void **state)
{
    char folder[] = "/tmp/pm-load-XXXXXX", path[128], want[128];
    struct config_ctx ctx = {.cwd = "/tmp", .environ = environment};
    struct loaded l = {0};

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/sub", folder);
    mkdir(path, 0755);
    put(folder, "run.sh", "exit\n");
    put(path, "inner.sh", "exit\n");
    put(folder, ".env", "FROM_FILE=1\nA=file\n");
    put(folder, "eco.yaml",
        "- {script: run.sh, env_file: .env, out_file: o.log, env: {A: env}}\n"
        "- {script: inner.sh, cwd: sub, log_file: l.log}\n"
        "- {script: ./run.sh, name: again, log_file: false}\n");
    assert_int_equal(config_load_file(&ctx, folder + strlen("/tmp/"), &l.apps, &l.report), -22);
    assert_non_null(strstr(l.report.errors.data, "is a folder, not a config file"));
    config_report_free(&l.report);
    snprintf(path, sizeof(path), "%s/fifo.yaml", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(config_load_file(&ctx, path, &l.apps, &l.report), -22);
    assert_non_null(strstr(l.report.errors.data, "pm start - < FILE"));
    config_report_free(&l.report);
    drop(folder, "fifo.yaml");

    snprintf(path, sizeof(path), "%s/eco.yaml", folder + strlen("/tmp/"));
    if (config_load_file(&ctx, path, &l.apps, &l.report) < 0)
        fail_msg("%s", l.report.errors.data);
    assert_int_equal(l.apps.n, 3);
    assert_string_equal(l.apps.v[0]->cwd, folder);
    snprintf(want, sizeof(want), "%s/o.log", folder);
    assert_string_equal(l.apps.v[0]->out_file, want);
    assert_string_equal(env_get(l.apps.v[0]->env, "FROM_FILE"), "1");
    assert_string_equal(env_get(l.apps.v[0]->env, "A"), "env");
    snprintf(want, sizeof(want), "%s/sub/inner.sh", folder);
    assert_string_equal(l.apps.v[1]->script, want);
    snprintf(want, sizeof(want), "%s/sub/l.log", folder);
    assert_string_equal(l.apps.v[1]->log_file, want);
    assert_null(l.apps.v[2]->log_file);
    loaded_deinit(&l);
    drop(folder, "sub/inner.sh");
    drop(folder, "sub");
    drop(folder, ".env");
    drop(folder, "run.sh");
    drop(folder, "eco.yaml");
    rmdir(folder);
}

static bool put_over(void *arg, struct app_spec *spec)
{
    spec->instances = 0;
    free(spec->interpreter);
    spec->interpreter = xstrdup(arg);
    spec->source_map_support = true;
    return true;
}

/* What the command line puts over a file counts before anything is derived. */
static void test_overlay(void **state)
{
    static const char text[] = "{name: a, script: /bin/sh, instances: 1000}";
    struct config_ctx ctx = {
        .cwd = "/tmp", .environ = environment, .overlay = put_over, .overlay_arg = (char *)"perl"};
    struct loaded l = {0};

    (void)state;
    assert_int_equal(config_load_text(&ctx, "x", text, sizeof(text) - 1, CONFIG_YAML, &l.apps, &l.report), 0);
    assert_int_equal(l.apps.v[0]->instances, 0);
    assert_false(l.apps.v[0]->merge_logs);
    assert_string_equal(l.apps.v[0]->interpreter, "perl");
    loaded_deinit(&l);
    ctx.overlay_arg = (char *)"no-such-program";
    assert_int_equal(config_load_text(&ctx, "x", text, sizeof(text) - 1, CONFIG_YAML, &l.apps, &l.report),
                     -22);
    assert_non_null(strstr(l.report.errors.data, "interpreter \"no-such-program\" not found"));
    loaded_deinit(&l);
}

static void test_log_file_true(void **state)
{
    struct loaded l;

    (void)state;
    setenv("PM_HOME", "/tmp/pm-home", 1);
    l = load("- {script: /bin/sh, name: api, log_file: true}\n");
    assert_string_equal(l.apps.v[0]->log_file, "/tmp/pm-home/logs/api.log");
    loaded_deinit(&l);
}

/* All errors of all apps in file order, one line each, and nothing of the file in terms of control
 * characters. */
static void test_error_lines(void **state)
{
    static const char text[] =
        "- {script: /bin/sh, \"a\\e[31m\": 1}\n- {script: /bin/sh}\n- 5\n- {max_restarts: x}\n";
    struct config_ctx ctx = {.cwd = "/", .environ = environment};
    struct app_list apps;
    struct config_report report = {0};

    (void)state;
    assert_int_equal(config_load_text(&ctx, "f", text, strlen(text), CONFIG_YAML, &apps, &report), -22);
    assert_string_equal(report.errors.data,
                        "f:1:21: unknown key \"a?[31m\"\n"
                        "f:3:3: expected an app (a mapping with \"script\"), found the number 5\n"
                        "f:4:3: this app has no \"script\"\n"
                        "f:4:18: max_restarts: expected a whole number, found the text \"x\"\n");
    assert_int_equal(report.n_errors, 4);
    config_report_free(&report);
}

static void test_file_names(void **state)
{
    (void)state;
    assert_true(config_is_file_name("eco.yaml"));
    assert_true(config_is_file_name("a/b/eco.yml"));
    assert_true(config_is_file_name("/x.json"));
    assert_true(config_is_file_name("ecosystem.config.js"));
    assert_true(config_is_file_name("/srv/api.config.cjs"));
    assert_true(config_is_file_name("a.b.config.mjs"));
    assert_false(config_is_file_name("x.json.js"));
    assert_false(config_is_file_name("config.js"));
    assert_false(config_is_file_name(".config.js"));
    assert_false(config_is_file_name("a.config.json/server.js"));
    assert_false(config_is_file_name("a.config.js.bak"));
    assert_false(config_is_file_name("a.yml.sh"));
    assert_false(config_is_file_name(".yaml"));
    assert_false(config_is_file_name("dir/.json"));
    assert_false(config_is_file_name("yaml"));
}

/* What the loader makes must pass the daemon's own check. */
static void test_passes_the_daemon(void **state)
{
    struct loaded l =
        load("- {script: /bin/sh, args: [a], env: {A: 1}, instances: max}\n- {cmd: sleep 100}\n");

    (void)state;
    for (size_t i = 0; i < l.apps.n; i++) {
        json_t *j = app_spec_to_json(l.apps.v[i]), *again;
        struct app_spec *back = app_spec_from_json(j, NULL);

        assert_non_null(back);
        again = app_spec_to_json(back);
        assert_true(json_equal(j, again));
        json_decref(j);
        json_decref(again);
        app_spec_free(back);
    }
    loaded_deinit(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_instances),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_filter_env),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_more_keys),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_overlay),
        cmocka_unit_test(test_log_file_true),
        cmocka_unit_test(test_error_lines),
        cmocka_unit_test(test_file_names),
        cmocka_unit_test(test_passes_the_daemon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
