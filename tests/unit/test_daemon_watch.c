/* Which changes of files count, and when they lead to a restart. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "config/option_read.h"
#include "config/options.h"
#include "daemon/watch_calm.h"
#include "daemon/watch_glob.h"
#include "daemon/watch_rules.h"

static void test_globs(void **state)
{
    static const struct {
        const char *glob, *path;
        bool matches;
    } rows[] = {
        {"/a/*.js", "/a/x.js", true},
        {"/a/*.js", "/a/b/x.js", false},
        {"/a/**/*.js", "/a/x.js", true},
        {"/a/**/*.js", "/a/b/c/x.js", true},
        {"/a/**/*.js", "/b/x.js", false},
        {"/a/**/b/**/c", "/a/b/x/b/c", true},
        {"/a/**/b/**/c", "/a/x/c", false},
        {"/a/**", "/a", true},
        {"/a/**", "/a/b/c", true},
        {"**/x", "a/b/x", true},
        {"/a/b?/[xy]", "/a/b1/y", true},
        {"/a/b?/[xy]", "/a/b1/z", false},
        {"/a/\\*", "/a/*", true},
        {"/a/\\*", "/a/b", false},
        {"/a/**/**/**/**/**/**/**/**/b", "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/c", false},
        {"/a", "/a/b", false},
        {"/a/b", "/a", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (watch_glob_match(rows[i].glob, rows[i].path) != rows[i].matches)
            fail_msg("%s with %s", rows[i].glob, rows[i].path);
}

static void expect_expanded(const char *glob, const char *expected)
{
    char **v = strv_dup(NULL), all[2048] = "";

    watch_glob_expand(&v, glob);
    for (char **p = v; *p; p++)
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", p == v ? "" : " ", *p);
    assert_string_equal(all, expected);
    strv_free(v);
}

static void test_braces(void **state)
{
    char **v = strv_dup(NULL);

    (void)state;
    expect_expanded("a", "a");
    expect_expanded("*.{js,ts}", "*.js *.ts");
    expect_expanded("{a,b}/{c,d}", "a/c a/d b/c b/d");
    expect_expanded("x{a,{b,c}d}", "xa xbd xcd");
    expect_expanded("x{a,}", "xa x");
    expect_expanded("x{a", "x{a");
    watch_glob_expand(&v, "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}");
    assert_int_equal(strv_len(v), WATCH_GLOB_MAX);
    strv_free(v);
}

/* An app in /srv/app with these keys ("|" between two values). */
static struct watch_rules *rules(const char *watch, const char *ignore, const char *ext)
{
    struct app_spec *s = app_spec_new();
    const char *keys[] = {"watch", watch, "ignore_watch", ignore,     "ext",
                          ext,     "cwd", "/srv/app",     "out_file", "/srv/app/out.log"};
    struct watch_rules *r;

    for (size_t i = 0; i < ARRAY_LEN(keys); i += 2) {
        char *text = xstrdup(keys[i + 1] ? keys[i + 1] : "");

        for (char *p = text; (p = strchr(p, '|'));)
            *p = '\n';
        if (*text)
            assert_int_equal(option_set_text(option_by_name(keys[i]), s, text, NULL), 0);
        free(text);
    }
    r = watch_rules_new(s, "/srv/app/home");
    app_spec_free(s);
    return r;
}

/* As a walk does it: nothing below a folder that is left out is looked at. */
static bool ignored(const struct watch_rules *r, const char *path)
{
    char part[256];

    for (const char *p = path + strlen("/srv/app/"); p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
        size_t len = (size_t)(p - path) + strcspn(p, "/");

        snprintf(part, sizeof(part), "%.*s", (int)len, path);
        if (watch_rules_ignore(r, part, part + (p - path)))
            return true;
    }
    return false;
}

static void expect_ignored(const char *ignore, const char *path, bool is)
{
    struct watch_rules *r = rules("true", ignore, NULL);

    if (ignored(r, path) != is)
        fail_msg("ignore %s: %s", ignore ? ignore : "(default)", path);
    watch_rules_unref(r);
}

