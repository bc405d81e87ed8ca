/* From an app's configuration to program, arguments, environment and rights of a child. */
#include "unit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "config/options.h"
#include "daemon/launch.h"
#include "daemon/users.h"

static const struct launch_ctx ctx = {.home = "/h", .home_id = "0123456789abcdef0123456789abcdef"};
static struct app_spec *spec;
static struct app app;
static struct process process;
static struct launch launch;

static int setup(void **state)
{
    (void)state;
    spec = app_spec_new();
    spec->name = xstrdup("api");
    spec->script = xstrdup("/srv/run");
    spec->cwd = xstrdup("/srv");
    spec->instances = 1;
    env_set(&spec->env, "PATH", "/nowhere:/usr/bin:/bin");
    app = (struct app){.id = 1, .spec = spec};
    process = (struct process){.id = 4, .app = &app, .instance = 2, .run = 17};
    launch = (struct launch){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    launch_deinit(&launch);
    app_spec_free(spec);
    return 0;
}

static void set(char **field, const char *value)
{
    free(*field);
    *field = value ? xstrdup(value) : NULL;
}

static void go(void)
{
    launch_deinit(&launch);
    launch_init(&launch, &ctx, &process);
}

static void expect_argv(const char *program, const char *words)
{
    char got[500] = "";

    assert_string_equal(launch.spec.path, program);
    for (char **a = launch.spec.argv; *a; a++)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", *got ? " " : "", *a);
    assert_string_equal(got, words);
}

static void a_program_runs_by_itself(void **state)
{
    (void)state;
    set(&spec->interpreter, "none");
    strv_push(&spec->args, xstrdup("-v"));
    go();
    expect_argv("/srv/run", "/srv/run -v");
    assert_string_equal(launch.spec.cwd, "/srv");
    assert_false(launch.spec.flags & SPAWN_SET_IDS);
}

static void an_interpreter_is_left_to_be_found(void **state)
{
    (void)state;
    set(&spec->interpreter, "sh");
    strv_push(&spec->interpreter_args, xstrdup("-e"));
    go();
    expect_argv("sh", "sh -e /srv/run");
    set(&spec->interpreter, "/opt/any");
    go();
    expect_argv("/opt/any", "/opt/any -e /srv/run");
}

static void the_few_variables_of_ours(void **state)
{
    struct launch_ctx notify = ctx;

    (void)state;
    set(&spec->interpreter, "none");
    go();
    assert_string_equal(env_get(launch.spec.envp, "PM_HOME"), "/h");
    assert_string_equal(env_get(launch.spec.envp, "PM2_HOME"), "/h");
    assert_string_equal(env_get(launch.spec.envp, "name"), "api");
    assert_string_equal(env_get(launch.spec.envp, "pm_id"), "4");
    assert_string_equal(env_get(launch.spec.envp, "NODE_APP_INSTANCE"), "2");
    assert_string_equal(env_get(launch.spec.envp, "PM_RUN_ID"), "01234567.17");
    assert_null(env_get(launch.spec.envp, "NODE_CHANNEL_FD"));
    assert_null(env_get(launch.spec.envp, "NOTIFY_SOCKET"));
    assert_null(env_get(spec->env, "PM_RUN_ID")); /* the app's own list is not touched */

    set(&spec->instance_var, "WORKER");
    spec->wait_ready = true;
    notify.notify_name = "pm/1/17";
    launch_deinit(&launch);
    launch_init(&launch, &notify, &process);
    assert_string_equal(env_get(launch.spec.envp, "WORKER"), "2");
    assert_null(env_get(launch.spec.envp, "NODE_APP_INSTANCE"));
    assert_string_equal(env_get(launch.spec.envp, "NODE_CHANNEL_FD"), "3");
    assert_string_equal(env_get(launch.spec.envp, "NOTIFY_SOCKET"), "@pm/1/17");
}

static void a_library_for_adopted_sockets(void **state)
{
    struct launch_ctx adopting = ctx;

    (void)state;
    go();
    assert_null(env_get(launch.spec.envp, "LD_PRELOAD"));
    assert_null(env_get(launch.spec.envp, "PM_ADOPT"));
    adopting.adopt_library = "/usr/lib/pm/libpm-adopt.so";
    adopting.adopt = "3=0.0.0.0:80";
    launch_deinit(&launch);
    launch_init(&launch, &adopting, &process);
    assert_string_equal(env_get(launch.spec.envp, "PM_ADOPT"), "3=0.0.0.0:80");
    assert_string_equal(env_get(launch.spec.envp, "LD_PRELOAD"), "/usr/lib/pm/libpm-adopt.so");
    env_set(&spec->env, "LD_PRELOAD", "libx.so");
    launch_deinit(&launch);
    launch_init(&launch, &adopting, &process);
    assert_string_equal(env_get(launch.spec.envp, "LD_PRELOAD"), "/usr/lib/pm/libpm-adopt.so:libx.so");
}

static void listens_on(const char *addresses)
{
    assert_int_equal(option_set_text(option_find("listen"), spec, addresses, NULL), 0);
}

static void sockets_are_told(void **state)
{
    (void)state;
    set(&spec->interpreter, "none");
    env_set(&spec->env, "BIND", "fd://{fd}");
    env_set(&spec->env, "KEEP", "${fd} {{fd}");
    strv_push(&spec->args, xstrdup("--fd={listen.3000}"));
    go();
    expect_argv("/srv/run", "/srv/run --fd={listen.3000}"); /* not without `listen` */
    assert_null(env_get(launch.spec.envp, "LISTEN_FDS"));
    listens_on("3000");
    go();
    expect_argv("/srv/run", "/srv/run --fd=3");
    assert_string_equal(env_get(launch.spec.envp, "LISTEN_FDS"), "1");
    assert_string_equal(env_get(launch.spec.envp, "LISTEN_PID"), "0000000000");
    assert_string_equal(env_get(launch.spec.envp, "LISTEN_FDNAMES"), "3000");
    assert_string_equal(env_get(launch.spec.envp, "BIND"), "fd://3");
    assert_string_equal(env_get(launch.spec.envp, "KEEP"), "${fd} {fd}");
    assert_string_equal(env_get(spec->env, "BIND"), "fd://{fd}");
}

static void several_sockets_and_a_channel(void **state)
{
    (void)state;
    set(&spec->interpreter, "node");
    listens_on("unix:/run/a.sock\n3000\n[::1]:80");
    strv_push(&spec->args, xstrdup("{listen.80}{listen.listen0}"));
    strv_push(&spec->args, xstrdup("{fd}")); /* refused by the configuration; here it stays */
    go();
    expect_argv("node", "node /srv/run 53 {fd}");
    assert_string_equal(env_get(launch.spec.envp, "LISTEN_FDS"), "3");
    assert_string_equal(env_get(launch.spec.envp, "LISTEN_FDNAMES"), "listen0:3000:80");
    assert_string_equal(env_get(launch.spec.envp, "NODE_CHANNEL_FD"), "6");
}

static void workers_of_a_cluster_have_a_number(void **state)
{
    (void)state;
    set(&spec->interpreter, "node");
    go();
    assert_null(env_get(launch.spec.envp, "NODE_UNIQUE_ID"));
    set(&spec->exec_mode, "cluster");
    process.run = ((uint64_t)1 << 33) + 17;
    go();
    assert_string_equal(env_get(launch.spec.envp, "NODE_UNIQUE_ID"), "17");
    assert_string_equal(env_get(launch.spec.envp, "NODE_CHANNEL_FD"), "3");
    set(&spec->interpreter, "bun");
    go();
    assert_string_equal(env_get(launch.spec.envp, "NODE_CHANNEL_FD"), "3");
    set(&spec->interpreter, "python3"); /* kept from before clusters were refused for it */
    go();
    assert_null(env_get(launch.spec.envp, "NODE_UNIQUE_ID"));
}

static void who_speaks_nodes_ipc(void **state)
{
    static const struct {
        const char *interpreter;
        bool ipc;
    } cases[] = {{"node", true},     {"/usr/bin/node", true}, {"node18", true}, {"node@20", true},
                 {"nodemon", false}, {"python3", false},      {"none", false},  {"", false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        set(&spec->interpreter, cases[i].interpreter);
        assert_int_equal(launch_wants_ipc(spec), cases[i].ipc);
    }
    set(&spec->script, "/usr/local/bin/node");
    assert_true(launch_wants_ipc(spec));
    set(&spec->script, "/srv/run");
    spec->shutdown_with_message = true;
    assert_true(launch_wants_ipc(spec));
}

static void another_user(void **state)
{
    struct user_ids ids = {.uid = 12, .gid = 34, .ngroups = 2, .groups = {34, 56}};
    struct launch_ctx as = ctx;

    (void)state;
    as.ids = &ids;
    launch_init(&launch, &as, &process);
    assert_true(launch.spec.flags & SPAWN_SET_IDS);
    assert_int_equal(launch.spec.uid, 12);
    assert_int_equal(launch.spec.gid, 34);
    assert_int_equal(launch.spec.ngroups, 2);
    assert_int_equal(launch.spec.groups[1], 56);
    assert_null(env_get(launch.spec.envp, "USER")); /* a number without an entry */
    ids.name = (char *)"deploy";
    ids.home = (char *)"/home/deploy";
    launch_deinit(&launch);
    launch_init(&launch, &as, &process);
    assert_string_equal(env_get(launch.spec.envp, "USER"), "deploy");
    assert_string_equal(env_get(launch.spec.envp, "LOGNAME"), "deploy");
    assert_string_equal(env_get(launch.spec.envp, "HOME"), "/home/deploy");
}

static void make_cluster(void)
{
    set(&spec->exec_mode, "cluster");
    set(&spec->interpreter, "node");
    spec->graceful_http = true;
    spec->kill_timeout = 1600;
}

static void a_cluster_worker_is_graceful(void **state)
{
    struct launch_ctx with = ctx;

    (void)state;
    make_cluster();
    assert_true(launch_wants_graceful_http(spec));
    strv_push(&spec->interpreter_args, xstrdup("--inspect"));
    with.graceful_http = "/lib/pm/graceful_http.js";
    launch_init(&launch, &with, &process);
    expect_argv("node", "node --require /lib/pm/graceful_http.js --inspect /srv/run");
    assert_string_equal(env_get(launch.envp, "PM_GRACEFUL_HTTP"), "1280");
    launch_deinit(&launch);
    spec->kill_timeout = 60000;
    launch_init(&launch, &with, &process);
    assert_string_equal(env_get(launch.envp, "PM_GRACEFUL_HTTP"), "5000");
    go();
    expect_argv("node", "node --inspect /srv/run");
    assert_null(env_get(launch.envp, "PM_GRACEFUL_HTTP"));
}

static void a_node_app_is_probed(void **state)
{
    struct launch_ctx with = ctx;

    (void)state;
    make_cluster();
    assert_false(launch_wants_node_probe(spec));
    spec->node_probe = true;
    assert_true(launch_wants_node_probe(spec));
    with.graceful_http = "/lib/pm/graceful_http.js";
    with.node_probe = "/lib/pm/node_probe.js";
    launch_init(&launch, &with, &process);
    expect_argv("node", "node --require /lib/pm/graceful_http.js --require /lib/pm/node_probe.js /srv/run");
    set(&spec->exec_mode, "fork");
    assert_true(launch_wants_node_probe(spec));
    strv_push(&spec->interpreter_args, xstrdup("--permission"));
    assert_false(launch_wants_node_probe(spec));
    strv_free(spec->interpreter_args);
    spec->interpreter_args = NULL;
    set(&spec->interpreter, "python3");
    assert_false(launch_wants_node_probe(spec));
    set(&spec->interpreter, "none");
    assert_false(launch_wants_node_probe(spec));
}

static void not_every_worker_is_graceful(void **state)
{
    (void)state;
    make_cluster();
    spec->graceful_http = false;
    assert_false(launch_wants_graceful_http(spec));
    make_cluster();
    spec->kill_timeout = 0;
    assert_false(launch_wants_graceful_http(spec));
    make_cluster();
    set(&spec->interpreter, "bun");
    assert_false(launch_wants_graceful_http(spec));
    make_cluster();
    set(&spec->exec_mode, "fork");
    assert_false(launch_wants_graceful_http(spec));
    make_cluster();
    env_set(&spec->env, "NODE_OPTIONS", "--trace-warnings --permission");
    assert_false(launch_wants_graceful_http(spec));
    make_cluster();
    env_set(&spec->env, "NODE_OPTIONS", "--trace-warnings");
    assert_true(launch_wants_graceful_http(spec));
    strv_push(&spec->interpreter_args, xstrdup("--experimental-permission"));
    assert_false(launch_wants_graceful_http(spec));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_program_runs_by_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(an_interpreter_is_left_to_be_found, setup, teardown),
        cmocka_unit_test_setup_teardown(the_few_variables_of_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(a_library_for_adopted_sockets, setup, teardown),
        cmocka_unit_test_setup_teardown(sockets_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(several_sockets_and_a_channel, setup, teardown),
        cmocka_unit_test_setup_teardown(workers_of_a_cluster_have_a_number, setup, teardown),
        cmocka_unit_test_setup_teardown(who_speaks_nodes_ipc, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cluster_worker_is_graceful, setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_app_is_probed, setup, teardown),
        cmocka_unit_test_setup_teardown(not_every_worker_is_graceful, setup, teardown),
        cmocka_unit_test_setup_teardown(another_user, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
