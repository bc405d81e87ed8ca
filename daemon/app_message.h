/* Application messages on a Node channel: from apps to who listens and what is kept of them, and back. */
#ifndef PM_DAEMON_APP_MESSAGE_H
#define PM_DAEMON_APP_MESSAGE_H

#include <jansson.h>
#include <stddef.h>

struct engine;
struct process;

/* A message that is sent at once is sent whole, or not at all, up to this size (bytes of its line): a Unix
 * stream takes so much in one piece. */
#define APP_SEND_MAX (16u * 1024)

/*
 * A line of the current run's channel that is not Node's own; without its line break. Whatever it is: it is
 * taken, passed on or dropped, and never a reason to do anything to the app. To be handled twice (a killed
 * engine) does no harm.
 */
void app_message(struct engine *e, struct process *p, const char *line, size_t len);

/* Sends any JSON value to the current run. 0; -ENOTCONN when it has no channel, -E2BIG when it is larger than
 * APP_SEND_MAX, -EAGAIN when the app does not read. */
int app_message_send(struct process *p, const json_t *message);

/* What a run had announced to an earlier engine. Nothing when there was none. */
void app_message_restore(struct engine *e, struct process *p);

/* The current run is over: forgets what it had announced, and tells who waits for a reply. */
void app_message_ended(struct engine *e, struct process *p);

#endif
