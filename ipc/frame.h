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

/* One whole line, without its newline and not NUL-terminated. False: stop after this one. */
typedef bool (*frame_line)(void *arg, const char *text, size_t len);

/*
 * Takes bytes and calls `line` for each whole line, in order. What is left of an unfinished one stays in
 * `rest`. 0; 1 when `line` stopped it: what was not looked at is in `rest` then, and frame_resume comes
 * before the next frame_feed; or -EMSGSIZE when a line is longer than FRAME_MAX: the stream is of no use any
 * more.
 */
int frame_feed(struct buf *rest, const char *data, size_t len, frame_line line, void *arg);

/* Goes on after a stop, with the lines that are in `rest`. Same returns. */
int frame_resume(struct buf *rest, frame_line line, void *arg);

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
