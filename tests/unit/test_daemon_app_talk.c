/* What an app may say on its channel: parsed or passed on, and bounded whatever it is. And how events look.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/mem.h"
#include "daemon/app_talk.h"
#include "daemon/engine.h"
#include "daemon/events.h"

static enum app_word_kind kind_of(const char *line)
{
    struct app_word w;

    app_word_parse(&w, line, strlen(line));
    app_word_deinit(&w);
    return w.kind;
}

static bool take(struct app_talk *t, const char *line)
{
    struct app_word w;
    bool changed;

    app_word_parse(&w, line, strlen(line));
    changed = app_talk_take(t, &w);
    app_word_deinit(&w);
    return changed;
}

static void kinds_by_type(void **state)
{
    (void)state;
    assert_int_equal(kind_of("{\"type\":\"axm:monitor\",\"data\":{}}"), APP_MONITOR);
    assert_int_equal(kind_of("{\"data\":{},\"type\":\"axm:action\"}"), APP_ACTION);
    assert_int_equal(kind_of("{\"type\":\"axm:option\",\"data\":{}}"), APP_OPTION);
    assert_int_equal(kind_of("{\"type\":\"axm:option:configuration\",\"data\":{}}"), APP_OPTION);
    assert_int_equal(kind_of("{\"type\":\"axm:reply\",\"data\":{}}"), APP_REPLY);
    assert_int_equal(kind_of("{\"type\":\"process:exception\",\"data\":{}}"), APP_EXCEPTION);
    assert_int_equal(kind_of("{\"type\":\"human:event\"}"), APP_HUMAN);
    assert_int_equal(kind_of("{\"type\":\"process:msg\",\"data\":1}"), APP_MESSAGE);
    assert_int_equal(kind_of("{\"type\":\"shop:order\",\"data\":1}"), APP_MESSAGE);
    assert_int_equal(kind_of("{\"type\":7}"), APP_MESSAGE);
    assert_int_equal(kind_of("\"text\""), APP_MESSAGE);
    assert_int_equal(kind_of("null"), APP_MESSAGE);
    assert_int_equal(kind_of("[1,2]"), APP_MESSAGE);
}

/* What JSON.stringify writes and a strict parser refuses. */
static void what_node_writes(void **state)
{
    struct app_word w;
    const char *big = "{\"type\":\"process:msg\",\"data\":123456789012345678901234567890}";

    (void)state;
    assert_int_equal(kind_of("\"a\\u0000b\""), APP_MESSAGE);
    app_word_parse(&w, big, strlen(big));
    assert_int_equal(w.kind, APP_MESSAGE);
    assert_true(json_is_real(w.data));
    app_word_deinit(&w);
    assert_int_equal(kind_of("{\"a\\u0000b\":1}"), APP_RAW);
    assert_int_equal(kind_of("\"\\ud800\""), APP_RAW);
    assert_int_equal(kind_of(""), APP_RAW);
    assert_int_equal(kind_of("{\"type\":\"axm:monitor\""), APP_RAW);
    assert_int_equal(kind_of("\xff\xfe"), APP_RAW);
}

static void long_and_deep_lines(void **state)
{
    char *line = xmalloc(APP_LINE_MAX + 2);
    struct app_word w;

    (void)state;
    memset(line, '[', APP_LINE_MAX + 1);
    line[APP_LINE_MAX + 1] = '\0';
    assert_int_equal(kind_of(line), APP_TOO_LONG);
    app_word_parse(&w, line, APP_LINE_MAX);
    assert_int_equal(w.kind, APP_RAW);
    app_word_deinit(&w);
    for (size_t depth = APP_DEPTH_MAX; depth <= APP_DEPTH_MAX + 1; depth++) {
        memset(line, '[', depth);
        strcpy(line + depth, "\"]\\\"[{\"");
        memset(line + depth + strlen(line + depth), ']', depth);
        app_word_parse(&w, line, 2 * depth + 7);
        assert_int_equal(w.kind, depth > APP_DEPTH_MAX ? APP_RAW : APP_MESSAGE);
        app_word_deinit(&w);
    }
    free(line);
}

