#include "ipc/frame.h"

#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "ipc/methods.h"

/* The line that began in `rest` ends with these bytes. */
static bool end_line(struct buf *rest, const char *data, size_t n, frame_line line, void *arg)
{
    struct buf whole = *rest;
    bool go_on;

    if (!rest->len)
        return line(arg, data, n);
    *rest = (struct buf){0};
    buf_append(&whole, data, n);
    go_on = line(arg, whole.data, whole.len);
    buf_free(&whole);
    return go_on;
}

int frame_feed(struct buf *rest, const char *data, size_t len, frame_line line, void *arg)
{
    while (len > 0) {
        const char *end = memchr(data, '\n', len);
        size_t n = end ? (size_t)(end - data) : len;
        bool go_on;

        if (rest->len + n > FRAME_MAX)
            return -EMSGSIZE;
        if (!end) {
            buf_append(rest, data, n);
            return 0;
        }
        go_on = end_line(rest, data, n, line, arg);
        data += n + 1;
        len -= n + 1;
        if (!go_on) {
            buf_append(rest, data, len);
            return 1;
        }
    }
    return 0;
}

int frame_resume(struct buf *rest, frame_line line, void *arg)
{
    struct buf all = *rest;
    int rc;

    *rest = (struct buf){0};
    rc = frame_feed(rest, all.data, all.len, line, arg);
    buf_free(&all);
    return rc;
}

bool frame_too_deep(const char *text, size_t len)
{
    unsigned depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > FRAME_DEPTH)
                return true;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}

static int check_request(struct rpc_message *m, struct err *e)
{
    json_t *method, *id, *version;

    if (!json_is_object(m->root))
        return err_set(e, RPC_INVALID, "a request is one JSON object");
    version = json_object_get(m->root, "jsonrpc");
    id = json_object_get(m->root, "id");
    if (id && !json_is_string(id) && !json_is_integer(id))
        return err_set(e, RPC_INVALID, "the id of a request is a string or an integer");
    m->id = id;
    if (version && (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0))
        return err_set(e, RPC_INVALID, "\"jsonrpc\" must be \"2.0\"");
    method = json_object_get(m->root, "method");
    if (!json_is_string(method))
        return err_set(e, RPC_INVALID, "a request has a \"method\", a string");
    m->method = json_string_value(method);
    m->params = json_object_get(m->root, "params");
    if (!m->params) {
        m->params = json_object();
        json_object_set_new(m->root, "params", m->params);
    }
    return 0;
}

/* A number that JSON allows and nothing here can hold: the id is read all the same, for the answer. */
static int number_too_large(const char *text, size_t len, struct rpc_message *out, struct err *e)
{
    out->root = json_loadb(text, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    out->id = json_object_get(out->root, "id");
    if (json_is_real(out->id) && json_real_value(out->id) >= -9e15 && json_real_value(out->id) <= 9e15) {
        json_object_set_new(out->root, "id", json_integer((json_int_t)json_real_value(out->id)));
        out->id = json_object_get(out->root, "id");
    } else if (!json_is_string(out->id)) {
        out->id = NULL;
    }
    return err_set(e, RPC_BAD_PARAMS, "a number in the request is too large");
}

int rpc_message_parse(const char *text, size_t len, struct rpc_message *out, struct err *e)
{
    json_error_t je;

    *out = (struct rpc_message){0};
    if (frame_too_deep(text, len))
        return err_set(e, RPC_INVALID, "the request is nested deeper than %u", FRAME_DEPTH);
    out->root = json_loadb(text, len, JSON_ALLOW_NUL | JSON_DECODE_ANY, &je);
    if (!out->root && json_error_code(&je) == json_error_numeric_overflow)
        return number_too_large(text, len, out, e);
    if (!out->root)
        return err_set(e, RPC_PARSE, "not JSON: %s", je.text);
    return check_request(out, e);
}

void rpc_message_deinit(struct rpc_message *m)
{
    json_decref(m->root);
    *m = (struct rpc_message){0};
}
