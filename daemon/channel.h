/*
 * Our end of a child's Node IPC channel: lines of JSON in both directions. The engine may die between any two
 * instructions, so input is peeked, handled, and only then consumed; handling a line twice does no harm.
 */
#ifndef PM_DAEMON_CHANNEL_H
#define PM_DAEMON_CHANNEL_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct channel;

/* One line, without the newline, not NUL-terminated. */
typedef void (*channel_line_cb)(void *arg, uint64_t run, const char *line, size_t len);

/* `fd` stays the caller's and must outlive the channel. */
struct channel *channel_new(uv_loop_t *loop, int fd, uint64_t run, channel_line_cb line, void *arg);
void channel_free(struct channel *c); /* accepts NULL */

/* Sends one line of JSON (without newline) if it fits whole now: 0, else negative errno. */
int channel_send(struct channel *c, const char *json);

#endif
