/* The YAML and JSON readers: what they accept, the places they keep, and input made to hurt them. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"
#include "common/mem.h"
#include "config/config.h"
#include "config/tree.h"

struct result {
    struct tree tree;
    struct config_report report;
    int r;
};

static struct result read_bytes(const char *text, size_t len, bool json)
{
    struct result result = {0};
    struct diag diag = {.file = "f"};

    result.r = (json ? json_read : yaml_read)(&result.tree, text, len, &diag);
    diag_flush(&diag, &result.report);
    return result;
}

static void result_deinit(struct result *result)
{
    tree_deinit(&result->tree);
    config_report_free(&result->report);
}

/* The tree as compact JSON must be `want`. */
static void same_tree(const char *text, bool json, const char *want)
{
    struct result result = read_bytes(text, strlen(text), json);
    struct buf out = {0};

    if (result.r < 0)
        fail_msg("%s", result.report.errors.data);
    tree_to_json_text(result.tree.root, &out);
    assert_string_equal(out.data, want);
    buf_free(&out);
    result_deinit(&result);
}

static void refused(const char *text, size_t len, bool json, const char *part)
{
    struct result result = read_bytes(text, len, json);

    assert_true(result.r < 0);
    assert_null(result.tree.root);
    if (!strstr(result.report.errors.data, part))
        fail_msg("expected %s, got %s", part, result.report.errors.data);
    result_deinit(&result);
}

static void test_yaml_scalars(void **state)
{
    (void)state;
    same_tree(
        "a: true\nb: 5\nc: 'true'\nd: ~\ne:\nf: yes\ng: 1.5\nh: \"5\"\n", false,
        "{\"a\":true,\"b\":5,\"c\":\"true\",\"d\":null,\"e\":null,\"f\":\"yes\",\"g\":1.5,\"h\":\"5\"}");
    same_tree("[0x1f, 0o17, +5, 007, .5, -.inf, 1e3, 1., 12:30, 2024-01-01, 1_000]", false,
              "[31,15,5,7,0.5,null,1e3,1,\"12:30\",\"2024-01-01\",\"1_000\"]");
    same_tree("[!!str 5, !!int 7, ! 8, !!float 3]", false, "[\"5\",7,\"8\",3]");
    same_tree("a: |\n  two\n  lines\nb: >-\n  one\n  line\n", false,
              "{\"a\":\"two\\nlines\\n\",\"b\":\"one line\"}");
    same_tree("\xef\xbb\xbf---\na: 1\n...\n", false, "{\"a\":1}");
    same_tree("{\"json\": [1, {\"is\": \"yaml\"}]}", false, "{\"json\":[1,{\"is\":\"yaml\"}]}");
}

static void test_yaml_aliases(void **state)
{
    (void)state;
    same_tree("a: &x [1, 2]\nb: *x\n", false, "{\"a\":[1,2],\"b\":[1,2]}");
    same_tree("a: &x 1\nb: &x 2\nc: *x\n", false, "{\"a\":1,\"b\":2,\"c\":2}");
    same_tree("d: &d {a: 1, b: 2}\ne:\n  <<: *d\n  b: 3\n", false,
              "{\"d\":{\"a\":1,\"b\":2},\"e\":{\"b\":3,\"a\":1}}");
    same_tree("- &a {x: 1}\n- &b {x: 2, y: 2}\n- <<: [*a, *b]\n", false,
              "[{\"x\":1},{\"x\":2,\"y\":2},{\"x\":1,\"y\":2}]");
    same_tree("- <<: &a {x: 1}\n  y: 2\n- *a\n", false, "[{\"y\":2,\"x\":1},{\"x\":1}]");
    same_tree("- &a {x: 1}\n- &b {<<: *a, y: 2}\n- {<<: *b, z: 3}\n", false,
              "[{\"x\":1},{\"y\":2,\"x\":1},{\"z\":3,\"y\":2,\"x\":1}]");
    same_tree("'<<': 1\n", false, "{\"<<\":1}");
}

static void test_json_lenient(void **state)
{
    (void)state;
    same_tree("// one\n{ /* two */ \"a\": [1, 2,], \"b\": {\"c\": null,},\n}\n// end", true,
              "{\"a\":[1,2],\"b\":{\"c\":null}}");
    same_tree("[\"\\u00e9\\ud83d\\ude00\\n\\/\", -0.5e+3, 0, true]", true, "[\"é😀\\n/\",-0.5e+3,0,true]");
    same_tree("\xef\xbb\xbf[]", true, "[]");
    same_tree("\"//no comment/*\"", true, "\"//no comment/*\"");
    same_tree("{\"a\":\"tab\there\"}", true, "{\"a\":\"tab\\there\"}");
}