static void what_is_kept(void **state)
{
    struct app_talk *t = app_talk_new();
    char *names;

    (void)state;
    assert_true(take(t, "{\"type\":\"axm:action\",\"data\":{\"action_name\":\"b\",\"arity\":1}}"));
    assert_true(take(t, "{\"type\":\"axm:action\",\"data\":{\"action_name\":\"a\"}}"));
    /* the same again is nothing new; with something else it is */
    assert_false(take(t, "{\"type\":\"axm:action\",\"data\":{\"action_name\":\"a\"}}"));
    assert_true(take(t, "{\"type\":\"axm:action\",\"data\":{\"action_name\":\"a\",\"arity\":2}}"));
    /* metrics come again by themselves */
    assert_false(take(t, "{\"type\":\"axm:monitor\",\"data\":{\"x\":{\"value\":1},\"y\":2}}"));
    assert_false(take(t, "{\"type\":\"axm:monitor\",\"data\":{\"x\":{\"value\":7}}}"));
    assert_true(take(t, "{\"type\":\"axm:option\",\"data\":{\"error\":true}}"));
    names = app_talk_actions(t);
    assert_string_equal(names, "b, a");
    free(names);
    assert_true(app_talk_has_action(t, "b"));
    assert_false(app_talk_has_action(t, "c"));
    assert_false(app_talk_has_action(NULL, "b"));
    assert_int_equal(json_object_size(t->monitor), 2);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(t->monitor, "x"), "value")), 7);
    assert_true(json_is_true(json_object_get(t->options, "error")));
    /* nonsense is nothing */
    assert_false(take(t, "{\"type\":\"axm:action\",\"data\":{\"action_name\":7}}"));
    assert_false(take(t, "{\"type\":\"axm:action\",\"data\":{\"action_name\":\"\"}}"));
    assert_false(take(t, "{\"type\":\"axm:action\",\"data\":{\"action_name\":\"a\\u0000\"}}"));
    assert_false(take(t, "{\"type\":\"axm:action\"}"));
    assert_false(take(t, "{\"type\":\"axm:monitor\",\"data\":[1]}"));
    assert_false(take(t, "{\"type\":\"axm:option\",\"data\":null}"));
    assert_int_equal(json_object_size(t->actions), 2);
    assert_int_equal(t->refused, 0);
    app_talk_free(t);
}

static void counts_are_bounded(void **state)
{
    struct app_talk *t = app_talk_new();
    char line[128];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(line, sizeof(line), "{\"type\":\"axm:action\",\"data\":{\"action_name\":\"a%d\"}}", i);
        assert_int_equal(take(t, line), i < (int)APP_ACTIONS_MAX);
        snprintf(line, sizeof(line), "{\"type\":\"axm:monitor\",\"data\":{\"m%d\":{\"value\":%d}}}", i, i);
        take(t, line);
    }
    assert_int_equal(json_object_size(t->actions), APP_ACTIONS_MAX);
    assert_int_equal(json_object_size(t->monitor), APP_METRICS_MAX);
    assert_true(t->refused > 0);
    /* what is there can still change */
    take(t, "{\"type\":\"axm:monitor\",\"data\":{\"m3\":{\"value\":-1}}}");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(t->monitor, "m3"), "value")), -1);
    app_talk_free(t);
}

