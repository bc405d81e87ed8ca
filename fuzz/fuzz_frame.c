/*
 * What a client can send: bytes to lines, in pieces of a size that the first byte chooses, lines to messages,
 * messages against the method table. The lines must not depend on where the pieces end.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/err.h"
#include "ipc/frame.h"
#include "ipc/methods.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct count {
    size_t lines, bytes;
    unsigned stop_every; /* 0: never */
};

static bool on_line(void *arg, const char *text, size_t len)
{
    struct count *c = arg;
    struct rpc_message m;
    struct err e = {0};
    int rc = rpc_message_parse(text, len, &m, &e), id;

    c->lines++;
    c->bytes += len;
    if (rc == 0) {
        id = method_find(m.method);
        if (id >= 0 && method_check(&methods[id], m.params, &e) < 0 && !e.msg[0])
            abort(); /* a refusal has words */
    } else if (!e.msg[0]) {
        abort();
    }
    rpc_message_deinit(&m);
    return !c->stop_every || c->lines % c->stop_every;
}

static struct count feed(const char *text, size_t len, size_t piece, unsigned stop_every)
{
    struct count c = {.stop_every = stop_every};
    struct buf rest = {0};

    for (size_t at = 0; at < len; at += piece) {
        int rc = frame_feed(&rest, text + at, len - at < piece ? len - at : piece, on_line, &c);

        while (rc == 1)
            rc = frame_resume(&rest, on_line, &c);
        if (rc < 0)
            break;
    }
    c.bytes += rest.len;
    buf_free(&rest);
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct count whole, pieces;

    if (size < 2)
        return 0;
    whole = feed((const char *)data + 2, size - 2, size, 0);
    pieces = feed((const char *)data + 2, size - 2, data[0] % 64u + 1, data[1] % 4u);
    if (whole.lines != pieces.lines || whole.bytes != pieces.bytes)
        abort();
    return 0;
}
