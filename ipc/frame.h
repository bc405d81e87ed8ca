/*
 * Lines out of a byte stream, and requests out of lines. Nothing is stored before its size was checked, and
 * nothing is parsed before its nesting was.
 */
#ifndef PM_IPC_FRAME_H
#define PM_IPC_FRAME_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

struct err;

#define FRAME_MAX   (1024u * 1024) /* bytes of one request, without the newline */
#define FRAME_DEPTH 32u            /* how deep arrays and objects may nest */

/*
 * Takes bytes and calls `line` for each whole line (without the newline; not NUL-terminated), in order. What
 * is left of an unfinished one stays in `rest`. `line` returns false to stop: the bytes behind that line are
 * dropped. 0, or -EMSGSIZE when a line is longer than FRAME_MAX; the stream cannot be used any more then.
 */
int frame_feed(struct buf *rest, const char *data, size_t len,
               bool (*line)(void *arg, const char *text, size_t len), void *arg);

/* Is it nested deeper than FRAME_DEPTH? Brackets inside strings do not count. Looks, without recursion. */
bool frame_too_deep(const char *text, size_t len);

struct rpc_message {
    json_t *root; /* owns all below */
    json_t *id;   /* NULL for a notification */
    const char *method;
    json_t *params; /* an object; never NULL after success */
};

/* 0, or a code of enum rpc_code with words; `out->id` is set when it could be read. Free with
 * rpc_message_deinit. */
int rpc_message_parse(const char *text, size_t len, struct rpc_message *out, struct err *e);
void rpc_message_deinit(struct rpc_message *m);

#endif
