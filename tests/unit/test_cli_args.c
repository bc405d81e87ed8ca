/* The command line against the command table, and the table itself. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/flags.h"
#include "common/err.h"
#include "common/mem.h"
#include "config/options.h"

#define WORDS_MAX 12

struct parse_case {
    const char *argv[WORDS_MAX];
    const char *command; /* NULL: none */
    const char *words;   /* joined by | */
    const char *given;   /* name=value, joined by | */
    const char *rest;
};

static const struct parse_case good[] = {
    {{"pm"}, NULL, "", "", ""},
    {{"pm", "list"}, "list", "", "", ""},
    {{"pm", "ls", "-s"}, "list", "", "silent=", ""},
    {{"pm", "--silent", "ls"}, "list", "", "silent=", ""},
    {{"pm", "--home", "/h", "stop", "api", "3"}, "stop", "api|3", "home=/h", ""},
    {{"pm", "--home=/h", "stop", "api"}, "stop", "api", "home=/h", ""},
    {{"pm", "stop", "api", "--home", "/h"}, "stop", "api", "home=/h", ""},
    {{"pm", "-n", "api", "start", "x.js"}, "start", "x.js", "name=api", ""},
    {{"pm", "start", "x.js", "-napi"}, "start", "x.js", "name=api", ""},
    {{"pm", "start", "x.js", "-n=api"}, "start", "x.js", "name=api", ""},
    {{"pm", "start", "x.js", "--name=a=b"}, "start", "x.js", "name=a=b", ""},
    {{"pm", "start", "x.js", "--name="}, "start", "x.js", "name=", ""},
    {{"pm", "start", "x.js", "-fs", "-i4"}, "start", "x.js", "force=|silent=|instances=4", ""},
    {{"pm", "start", "x.js", "-fsi", "4"}, "start", "x.js", "force=|silent=|instances=4", ""},
    {{"pm", "start", "x.js", "-i", "-1"}, "start", "x.js", "instances=-1", ""},
    {{"pm", "start", "x.js", "--max-restarts", "-1"}, "start", "x.js", "max-restarts=-1", ""},
    {{"pm", "start", "x.js", "--node-args", "--harmony"}, "start", "x.js", "interpreter-args=--harmony", ""},
    {{"pm", "start", "x.js", "--interpreter-args=-u -B"}, "start", "x.js", "interpreter-args=-u -B", ""},
    {{"pm", "start", "x.js", "--", "--port", "80", "--"}, "start", "x.js", "", "--port|80|--"},
    {{"pm", "start", "x.js", "--stop-exit-codes", "0", "64", "-f"},
     "start",
     "x.js",
     "stop-exit-codes=0|stop-exit-codes=64|force=",
     ""},
    {{"pm", "start", "--stop-exit-codes", "0,64", "x.js"}, "start", "x.js", "stop-exit-codes=0,64", ""},
    {{"pm", "--stop-exit-codes", "0", "64", "start", "x.js"},
     "start",
     "x.js",
     "stop-exit-codes=0|stop-exit-codes=64",
     ""},
    {{"pm", "start", "x.js", "-l"}, "start", "x.js", "log=", ""},
    {{"pm", "start", "x.js", "-l", "a.log"}, "start", "x.js", "log=a.log", ""},
    {{"pm", "start", "x.js", "-l", "--force"}, "start", "x.js", "log=|force=", ""},
    {{"pm", "-l", "start", "x.js"}, "start", "x.js", "log=", ""},
    {{"pm", "send", "0", "--", "-v", "x"}, "send", "0|-v|x", "", ""},
    {{"pm", "send", "0", "-5"}, "send", "0|-5", "", ""},
    {{"pm", "logs", "--lines", "0", "--err"}, "logs", "", "lines=0|err=", ""},
    {{"pm", "stop", "--help"}, "stop", "", "help=", ""},
    {{"pm", "-V"}, NULL, "", "version=", ""},
    {{"pm", "stop", "-"}, "stop", "-", "", ""},
    {{"pm", "start", "--watch", "x.js"}, "start", "x.js", "watch=", ""},
    {{"pm", "start", "x.js", "--watch", "src"}, "start", "x.js", "watch=src", ""},
    {{"pm", "--sort", "cpu:desc", "ls", "-m"}, "list", "", "sort=cpu:desc|mini-list=", ""},
    {{"pm", "start", "x.js", "-amw"}, "start", "x.js", "update-env=|mini-list=|watch=", ""},
};

struct bad_case {
    const char *argv[WORDS_MAX];
    const char *message; /* must be part of it */
};