static void test_places(void **state)
{
    static const char text[] = "apps:\n  - naïve: [a,\n      bc]\n";
    struct result result = read_bytes(text, strlen(text), false);
    const struct tree_node *app = tree_get(result.tree.root, "apps")->first, *list = app->first;

    (void)state;
    assert_int_equal(app->line, 2);
    assert_int_equal(app->col, 5);
    assert_int_equal(list->key_col, 5);
    assert_int_equal(list->line, 2);
    assert_int_equal(list->col, 12); /* characters, not bytes */
    assert_int_equal(list->last->line, 3);
    assert_int_equal(list->last->col, 7);
    result_deinit(&result);

    result = read_bytes("{\"é\":\n\t[1, \"é\", 3]}", 21, true);
    assert_int_equal(result.r, 0);
    assert_int_equal(result.tree.root->first->line, 2);
    assert_int_equal(result.tree.root->first->last->col, 11);
    result_deinit(&result);
}

static void test_refused(void **state)
{
    (void)state;
    refused("a: 1\na: 2\n", 10, false, "f:2:1: duplicate key \"a\"");
    refused("a: 1\n<<: {a: 2}\n<<: {b: 2}\n", 27, false, "f:3:1: duplicate key");
    refused("a: \0\n", 5, false, "NUL");
    refused("[\"\0\"]", 5, true, "f:1:3: a NUL byte");
    refused("[1]\0", 4, true, "f:1:4: a NUL byte");
    refused("[\"\xed\xa0\x80\"]", 7, true, "f:1:3: bad character");
    refused("[\"\xc0\x80\"]", 6, true, "f:1:3: bad character");
    refused("", 0, true, "empty");
    refused("// only a comment", 17, true, "empty");
    refused("# only a comment\n", 17, false, "empty");
    refused("a: *b\n", 6, false, "no anchor");
    refused("\xff\xfe"
            "a\0:\0 \0001\0",
            10, false, "bad character");
}

/* All of them, not only the first: a file has its mistakes listed at once. */
static void test_all_duplicates(void **state)
{
    static const char text[] = "{\"a\":1,\"a\":2,\"b\":{\"c\":1,\"c\":2}}";
    struct result result = read_bytes(text, strlen(text), true);

    (void)state;
    assert_true(result.r < 0);
    assert_int_equal(result.report.n_errors, 2);
    result_deinit(&result);
}

static void repeat(struct buf *b, const char *s, size_t n)
{
    while (n--)
        buf_puts(b, s);
}

static void test_depth(void **state)
{
    struct buf b = {0};

    (void)state;
    repeat(&b, "[", TREE_DEPTH_MAX);
    repeat(&b, "]", TREE_DEPTH_MAX);
    for (int json = 0; json < 2; json++) {
        struct result result = read_bytes(b.data, b.len, json);

        assert_int_equal(result.r, 0);
        result_deinit(&result);
    }
    buf_free(&b);
    repeat(&b, "[", 1000000);
    refused(b.data, b.len, true, "nested too deep");
    refused(b.data, b.len, false, "nested too deep");
    buf_free(&b);
    repeat(&b, "{\"a\":", 1000000);
    refused(b.data, b.len, true, "nested too deep");
    refused(b.data, b.len, false, "nested too deep");
    buf_free(&b);
    repeat(&b, "- ", 100000);
    refused(b.data, b.len, false, "nested too deep");
    buf_free(&b);
}

