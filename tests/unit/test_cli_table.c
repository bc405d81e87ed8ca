/* The table of processes at several widths. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/jsonget.h"
#include "cli/listview.h"
#include "cli/proclist.h"
#include "cli/table.h"
#include "cli/text.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

#define NOW INT64_C(1760796202000)

static const char records_text[] =
    "[{\"id\":10,\"name\":\"web\",\"namespace\":\"default\",\"instance\":0,\"mode\":\"fork\",\"pid\":4711,"
    "\"uptime_since\":1760796082000,\"restarts\":3,\"status\":\"online\",\"cpu\":1.5,\"memory\":35651584,"
    "\"user\":\"root\"},"
    "{\"id\":2,\"name\":\"web\",\"namespace\":\"default\",\"instance\":1,\"mode\":\"fork_mode\",\"pid\":0,"
    "\"uptime_since\":0,\"restarts\":16,\"status\":\"waiting "
    "restart\",\"cpu\":0,\"memory\":0,\"user\":\"root\"},"
    "{\"id\":3,\"name\":\"データ処理-worker-e\\u0301\",\"namespace\":\"batch\",\"instance\":0,\"mode\":"
    "\"cluster\","
    "\"pid\":99999,\"uptime_since\":1760796201000,\"restarts\":0,\"status\":\"launching\",\"cpu\":100,"
    "\"memory\":1073741824,\"user\":\"deploy\"}]";

static const struct list_view by_name;

static char *render(int width, bool box, bool utf8, bool color)
{
    struct out o = {.tty = box, .charset = utf8 ? OUT_UTF8 : OUT_ASCII, .color = color, .width = width};
    json_t *records = json_loads(records_text, 0, NULL);
    struct buf b = {0};

    assert_non_null(records);
    proclist_render(&o, &by_name, records, NOW, &b);
    json_decref(records);
    return buf_steal(&b);
}

/* Every line of a box has the same number of columns, and no more than there are. */
static void check_box(const char *text, int width)
{
    _cleanup_free_ char *copy = xstrdup(text);
    char *save = NULL;
    int first = -1;

    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        int w = text_width(line);

        if (first < 0)
            first = w;
        assert_int_equal(w, first);
        if (width)
            assert_true(w <= width);
    }
}

static void test_widths(void **state)
{
    (void)state;
    for (int width = 40; width <= 170; width++) {
        _cleanup_free_ char *text = render(width, true, true, false);

        check_box(text, width);
        assert_non_null(strstr(text, "status"));
        assert_non_null(strstr(text, "name"));
    }
}

static void test_columns_go(void **state)
{
    _cleanup_free_ char *wide = render(160, true, true, false);
    _cleanup_free_ char *middle = render(80, true, true, false);
    _cleanup_free_ char *narrow = render(60, true, true, false);

    (void)state;
    assert_non_null(strstr(wide, "user"));
    assert_non_null(strstr(wide, "データ処理-worker-e\u0301"));
    assert_null(strstr(middle, "user"));
    assert_non_null(strstr(middle, "pid"));
    assert_null(strstr(narrow, "namespace"));
    assert_non_null(strstr(narrow, "cpu"));
    assert_non_null(strstr(narrow, "mem"));
}

/* On a terminal that grows, columns come in this order and none goes again. */
static void test_columns_by_worth(void **state)
{
    static const char *const worth[] = {"name", "status", "mem",       "cpu",     "↺",    "uptime",
                                        "pid",  "mode",   "namespace", "version", "user", "watching"};
    size_t had = 0;

    (void)state;
    for (int width = 34; width <= 200; width++) {
        _cleanup_free_ char *text = render(width, true, true, false);
        _cleanup_free_ char *head =
            xstrndup(text, strcspn(strchr(text, '\n') + 1, "\n") + strcspn(text, "\n"));
        size_t n = 0;

        while (n < ARRAY_LEN(worth) && strstr(head, worth[n]))
            n++;
        for (size_t i = n; i < ARRAY_LEN(worth); i++)
            assert_null(strstr(head, worth[i]));
        assert_true(n >= had);
        had = n;
    }
    assert_int_equal(had, ARRAY_LEN(worth));
}

/* Names stay readable as long as there are columns that are only pleasant. */
static void test_names_before_pleasant_columns(void **state)
{
    _cleanup_free_ char *text = render(86, true, true, false);

    (void)state;
    assert_null(strstr(text, "…"));
    assert_null(strstr(text, "version"));
}

static void test_order(void **state)
{
    _cleanup_free_ char *text = render(0, false, true, false);
    char *two = strstr(text, "\n 2 "), *ten = strstr(text, "\n10 "), *three = strstr(text, "\n 3 ");

    (void)state;
    assert_non_null(two);
    assert_non_null(ten);
    assert_non_null(three);
    assert_true(two < ten && ten < three);
}

