#include "unit.h"

#include <errno.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "ipc/frame.h"
#include "ipc/methods.h"

struct seen {
    struct buf text; /* the lines, each with "|" behind */
    unsigned n, stop_at;
};

static bool on_line(void *arg, const char *text, size_t len)
{
    struct seen *s = arg;

    buf_append(&s->text, text, len);
    buf_putc(&s->text, '|');
    return ++s->n != s->stop_at;
}

static void lines_in_any_pieces(void **state)
{
    static const char stream[] = "one\n\ntwo three\nlast\nunfinished";

    (void)state;
    for (size_t piece = 1; piece <= sizeof(stream); piece++) {
        struct seen s = {0};
        struct buf rest = {0};

        for (size_t at = 0; at < sizeof(stream) - 1; at += piece) {
            size_t n = sizeof(stream) - 1 - at < piece ? sizeof(stream) - 1 - at : piece;

            assert_int_equal(frame_feed(&rest, stream + at, n, on_line, &s), 0);
        }
        assert_string_equal(s.text.data, "one||two three|last|");
        assert_string_equal(rest.data, "unfinished");
        buf_free(&rest);
        buf_free(&s.text);
    }
}

static void stops_when_told(void **state)
{
    struct seen s = {.stop_at = 2};
    struct buf rest = {0};

    (void)state;
    assert_int_equal(frame_feed(&rest, "a\nb\nc\nd\ne", 9, on_line, &s), 1);
    assert_string_equal(s.text.data, "a|b|");
    s.stop_at = 3;
    assert_int_equal(frame_resume(&rest, on_line, &s), 1);
    assert_string_equal(s.text.data, "a|b|c|");
    assert_int_equal(frame_resume(&rest, on_line, &s), 0);
    assert_int_equal(frame_feed(&rest, "f\n", 2, on_line, &s), 0);
    assert_string_equal(s.text.data, "a|b|c|d|ef|");
    s.stop_at = 6;
    assert_int_equal(frame_feed(&rest, "g\n", 2, on_line, &s), 1);
    assert_int_equal(rest.len, 0);
    assert_int_equal(frame_resume(&rest, on_line, &s), 0);
    buf_free(&rest);
    buf_free(&s.text);
}

static void longest_line(void **state)
{
    struct seen s = {0};
    struct buf rest = {0};
    char *big = xmalloc(FRAME_MAX + 2);

    (void)state;
    memset(big, 'x', FRAME_MAX + 2);
    assert_int_equal(frame_feed(&rest, big, FRAME_MAX, on_line, &s), 0);
    assert_int_equal(frame_feed(&rest, "\n", 1, on_line, &s), 0);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.text.len, FRAME_MAX + 1);
    assert_int_equal(frame_feed(&rest, big, FRAME_MAX, on_line, &s), 0);
    assert_int_equal(frame_feed(&rest, "x", 1, on_line, &s), -EMSGSIZE);
    buf_free(&rest);
    assert_int_equal(frame_feed(&rest, big, FRAME_MAX + 1, on_line, &s), -EMSGSIZE);
    assert_int_equal(rest.len, 0); /* refused before it was stored */
    assert_int_equal(s.n, 1);
    buf_free(&rest);
    buf_free(&s.text);
    free(big);
}

static int parse(const char *text, struct rpc_message *m, struct err *e)
{
    return rpc_message_parse(text, strlen(text), m, e);
}

static void refused(const char *text, int code, const char *words)
{
    struct rpc_message m;
    struct err e = {0};

    assert_int_equal(parse(text, &m, &e), code);
    assert_non_null(strstr(e.msg, words));
    rpc_message_deinit(&m);
}

static void messages(void **state)
{
    struct rpc_message m;
    struct err e = {0};

    (void)state;
    assert_int_equal(parse("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\",\"params\":{\"a\":1}}", &m, &e),
                     0);
    assert_string_equal(m.method, "ping");
    assert_int_equal(json_integer_value(m.id), 7);
    assert_int_equal(json_integer_value(json_object_get(m.params, "a")), 1);
    rpc_message_deinit(&m);
    assert_int_equal(parse("{\"method\":\"ping\"}", &m, &e), 0);
    assert_null(m.id);
    assert_true(json_is_object(m.params));
    rpc_message_deinit(&m);
    assert_int_equal(parse("{\"method\":\"p\\u0000\",\"id\":\"x\"}", &m, &e), 0);
    assert_string_equal(json_string_value(m.id), "x");
    rpc_message_deinit(&m);

    assert_int_equal(parse("{\"id\":7,\"method\":\"x\",\"params\":{\"n\":99999999999999999999}}", &m, &e),
                     RPC_BAD_PARAMS);
    assert_int_equal(json_integer_value(m.id), 7);
    rpc_message_deinit(&m);
    refused("{\"id\":99999999999999999999,\"method\":\"x\"}", RPC_BAD_PARAMS, "too large");
    refused("{\"id\":1,\"method\":\"x\",\"params\":1e999}", RPC_BAD_PARAMS, "too large");

    refused("", RPC_PARSE, "not JSON");
    refused("{", RPC_PARSE, "not JSON");
    refused("\xff\xfe", RPC_PARSE, "not JSON");
    refused("{} {}", RPC_PARSE, "not JSON");
    refused("[]", RPC_INVALID, "one JSON object");
    refused("[{\"method\":\"ping\",\"id\":1}]", RPC_INVALID, "one JSON object");
    refused("7", RPC_INVALID, "one JSON object");
    refused("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", RPC_INVALID, "2.0");
    refused("{}", RPC_INVALID, "method");
    refused("{\"method\":5,\"id\":1}", RPC_INVALID, "method");
    refused("{\"method\":\"x\",\"id\":1.5}", RPC_INVALID, "id");
    refused("{\"method\":\"x\",\"id\":{}}", RPC_INVALID, "id");
    refused("{\"method\":\"x\",\"id\":true}", RPC_INVALID, "id");
}

static void depth(void **state)
{
    struct buf b = {0};
    struct rpc_message m;
    struct err e = {0};
    char *bomb = xmalloc(FRAME_MAX);

    (void)state;
    for (unsigned i = 0; i < FRAME_DEPTH; i++)
        buf_putc(&b, '[');
    assert_false(frame_too_deep(b.data, b.len));
    buf_putc(&b, '[');
    assert_true(frame_too_deep(b.data, b.len));
    buf_free(&b);
    /* brackets inside strings do not count, whatever is escaped there */
    buf_puts(&b, "[\"");
    for (int i = 0; i < 100; i++)
        buf_puts(&b, "[{\\\"\\\\");
    buf_puts(&b, "\"]");
    assert_false(frame_too_deep(b.data, b.len));
    buf_puts(&b, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
    assert_true(frame_too_deep(b.data, b.len));
    buf_free(&b);
    assert_false(frame_too_deep("]]]]}}}}[\"\\", 11));
    memset(bomb, '[', FRAME_MAX);
    assert_int_equal(rpc_message_parse(bomb, FRAME_MAX, &m, &e), RPC_INVALID);
    rpc_message_deinit(&m);
    free(bomb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_in_any_pieces),
        cmocka_unit_test(stops_when_told),
        cmocka_unit_test(longest_line),
        cmocka_unit_test(messages),
        cmocka_unit_test(depth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
