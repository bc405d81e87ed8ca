/* What a word on the command line means, and which program runs it. Works in a folder of its own. */
#include "unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "config/config.h"
#include "config/options.h"
#include "config/path.h"
#include "config/resolve.h"

static char folder[64];
static char path_variable[256];
static char home_variable[128];
static char *environment[] = {path_variable, home_variable, "LISTEN_FDS=3", "CALLER=1", NULL};
static struct config_ctx ctx = {.cwd = folder, .environ = environment};

/* A node that says whether it runs TypeScript. */
#define NODE_ANSWERS(strips) "#!/bin/sh\necho 'v{\"strips\":" strips "}' >&3\n"

static void put(const char *name, const char *text, mode_t mode)
{
    char *path = fs_join(folder, name), *slash = strrchr(path, '/');
    int fd;

    *slash = '\0';
    assert_int_equal(fs_mkdirs(path, 0755, NULL), 0);
    *slash = '/';
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    free(path);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/pm-resolve-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path_variable, sizeof(path_variable), "PATH=%s/bin", folder);
    snprintf(home_variable, sizeof(home_variable), "HOME=%s/home", folder);
    put("bin/bash", "\177ELF", 0755);
    put("bin/node", NODE_ANSWERS("true"), 0755);
    put("bin/python3", "\177ELF", 0755);
    put("bin/tool", "#!/usr/bin/env node\n", 0755);
    put("bin/tool.py", "#!/usr/bin/env python3\n", 0755);
    put("app.js", "1\n", 0644);
    put("app.py", "1\n", 0644);
    put("app.rb", "1\n", 0644);
    put("app.ts", "1\n", 0644);
    put("app.tsx", "1\n", 0644);
    put("my.app.v2.sh", "1\n", 0644);
    put("run", "#!/bin/sh\n", 0755);
    put("pyrun", "#!/usr/bin/env python3\n", 0755);
    put("norun", "#!/bin/sh -e\n", 0644);
    put("envrun", "#!/usr/bin/env -S python3 -u\n", 0644);
    put("crlf", "#!/bin/sh\r\n", 0755);
    put("lost", "#!/no/such/thing\n", 0755);
    put("text", "hello\n", 0755);
    put("empty", "", 0755);
    put("binary", "\177ELF", 0755);
    put("binary-600", "\177ELF", 0644);
    put("with space", "#!/bin/sh\n", 0755);
    put("sub/inner.js", "1\n", 0644);
    put("home/x", "", 0644);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct app_spec *resolve_with(const char *word, struct app_spec *s)
{
    struct err e = {0};

    if (config_resolve_word(&ctx, word, s, &e) < 0)
        fail_msg("%s: %s", word, e.msg);
    return s;
}

static struct app_spec *resolved(const char *word)
{
    return resolve_with(word, app_spec_new());
}

static void refused(const char *word, const char *interpreter, const char *part)
{
    struct app_spec *s = app_spec_new();
    struct err e = {0};

    s->interpreter = xstrdup(interpreter);
    assert_true(config_resolve_word(&ctx, word, s, &e) < 0);
    if (!strstr(e.msg, part))
        fail_msg("%s: expected %s, got %s", word, part, e.msg);
    app_spec_free(s);
}

/* Name, interpreter and the script's path below the folder. */
static void means(const char *word, const char *name, const char *interpreter, const char *script)
{
    struct app_spec *s = resolved(word);

    assert_string_equal(s->name, name);
    assert_string_equal(s->interpreter, interpreter);
    assert_string_equal(s->script + strlen(folder) + 1, script);
    assert_string_equal(s->cwd, folder);
    app_spec_free(s);
}

static void test_scripts(void **state)
{
    (void)state;
    means("app.js", "app", "node", "app.js");
    means("./sub/../sub/inner.js", "inner", "node", "sub/inner.js");
    means("app.py", "app", "python3", "app.py");
    means("app.ts", "app", "node", "app.ts");
    means("my.app.v2.sh", "my.app.v2", "bash", "my.app.v2.sh");
    means("run", "run", "none", "run");
    means("norun", "norun", "/bin/sh", "norun");
    means("binary", "binary", "none", "binary");
    means("with space", "with space", "none", "with space");
    means("~/../app.js", "app", "node", "app.js");
    means("tool", "tool", "none", "bin/tool");
    means("tool.py", "tool", "none", "bin/tool.py");
}

static void test_typescript(void **state)
{
    struct app_spec *s = app_spec_new();
    char *bun;

    (void)state;
    put("bin/node", NODE_ANSWERS("false"), 0755);
    refused("app.ts", NULL, "TypeScript needs bun, or node 22.18 or newer");
    refused("app.tsx", NULL, "interpreter \"bun\" not found");
    strv_push(&s->interpreter_args, xstrdup("--import=tsx"));
    resolve_with("app.ts", s); /* a loader may do it */
    assert_string_equal(s->interpreter, "node");
    app_spec_free(s);
    put("bin/bun", "\177ELF", 0755);
    means("app.ts", "app", "bun", "app.ts");
    means("app.tsx", "app", "bun", "app.tsx");
    bun = fs_join(folder, "bin/bun");
    assert_int_equal(unlink(bun), 0);
    free(bun);
    put("bin/node", NODE_ANSWERS("true"), 0755);
}