static void test_alias_bombs(void **state)
{
    struct buf b = {0};

    (void)state;
    buf_puts(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 20; i++)
        buf_printf(&b, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1,
                   i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    refused(b.data, b.len, false, "too many values");
    buf_free(&b);

    buf_puts(&b, "big: &b \"");
    repeat(&b, "0123456789", 100000);
    buf_puts(&b, "\"\nlist:\n");
    repeat(&b, "- *b\n", 10000);
    refused(b.data, b.len, false, "too many values");
    buf_free(&b);

    buf_puts(&b, "m: &m {a: 1, b: 2, c: 3, d: 4, e: 5}\nlist:\n");
    repeat(&b, "- {<<: [*m, *m, *m, *m, *m, *m, *m, *m, *m, *m]}\n", 10000);
    refused(b.data, b.len, false, "too many values");
    buf_free(&b);

    for (int i = 0; i < 1100; i++)
        buf_printf(&b, "- &a%d 1\n", i);
    refused(b.data, b.len, false, "too many anchors");
    buf_free(&b);

    /* Depth through aliases: each level adds one to what the last one holds. */
    buf_puts(&b, "- &a0 [1]\n");
    for (int i = 1; i < 100; i++)
        buf_printf(&b, "- &a%d [*a%d]\n", i, i - 1);
    refused(b.data, b.len, false, "nested too deep");
    buf_free(&b);
}

static void test_size(void **state)
{
    struct buf b = {0};
    struct result result;

    (void)state;
    buf_puts(&b, "[\"");
    repeat(&b, "0123456789", 1000000);
    buf_puts(&b, "\"]");
    for (int json = 0; json < 2; json++) {
        result = read_bytes(b.data, b.len, json);
        assert_int_equal(result.r, 0);
        assert_int_equal(strlen(result.tree.root->first->text), 10000000);
        result_deinit(&result);
    }
    repeat(&b, "0123456789", 1000000);
    refused(b.data, b.len, true, "larger than 16 MiB");
    refused(b.data, b.len, false, "larger than 16 MiB");
    buf_free(&b);

    buf_puts(&b, "[");
    repeat(&b, "1,", TREE_NODES_MAX);
    buf_puts(&b, "]");
    refused(b.data, b.len, true, "too many values");
    refused(b.data, b.len, false, "too many values");
    buf_free(&b);
}

/* Many keys in one map, all different and all the same: neither may take time that grows with the square. */
static void test_many_keys(void **state)
{
    struct buf b = {0};
    struct result result;
    clock_t start = clock();

    (void)state;
    buf_puts(&b, "{");
    for (int i = 0; i < 150000; i++)
        buf_printf(&b, "\"key%d\":%d,", i, i);
    buf_puts(&b, "}");
    result = read_bytes(b.data, b.len, true);
    assert_int_equal(result.r, 0);
    result_deinit(&result);
    buf_free(&b);

    buf_puts(&b, "{");
    repeat(&b, "\"a\":1,", 150000);
    buf_puts(&b, "}");
    result = read_bytes(b.data, b.len, true);
    assert_int_equal(result.report.n_errors, 149999);
    assert_true(result.report.errors.len < 20000);
    result_deinit(&result);
    buf_free(&b);
    assert_true((clock() - start) / CLOCKS_PER_SEC < 20);
}

/* Every prefix of a good text, and every text with one byte changed, ends in a tree or in an error. */
static void test_mangled(void **state)
{
    static const char yaml[] =
        "a: &x {b: [1, 'two', \"th\\u00e9\"], c: |\n  text\n}\nd: {<<: *x, e: !!str 5}\n";
    static const char json[] = "{\"a\": [1.5e3, \"\\ud83d\\ude00\", null, /* c */ true,], // x\n \"b\": {}}";
    static const char changes[] = {'\0', '"',  '\'', '{',  '}', '[', ']',    ':',
                                   ',',  '\\', '\n', '\t', '&', '*', '\xff', '/'};

    (void)state;
    for (int is_json = 0; is_json < 2; is_json++) {
        const char *good = is_json ? json : yaml;
        size_t len = strlen(good);

        for (size_t i = 0; i <= len; i++) {
            struct result result = read_bytes(good, i, is_json);

            assert_true((result.r == 0) == (result.report.n_errors == 0));
            result_deinit(&result);
            for (size_t k = 0; k < sizeof(changes) && i < len; k++) {
                char *copy = xstrdup(good);

                copy[i] = changes[k];
                result = read_bytes(copy, len, is_json);
                assert_true((result.r == 0) == (result.report.n_errors == 0));
                assert_true((result.r == 0) == (result.tree.root != NULL));
                result_deinit(&result);
                free(copy);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yaml_scalars), cmocka_unit_test(test_yaml_aliases),
        cmocka_unit_test(test_json_lenient), cmocka_unit_test(test_places),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_all_duplicates),
        cmocka_unit_test(test_depth),        cmocka_unit_test(test_alias_bombs),
        cmocka_unit_test(test_size),         cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_mangled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