static void bytes_are_bounded(void **state)
{
    struct app_talk *t = app_talk_new();
    char *text = xmalloc(30001);

    (void)state;
    memset(text, 'x', 30000);
    text[30000] = '\0';
    for (int i = 0; i < 5; i++) {
        char *line = xasprintf("{\"type\":\"axm:monitor\",\"data\":{\"m%d\":\"%s\"}}", i, text);

        take(t, line);
        free(line);
    }
    assert_int_equal(json_object_size(t->monitor), 2);
    assert_int_equal(t->refused, 3);
    assert_in_range(t->bytes, 60000, APP_TALK_MAX);
    /* smaller ones make room */
    take(t, "{\"type\":\"axm:monitor\",\"data\":{\"m0\":1,\"m1\":1}}");
    assert_in_range(t->bytes, 1, 100);
    assert_true(take(t, "{\"type\":\"axm:action\",\"data\":{\"action_name\":\"a\"}}"));
    /* a name that is too long */
    text[APP_NAME_MAX + 1] = '\0';
    char *line = xasprintf("{\"type\":\"axm:action\",\"data\":{\"action_name\":\"%s\"}}", text);
    assert_false(take(t, line));
    free(line);
    free(text);
    app_talk_free(t);
}

/* The writer may be killed after any byte: what was whole counts, and the next line takes the place of the
 * rest. */
static void the_journal_cut_anywhere(void **state)
{
    static const char first[] = "{\"type\":\"axm:action\",\"data\":{\"action_name\":\"first\"}}",
                      second[] =
                          "{\"type\":\"axm:action\",\"data\":{\"action_name\":\"second\",\"arity\":2}}",
                      third[] = "{\"type\":\"axm:action\",\"data\":{\"action_name\":\"3\"}}";
    size_t whole = sizeof(second); /* with the line break */

    (void)state;
    for (size_t cut = 0; cut <= whole; cut++) {
        int fd = memfd_create("test", MFD_CLOEXEC);
        struct app_talk *t = app_talk_new();
        size_t end = 0, first_end;

        assert_int_equal(app_journal_add(fd, &end, first, strlen(first)), 0);
        first_end = end;
        assert_int_equal(app_journal_add(fd, &end, second, strlen(second)), 0);
        assert_int_equal(ftruncate(fd, (off_t)(first_end + cut)), 0);
        app_journal_read(fd, &end, t);
        assert_int_equal(json_object_size(t->actions), cut == whole ? 2 : 1);
        assert_int_equal(end, cut == whole ? first_end + whole : first_end);
        assert_int_equal(app_journal_add(fd, &end, third, strlen(third)), 0);
        app_talk_free(t);
        t = app_talk_new();
        app_journal_read(fd, &end, t);
        assert_true(app_talk_has_action(t, "first"));
        assert_true(app_talk_has_action(t, "3"));
        assert_int_equal(json_object_size(t->actions), cut == whole ? 3 : 2);
        app_talk_free(t);
        close(fd);
    }
}

static void the_journal_is_renewed(void **state)
{
    struct app_talk *t = app_talk_new(), *again = app_talk_new();
    size_t end, read_end;
    int fd;

    (void)state;
    take(t, "{\"type\":\"axm:option\",\"data\":{\"error\":true,\"n\":1}}");
    take(t, "{\"type\":\"axm:action\",\"data\":{\"action_name\":\"\xc3\xa9 \\u0001\",\"opts\":null}}");
    take(t, "{\"type\":\"axm:action\",\"data\":{\"action_name\":\"b\",\"arity\":2}}");
    fd = app_journal_new(t, &end);
    assert_true(fd >= 0);
    app_journal_read(fd, &read_end, again);
    assert_int_equal(read_end, end);
    assert_true(json_equal(t->actions, again->actions));
    assert_true(json_equal(t->options, again->options));
    close(fd);
    app_talk_free(t);
    app_talk_free(again);
}

/* ---- events ---- */

static json_t *written(const struct event *ev)
{
    struct buf b = {0};
    json_t *j;

    event_write(&b, ev, 1234);
    assert_null(memchr(b.data, '\n', b.len));
    j = json_loads(b.data, JSON_ALLOW_NUL, NULL);
    assert_non_null(j);
    buf_free(&b);
    return j;
}