static void test_refused(void **state)
{
    (void)state;
    refused("missing.js", NULL, "script not found");
    refused("./missing.js", NULL, "script not found");
    refused("no-such-tool", NULL, "no program \"no-such-tool\" on PATH");
    refused("sub", NULL, "is a folder");
    refused("/dev/null", NULL, "is not a file");
    refused("app.rb", NULL, "interpreter \"ruby\" not found on PATH; install it or give --interpreter");
    refused("app.js", "deno", "interpreter \"deno\" not found");
    refused("app.js", "./nope", "is not an executable file");
    refused("crlf", NULL, "CR LF");
    refused("lost", NULL, "names \"/no/such/thing\", which is not there");
    refused("text", NULL, "cannot tell how to run");
    refused("text", "none", "cannot run by itself");
    refused("app.js", "none", "is not executable");
    refused("empty", NULL, "is empty");
    refused("binary-600", NULL, "is not executable");
    refused("app.js --port 80", "node", "put arguments into args");
    refused("", NULL, "the script is empty");
    refused("  ", NULL, "the script is empty");
}

static void test_command_line(void **state)
{
    struct app_spec *s = resolved("tool --x /tmp/a && exit");

    (void)state;
    assert_string_equal(s->name, "tool --x -tmp-a && exit");
    assert_string_equal(s->interpreter, "none");
    assert_string_equal(s->script + strlen(folder), "/bin/bash");
    assert_int_equal(strv_len(s->args), 2);
    assert_string_equal(s->args[0], "-c");
    assert_string_equal(s->args[1], "tool --x /tmp/a && exit");
    app_spec_free(s);

    s = app_spec_new();
    strv_push(&s->args, xstrdup("a b"));
    resolve_with("echo hi", s);
    assert_string_equal(s->args[1], "echo hi \"$@\"");
    assert_string_equal(s->args[3], "a b");
    app_spec_free(s);

    s = resolved("echo \x1b[31m\nred");
    assert_string_equal(s->name, "echo  [31m red");
    app_spec_free(s);
}

static void test_long_command_line(void **state)
{
    char line[400] = "echo ";
    struct app_spec *s;

    (void)state;
    for (int i = 0; i < 150; i++)
        strcat(line, "é");
    s = resolved(line);
    assert_true(strlen(s->name) <= 128);
    assert_true((unsigned char)s->name[strlen(s->name) - 1] == 0xa9); /* cut between characters */
    app_spec_free(s);
}

static void test_flags(void **state)
{
    struct app_spec *s = app_spec_new();

    (void)state;
    s->name = xstrdup("api");
    s->cwd = xstrdup("sub");
    s->out_file = xstrdup("out.log");
    s->error_file = xstrdup("~/err.log");
    assert_int_equal(option_set_text(option_find("instances"), s, "max", NULL), 0);
    s->time = true;
    env_set(&s->env, "CALLER", "2");
    resolve_with("inner.js", s);
    assert_string_equal(s->name, "api");
    assert_string_equal(s->cwd + strlen(folder), "/sub");
    assert_string_equal(s->script + strlen(folder), "/sub/inner.js");
    assert_string_equal(s->out_file + strlen(folder), "/sub/out.log");
    assert_string_equal(s->error_file + strlen(folder), "/home/err.log");
    assert_null(s->log_file);
    assert_int_equal(s->instances, 0);
    assert_false(s->merge_logs);
    assert_string_equal(s->log_date_format, "YYYY-MM-DDTHH:mm:ss");
    assert_string_equal(env_get(s->env, "CALLER"), "2");
    assert_null(env_get(s->env, "LISTEN_FDS"));
    app_spec_free(s);

    /* With a cwd, a script is looked for there and then where the command was typed. */
    s = app_spec_new();
    s->cwd = xstrdup("sub");
    resolve_with("app.js", s);
    assert_string_equal(s->script + strlen(folder), "/app.js");
    assert_true(s->merge_logs);
    app_spec_free(s);
}

static void test_bad_flags(void **state)
{
    struct app_spec *s = app_spec_new();
    struct err e = {0};

    (void)state;
    s->name = xstrdup("a\nb");
    assert_true(config_resolve_word(&ctx, "app.js", s, &e) < 0);
    assert_non_null(strstr(e.msg, "the name: must not contain"));
    app_spec_free(s);
    s = app_spec_new();
    s->cwd = xstrdup("nowhere");
    assert_true(config_resolve_word(&ctx, "app.js", s, &e) < 0);
    assert_non_null(strstr(e.msg, "cwd: no folder"));
    app_spec_free(s);
}

static void test_interpreters(void **state)
{
    struct app_spec *s = app_spec_new();

    (void)state;
    s->interpreter = xstrdup("bin/node");
    resolve_with("text", s);
    assert_string_equal(s->interpreter + strlen(folder), "/bin/node");
    app_spec_free(s);

    s = app_spec_new();
    s->interpreter = xstrdup("python"); /* only python3 is installed */
    resolve_with("text", s);
    assert_string_equal(s->interpreter, "python3");
    assert_string_equal(env_get(s->env, "PYTHONUNBUFFERED"), "1");
    app_spec_free(s);

    s = resolved("norun");
    assert_string_equal(s->interpreter_args[0], "-e");
    assert_null(env_get(s->env, "PYTHONUNBUFFERED"));
    app_spec_free(s);

    s = resolved("envrun");
    assert_string_equal(s->interpreter, "python3");
    assert_string_equal(s->interpreter_args[0], "-u");
    app_spec_free(s);

    s = resolved("pyrun");
    assert_string_equal(s->interpreter, "none");
    assert_string_equal(env_get(s->env, "PYTHONUNBUFFERED"), "1");
    app_spec_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts),           cmocka_unit_test(test_typescript),
        cmocka_unit_test(test_refused),           cmocka_unit_test(test_command_line),
        cmocka_unit_test(test_long_command_line), cmocka_unit_test(test_flags),
        cmocka_unit_test(test_bad_flags),         cmocka_unit_test(test_interpreters),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
