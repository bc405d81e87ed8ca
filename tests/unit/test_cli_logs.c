/* Log lines on the screen, and which of them were there already. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/logline.h"
#include "cli/logseen.h"
#include "cli/text.h"
#include "common/buf.h"
#include "common/mem.h"

static json_t *line_of(long long time, int id, const char *stream, const char *text)
{
    return json_pack("{s:I,s:i,s:s,s:i,s:i,s:s,s:s}", "time", (json_int_t)time, "id", id, "name", "api",
                     "instance", 0, "run", 5, "stream", stream, "text", text);
}

static char *render_text(const char *stream, const char *text, struct logline_style style)
{
    json_t *line = line_of(1760796202123456, 7, stream, text);
    struct buf b = {0};

    logline_render(&b, line, &style);
    json_decref(line);
    return buf_steal(&b);
}

static void check(const char *stream, const char *text, struct logline_style style, const char *want)
{
    _cleanup_free_ char *got = render_text(stream, text, style);

    assert_string_equal(got, want);
}

static void test_render(void **state)
{
    const struct logline_style pipe = {.label_width = 8}, screen = {.terminal = true, .label_width = 5};
    const struct logline_style color = {.terminal = true, .color = true}, raw = {.form = LOGLINE_RAW};

    (void)state;
    check("out", "hello", pipe, "7|api    | hello\n");
    check("out", "", pipe, "7|api    | \n");
    check("out", "a\033[2Jb", pipe, "7|api    | a\033[2Jb\n");
    check("out", "a\033[2Jb\r", screen, "7|api | a^[[2Jb\n");
    check("out", "\033[32mok", screen, "7|api | ok\n");
    check("err", "\033[32mok", color, "\033[31m7|api | \033[0m\033[32mok\033[0m\n");
    check("out", "a\033[2Jb\r", raw, "a\033[2Jb\r\n");
}

static void test_timestamp(void **state)
{
    const struct logline_style style = {.time_format = "YYYY-MM-DD HH:mm:ss.SSS"};

    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    check("out", "x", style, "7|api | 2025-10-18 14:03:22.123 x\n");
}

static void test_words(void **state)
{
    const struct logline_style words = {.form = LOGLINE_WORDS}, screen = {.terminal = true,
                                                                          .color = true,
                                                                          .form = LOGLINE_PREFIXED,
                                                                          .highlight = "GET"};

    (void)state;
    check("err", "oh no", words,
          "timestamp=2025-10-18T14:03:22.123Z app=api id=7 type=error message=oh no\n");
    check("err", "a GET b GET", screen,
          "\033[31m7|api | \033[0ma \033[7mGET\033[27m b \033[7mGET\033[27m\033[0m\n");
}

static void test_json(void **state)
{
    const struct logline_style style = {.form = LOGLINE_JSON};
    _cleanup_free_ char *text = render_text("out", "x", style);
    json_t *back = json_loads(text, 0, NULL);

    (void)state;
    assert_non_null(back);
    assert_string_equal(json_string_value(json_object_get(back, "message")), "x");
    assert_string_equal(json_string_value(json_object_get(back, "timestamp")), "2025-10-18T14:03:22.123Z");
    assert_int_equal(json_integer_value(json_object_get(back, "process_id")), 7);
    json_decref(back);
}

static void test_base64(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {{"", ""},        {"YQ==", "a"},        {"YWI=", "ab"},
                 {"YWJj", "abc"}, {"/+8=", "\xff\xef"}, {"YW*j", "a"}};
    const struct logline_style raw = {.form = LOGLINE_RAW}, screen = {.terminal = true};
    json_t *line = line_of(1, 7, "out", "");
    struct buf b = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_puts(&b, "");
        logline_base64(&b, cases[i].in);
        assert_int_equal(b.len, strlen(cases[i].out));
        assert_memory_equal(b.data, cases[i].out, b.len);
        buf_free(&b);
    }
    json_object_del(line, "text");
    json_object_set_new(line, "base64", json_string("Yf8="));
    logline_render(&b, line, &raw);
    assert_string_equal(b.data, "a\xff\n");
    buf_free(&b);
    logline_render(&b, line, &screen);
    assert_string_equal(b.data, "7|api | a\\xff\n");
    buf_free(&b);
    json_decref(line);
}

/* A history from "time text" pairs. */
static json_t *history_of(const long long *times, const char *const *texts, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, line_of(times[i], 7, "out", texts[i]));
    return list;
}

static void check_new(const struct logseen *s, const json_t *history, size_t asked, const char *want,
                      bool want_gap)
{
    bool gap;
    json_t *fresh = logseen_new_lines(s, history, asked, &gap), *line;
    struct buf b = {0};
    size_t i;

    json_array_foreach (fresh, i, line)
        buf_puts(&b, json_string_value(json_object_get(line, "text")));
    assert_string_equal(b.data ? b.data : "", want);
    assert_int_equal(gap, want_gap);
    json_decref(fresh);
    buf_free(&b);
}

static void test_seen(void **state)
{
    /* Four equal lines of one read, of which two were shown; older ones were never asked for. */
    const long long times[] = {10, 20, 30, 30, 30, 30, 40, 50};
    const char *const texts[] = {"a", "b", "x", "x", "x", "x", "c", "d"};
    struct logseen *s = xmalloc(sizeof(*s));
    json_t *history = history_of(times, texts, ARRAY_LEN(times)), *line;
    size_t i;

    (void)state;
    logseen_init(s, 25);
    check_new(s, history, 100, "xxxxcd", false); /* nothing was shown: what is later than the beginning */
    json_array_foreach (history, i, line)
        if (i >= 1 && i < 4)
            logseen_add(s, line);
    check_new(s, history, 100, "xxcd", false);
    check_new(s, history, ARRAY_LEN(times), "xxcd", false);
    for (i = 4; i < ARRAY_LEN(times); i++)
        logseen_add(s, json_array_get(history, i));
    check_new(s, history, 100, "", false);
    json_decref(history);
    free(s);
}

static void test_seen_gap(void **state)
{
    const long long old_times[] = {1, 2}, new_times[] = {100, 101};
    const char *const texts[] = {"a", "b"};
    struct logseen *s = xmalloc(sizeof(*s));
    json_t *old = history_of(old_times, texts, 2), *fresh = history_of(new_times, texts, 2);

    (void)state;
    logseen_init(s, 0);
    logseen_add(s, json_array_get(old, 0));
    logseen_add(s, json_array_get(old, 1));
    check_new(s, fresh, 2, "ab", true);
    check_new(s, fresh, 3, "ab", false);
    json_decref(old);
    json_decref(fresh);
    free(s);
}

static void test_seen_many(void **state)
{
    struct logseen *s = xmalloc(sizeof(*s));
    json_t *history = json_array();

    (void)state;
    logseen_init(s, 0);
    for (int i = 0; i < 3 * LOGSEEN_MAX; i++) {
        json_t *line = line_of(i, 7, "out", "t");

        if (i < 2 * LOGSEEN_MAX + 10)
            logseen_add(s, line);
        if (i >= 2 * LOGSEEN_MAX - 10 && i < 2 * LOGSEEN_MAX + 13)
            json_array_append(history, line);
        json_decref(line);
    }
    check_new(s, history, LOGSEEN_MAX, "ttt", false);
    json_decref(history);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_render),   cmocka_unit_test(test_timestamp), cmocka_unit_test(test_json),
        cmocka_unit_test(test_words),    cmocka_unit_test(test_base64),    cmocka_unit_test(test_seen),
        cmocka_unit_test(test_seen_gap), cmocka_unit_test(test_seen_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