static void an_event_in_full(void **state)
{
    char name[] = "api", ns[] = "shop";
    struct app_spec spec = {.name = name, .ns = ns};
    struct app app = {.spec = &spec};
    struct process p = {.id = 3, .app = &app, .instance = 1, .run = 9, .pid = 77};
    json_t *j = written(&(struct event){.kind = EVENT_EXIT,
                                        .p = &p,
                                        .manually = true,
                                        .by = "pm stop",
                                        .text = "was killed\n\xff",
                                        .has_exit = true,
                                        .exit_code = -1,
                                        .signal = 9});
    json_t *want = json_pack("{s:i,s:s,s:s,s:i,s:s,s:s,s:i,s:i,s:i,s:b,s:s,s:i,s:s}", "time", 1234, "channel",
                             "process:event", "event", "exit", "id", 3, "name", "api", "namespace", "shop",
                             "instance", 1, "run", 9, "pid", 77, "manually", 1, "by", "pm stop", "signal", 9,
                             "text", "was killed\n\xef\xbf\xbd");

    (void)state;
    assert_true(json_equal(j, want));
    json_decref(j);
    json_decref(want);
}

static void an_event_of_the_daemon(void **state)
{
    json_t *j = written(&(struct event){.kind = EVENT_LOG_TROUBLE, .text = "disk"});
    json_t *want = json_pack("{s:i,s:s,s:s,s:s}", "time", 1234, "channel", "pm:event", "event", "log trouble",
                             "text", "disk");

    (void)state;
    assert_true(json_equal(j, want));
    json_decref(j);
    json_decref(want);
    j = written(&(struct event){.kind = EVENT_MESSAGE, .raw = "\"\\ud800\xff\"", .raw_len = 9});
    assert_string_equal(json_string_value(json_object_get(j, "raw")), "\"\\ud800\xef\xbf\xbd\"");
    json_decref(j);
}

static void each_kind_has_words(void **state)
{
    (void)state;
    for (int kind = 0; kind < EVENT_KIND_COUNT; kind++) {
        assert_non_null(event_word((enum event_kind)kind));
        assert_int_equal(event_is_stored((enum event_kind)kind), kind < EVENT_MESSAGE);
    }
}

static char heard[4096];

static void hear(void *arg, const char *json, size_t len)
{
    snprintf(heard + strlen(heard), sizeof(heard) - strlen(heard), "%s%.*s|", (const char *)arg, (int)len,
             json);
}

static void who_hears(void **state)
{
    static const uint32_t ids[] = {1, 5, 9};
    struct event_listener all = {.event = hear, .arg = "all:"},
                          some = {.event = hear, .arg = "some:", .ids = ids, .n_ids = 3};
    struct engine *e = xcalloc(1, sizeof(*e));

    (void)state;
    assert_true(event_is_for(&all, 7));
    assert_true(event_is_for(&all, STORE_NO_PROCESS));
    assert_true(event_is_for(&some, 5));
    assert_false(event_is_for(&some, 6));
    assert_false(event_is_for(&some, STORE_NO_PROCESS));
    TAILQ_INIT(&e->listeners);
    event_emit(e, &(struct event){.kind = EVENT_KILL}); /* nobody: nothing */
    TAILQ_INSERT_TAIL(&e->listeners, &all, entry);
    TAILQ_INSERT_TAIL(&e->listeners, &some, entry);
    event_emit(e, &(struct event){.kind = EVENT_KILL});
    assert_non_null(strstr(heard, "all:{"));
    assert_null(strstr(heard, "some:"));
    free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_by_type),
        cmocka_unit_test(what_node_writes),
        cmocka_unit_test(long_and_deep_lines),
        cmocka_unit_test(what_is_kept),
        cmocka_unit_test(counts_are_bounded),
        cmocka_unit_test(bytes_are_bounded),
        cmocka_unit_test(the_journal_cut_anywhere),
        cmocka_unit_test(the_journal_is_renewed),
        cmocka_unit_test(an_event_in_full),
        cmocka_unit_test(an_event_of_the_daemon),
        cmocka_unit_test(each_kind_has_words),
        cmocka_unit_test(who_hears),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