static void test_plain(void **state)
{
    _cleanup_free_ char *text = render(0, false, true, false);

    (void)state;
    assert_null(strstr(text, "│"));
    assert_null(strstr(text, " \n"));
    assert_null(strchr(text, '\033'));
    assert_non_null(strstr(text, "waiting restart"));
    assert_non_null(strstr(text, "34.0mb"));
    assert_non_null(strstr(text, "2m"));
    assert_non_null(strstr(text, "1.5%"));
}

static void test_ascii(void **state)
{
    _cleanup_free_ char *text = render(160, true, false, false);
    const char *head_end = strchr(strchr(text, '\n') + 1, '\n');

    (void)state;
    for (const char *p = text; p < head_end; p++)
        assert_true((unsigned char)*p < 0x80);
    assert_non_null(strstr(text, "restarts"));
}

static void test_colors(void **state)
{
    _cleanup_free_ char *text = render(160, true, true, true);

    (void)state;
    assert_non_null(strstr(text, "\033[32monline\033[0m"));
    assert_non_null(strstr(text, "\033[34mlaunching\033[0m"));
    assert_non_null(strstr(text, "\033[33mwaiting restart\033[0m"));
}

static void test_harmless(void **state)
{
    static const struct column one[] = {{.title = "x"}};
    struct table_style style = {.box = true, .utf8 = true, .width = 80};
    struct table t;
    struct buf b = {0};

    (void)state;
    table_init(&t, one, 1);
    table_add(&t, COLOR_NONE, "a\033[2Jb\nc\td");
    table_render(&t, &style, &b);
    assert_null(strchr(b.data, '\033'));
    assert_non_null(strstr(b.data, "a^[[2Jb^Jc d"));
    check_box(b.data, 80);
    buf_free(&b);
    table_deinit(&t);
}

static void test_empty(void **state)
{
    struct out o = {.tty = true, .charset = OUT_UTF8, .width = 80};
    json_t *none = json_array();
    struct buf b = {0};

    (void)state;
    proclist_render(&o, &by_name, none, NOW, &b);
    check_box(b.data, 80);
    json_decref(none);
    buf_free(&b);
}

/* The ids in the order of the list, such as "2 10 3 ". */
static void check_sort(const char *words, const char *want)
{
    char text[64];
    const char *argv[] = {"pm", "list", "--sort", words, NULL};
    json_t *records = json_loads(records_text, 0, NULL);
    struct list_view v;
    struct args a;
    size_t n, used = 0;

    assert_int_equal(args_parse(&a, 4, (char **)argv, NULL), 0);
    assert_int_equal(list_view_read(&v, &a, NULL), 0);
    const json_t **sorted = list_view_order(&v, records, &n);
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%lld ", j_int(sorted[i], "id"));
    assert_string_equal(text, want);
    free(sorted);
    args_deinit(&a);
    json_decref(records);
}

static void test_sort(void **state)
{
    const char *argv[] = {"pm", "list", "--sort", "colour", NULL};
    struct list_view v;
    struct args a;
    struct err e = {0};

    (void)state;
    check_sort("id", "2 3 10 ");
    check_sort("id:desc", "10 3 2 ");
    check_sort("cpu:desc", "3 10 2 ");
    check_sort("memory", "2 10 3 ");
    check_sort("uptime", "3 10 2 ");
    check_sort("name:desc", "3 2 10 ");
    assert_int_equal(args_parse(&a, 4, (char **)argv, NULL), 0);
    assert_true(list_view_read(&v, &a, &e) < 0);
    assert_non_null(strstr(e.msg, "not \"colour\""));
    args_deinit(&a);
}

static void test_mini(void **state)
{
    struct out o = {.tty = true, .charset = OUT_UTF8, .width = 24};
    json_t *records = json_loads(records_text, 0, NULL);
    struct buf b = {0};

    (void)state;
    proclist_render(&o, &by_name, records, NOW, &b);
    assert_non_null(strstr(b.data, "+--- web\n"));
    assert_non_null(strstr(b.data, "  status    : waiting restart\n"));
    assert_null(strstr(b.data, "│"));
    json_decref(records);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widths),
        cmocka_unit_test(test_columns_go),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_ascii),
        cmocka_unit_test(test_colors),
        cmocka_unit_test(test_harmless),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_sort),
        cmocka_unit_test(test_mini),
        cmocka_unit_test(test_columns_by_worth),
        cmocka_unit_test(test_names_before_pleasant_columns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