static void test_ignored(void **state)
{
    (void)state;
    expect_ignored(NULL, "/srv/app/src/x.js", false);
    expect_ignored(NULL, "/srv/app/node_modules/x.js", true);
    expect_ignored(NULL, "/srv/app/a/node_modules/x.js", true);
    expect_ignored(NULL, "/srv/app/.env", true);
    expect_ignored(NULL, "/srv/app/.git/HEAD", true);
    expect_ignored(NULL, "/srv/app/home/pmd.log", true);
    expect_ignored(NULL, "/srv/app/homes", false);
    expect_ignored(NULL, "/srv/app/out.log", true);
    expect_ignored(NULL, "/srv/app/out-12.log", true);
    expect_ignored(NULL, "/srv/app/out__2026-01-31_00-00-00.log.gz", true);
    expect_ignored(NULL, "/srv/app/out-12.js", false);
    expect_ignored(NULL, "/srv/app/out__x.js", false);
    expect_ignored("tmp", "/srv/app/node_modules/x", false); /* the default is replaced, as in PM2 */
    expect_ignored("tmp", "/srv/app/.env", false);
    expect_ignored("tmp", "/srv/app/.git/HEAD", true);
    expect_ignored("tmp", "/srv/app/a/tmp/x", true);
    expect_ignored("./tmp/", "/srv/app/tmp/x", true);
    expect_ignored("*.log|*.{tmp,swp}", "/srv/app/a/x.swp", true);
    expect_ignored("src/gen", "/srv/app/src/gen/x", true);
    expect_ignored("src/gen", "/srv/app/a/src/gen/x", false);
    expect_ignored("**/gen/**", "/srv/app/a/gen", true);
    expect_ignored("/srv/app/data/", "/srv/app/data/x", true);
    expect_ignored("\\.idea", "/srv/app/.idea/x", true);
    expect_ignored("[\\/\\\\]\\./|node_modules", "/srv/app/.env", true);
}

static void test_roots(void **state)
{
    struct watch_rules *r = rules("src|lib/**/*.{js,ts}|/etc/app.conf", NULL, NULL);

    (void)state;
    assert_int_equal(r->n_roots, 4);
    assert_string_equal(r->roots[0].path, "/srv/app/src");
    assert_null(r->roots[0].glob);
    assert_string_equal(r->roots[1].path, "/srv/app/lib");
    assert_string_equal(r->roots[2].glob, "/srv/app/lib/**/*.ts");
    assert_string_equal(r->roots[3].path, "/etc/app.conf");
    assert_true(watch_rules_count(r, &r->roots[1], "/srv/app/lib/a/x.js", "x.js"));
    assert_false(watch_rules_count(r, &r->roots[1], "/srv/app/lib/a/x.ts", "x.ts"));
    watch_rules_unref(r);
}

static void test_app_in_home(void **state)
{
    struct watch_rules *r = rules("home/apps/x", NULL, NULL);

    (void)state;
    assert_false(ignored(r, "/srv/app/home/apps/x/a.js"));
    watch_rules_unref(r);
}

static void test_extensions(void **state)
{
    struct watch_rules *r = rules("true", NULL, "js,.ts|*.d.css"),
                       *same = rules("true", NULL, "js, ts|d.css"), *other = rules("true", NULL, "js");

    (void)state;
    assert_true(watch_rules_count(r, &r->roots[0], "/srv/app/x.js", "x.js"));
    assert_true(watch_rules_count(r, &r->roots[0], "/srv/app/x.ts", "x.ts"));
    assert_true(watch_rules_count(r, &r->roots[0], "/srv/app/x.d.css", "x.d.css"));
    assert_false(watch_rules_count(r, &r->roots[0], "/srv/app/x.css", "x.css"));
    assert_false(watch_rules_count(r, &r->roots[0], "/srv/app/xjs", "xjs"));
    assert_true(watch_rules_equal(r, same));
    assert_false(watch_rules_equal(r, other));
    watch_rules_unref(r);
    watch_rules_unref(same);
    watch_rules_unref(other);
}

static void test_calm(void **state)
{
    struct watch_calm c = {0};
    char words[256];

    (void)state;
    assert_true(watch_calm_due(&c, 200) == UINT64_MAX);
    watch_calm_note(&c, 1000, "/srv/app/src/app.js");
    assert_int_equal(watch_calm_due(&c, 200), 1200);
    assert_int_equal(watch_calm_due(&c, 0), 1000);
    watch_calm_note(&c, 1150, "/srv/app/src/app.js"); /* a save is several events */
    assert_int_equal(watch_calm_due(&c, 200), 1350);
    watch_calm_words(&c, "/srv/app", words, sizeof(words));
    assert_string_equal(words, "src/app.js changed");
    for (uint64_t now = 1200; now <= 5000; now += 100)
        watch_calm_note(&c, now, "/srv/app/x\n");
    assert_int_equal(watch_calm_due(&c, 200), 3000); /* they go on, and it comes all the same */
    assert_int_equal(watch_calm_due(&c, 4000), 9000);
    watch_calm_words(&c, "/srv/app", words, sizeof(words));
    assert_string_equal(words, "src/app.js and more changed");
    watch_calm_clear(&c);
    watch_calm_note(&c, 1, "/etc/a\tb");
    watch_calm_words(&c, "/srv/app", words, sizeof(words));
    assert_string_equal(words, "/etc/a?b changed");
    watch_calm_clear(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_globs),       cmocka_unit_test(test_braces), cmocka_unit_test(test_ignored),
        cmocka_unit_test(test_roots),       cmocka_unit_test(test_calm),   cmocka_unit_test(test_extensions),
        cmocka_unit_test(test_app_in_home),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
