/*
 * Restarts of apps whose files have changed (`watch`). One inotify descriptor for all apps; folders are
 * walked on a thread (watch_scan.h), events are read from the loop, changes gathered (watch_calm.h), and then
 * the app's processes are restarted (act.h). Where the kernel has no watches left, files are polled.
 */
#ifndef PM_DAEMON_WATCH_H
#define PM_DAEMON_WATCH_H

#include <stdbool.h>

struct app;
struct engine;
struct jsonw;
struct watches;

struct watches *watches_new(struct engine *e);
void watches_free(struct watches *w); /* accepts NULL; a walk that is under way ends by itself */

/* The app is new, or its configuration may be another one. */
void watch_app(struct engine *e, struct app *a);
/* It goes. */
void watch_forget(struct app *a);

/* Are its files watched, as far as that is known? False as well when there are too many folders. */
bool watch_is_on(const struct app *a);
/* How, in an object: method, folders, trouble. Nothing when it has no `watch`. */
void watch_write(struct jsonw *w, const struct app *a);

#endif