static const struct bad_case bad[] = {
    {{"pm", "strat", "x.js"}, "did you mean \"start\"?"},
    {{"pm", "restrat", "x.js"}, "did you mean \"restart\"?"},
    {{"pm", "rest"}, "did you mean \"restart\"?"},
    {{"pm", "link"}, "hosted dashboard"},
    {{"pm", "module:generate", "x"}, "there are no modules"},
    {{"pm", "inspect"}, "node-args=--inspect"},
    {{"pm", "start", "x.js", "--hp", "/x"}, "pm has no --hp: "},
    {{"pm", "zzzzzz"}, "pm help lists them"},
    {{"pm", "app.js"}, "to run it: pm start app.js"},
    {{"pm", "start", "x", "--nmae", "y"}, "did you mean --name?"},
    {{"pm", "start", "x", "--port", "80"}, "stand after \"--\""},
    {{"pm", "list", "--lnes", "3"}, "pm list has no option --lnes"},
    {{"pm", "list", "--lines", "3"}, "pm list has no option --lines"},
    {{"pm", "list", "-n"}, "pm list has no option -n, which belongs to pm start"},
    {{"pm", "stop", "x", "--watch"}, "pm stop has no option --watch, which belongs to pm start"},
    {{"pm", "stop", "x", "--no-daemon"}, "pm has no --no-daemon: "},
    {{"pm", "start", "x", "--lines", "3"}, "stand after \"--\""},
    {{"pm", "start", "x", "--name"}, "--name needs a value: --name NAME"},
    {{"pm", "start", "x", "-n"}, "--name needs a value"},
    {{"pm", "start", "x", "--name", "--force"}, "--name needs a value"},
    {{"pm", "start", "x", "--name", "--", "y"}, "--name needs a value"},
    {{"pm", "start", "x", "--force=1"}, "--force takes no value"},
    {{"pm", "logs", "--lines", "many"}, "from 0 to 1000000, not \"many\""},
    {{"pm", "logs", "--lines", "1000001"}, "from 0 to 1000000"},
    {{"pm", "logs", "--lines", "-1"}, "from 0 to 1000000"},
    {{"pm", "logs", "--lines="}, "from 0 to 1000000"},
    {{"pm", "why", "x", "--runs", "99999999999999999999"}, "from 1 to 100"},
    {{"pm", "start", "x", "--stop-exit-codes", "a"}, "wants integers"},
    {{"pm", "stop"}, "usage: pm stop <all|name|id|namespace|/regex/|config>..."},
    {{"pm", "list", "x"}, "\"x\" is too much for pm list"},
    {{"pm", "send", "0"}, "usage: pm send"},
    {{"pm", "ping", "--", "x"}, "\"x\" is too much"},
};

static int count(const char *const *argv)
{
    int n = 0;

    while (n < WORDS_MAX && argv[n])
        n++;
    return n;
}

static void join(char *out, size_t size, const char *const *words)
{
    size_t used = 0;

    *out = '\0';
    for (size_t i = 0; words[i]; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? "|" : "", words[i]);
}

static void join_given(char *out, size_t size, const struct args *a)
{
    size_t used = 0;

    *out = '\0';
    for (size_t i = 0; i < a->n_given; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s=%s", i ? "|" : "", a->given[i].flag->name,
                                 a->given[i].value);
}

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        const struct parse_case *t = &good[i];
        struct args a;
        struct err e = {0};
        char text[512];

        if (args_parse(&a, count(t->argv), (char **)t->argv, &e) < 0)
            fail_msg("case %zu: %s", i, e.msg);
        if (t->command) {
            assert_non_null(a.command);
            assert_string_equal(a.command->name, t->command);
        } else {
            assert_null(a.command);
        }
        join(text, sizeof(text), a.words);
        assert_string_equal(text, t->words);
        join(text, sizeof(text), a.rest);
        assert_string_equal(text, t->rest);
        join_given(text, sizeof(text), &a);
        assert_string_equal(text, t->given);
        args_deinit(&a);
    }
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct args a;
        struct err e = {0};

        assert_int_equal(args_parse(&a, count(bad[i].argv), (char **)bad[i].argv, &e), -EINVAL);
        if (!strstr(e.msg, bad[i].message))
            fail_msg("case %zu says \"%s\", not \"%s\"", i, e.msg, bad[i].message);
        args_deinit(&a);
    }
}

static void test_values(void **state)
{
    const char *argv[] = {"pm", "logs", "--lines", "7", "--lines", "9", NULL};
    struct args a;

    (void)state;
    assert_int_equal(args_parse(&a, 6, (char **)argv, NULL), 0);
    assert_int_equal(args_number(&a, "lines", 15), 9); /* the last one counts */
    assert_int_equal(args_number(&a, "runs", 5), 5);
    assert_string_equal(args_text(&a, "lines"), "9");
    assert_null(args_text(&a, "home"));
    assert_true(args_has(&a, "lines"));
    assert_false(args_has(&a, "raw"));
    args_deinit(&a);
}

static void check_flags(const struct flag *f)
{
    for (; f && f->name; f++) {
        bool takes_value = f->type != FLAG_BOOL;

        assert_true(f->help || f->refused);
        assert_int_equal(takes_value, f->arg != NULL);
        /* A flag that stands before the command word is read before the command is known. */
        for (size_t i = 0; i < n_commands; i++) {
            const struct flag *other = flag_find(&commands[i], f->name, strlen(f->name), 0);

            if (other)
                assert_int_equal(other->type, f->type);
            other = f->letter ? flag_find(&commands[i], NULL, 0, f->letter) : NULL;
            if (other)
                assert_string_equal(other->name, f->name);
        }
    }
}

static void test_table(void **state)
{
    (void)state;
    check_flags(global_flags);
    for (size_t i = 0; i < n_commands; i++) {
        const struct command *c = &commands[i];

        assert_ptr_equal(command_find(c->name), c); /* no name or alias twice */
        for (const char *const *alias = c->aliases; *alias; alias++)
            assert_ptr_equal(command_find(*alias), c);
        assert_non_null(c->summary);
        assert_non_null(c->usage);
        assert_non_null(c->help);
        assert_non_null(c->run);
        assert_non_null(c->examples[0].line);
        assert_true(c->max_words >= c->min_words);
        check_flags(c->flags);
        for (const struct flag *f = c->flags; f && f->name; f++)
            for (const struct flag *g = global_flags; g->name; g++)
                assert_string_not_equal(f->name, g->name);
    }
}

/* A flag that sets a key must name one that there is, under whatever name. */
static void test_keys(void **state)
{
    (void)state;
    for (const struct flag *f = start_flags; f->name; f++)
        if (f->key)
            assert_non_null(option_find(f->key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys), cmocka_unit_test(test_good),
                                       cmocka_unit_test(test_bad), cmocka_unit_test(test_values),
                                       cmocka_unit_test(test_table)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
