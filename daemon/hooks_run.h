/*
 * Runs the commands and webhooks of `on` and of the settings "hooks:EVENT". None of it waits: a few run at a
 * time as children of the engine, the others queue, and beyond that they are counted. A hook that is running
 * when the engine ends goes on without it, under the limit of timeout(1).
 */
#ifndef PM_DAEMON_HOOKS_RUN_H
#define PM_DAEMON_HOOKS_RUN_H

#include <stddef.h>

struct engine;
struct event;
struct hooks;

struct hooks *hooks_open(struct engine *e);

/* An event of a process, also as JSON: its hooks are queued. */
void hooks_tell(struct hooks *h, const struct event *ev, const char *json, size_t len);

/* Those that wait are dropped, those that run are left alone. Handles are closed by the loop later. Accepts
 * NULL. */
void hooks_close(struct hooks *h);

#endif
