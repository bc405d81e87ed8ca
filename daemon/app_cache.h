/*
 * Text of an app's configuration that is asked for again and again: its wire form, which goes with every
 * spawn, and the constant parts of its list records. Made at first use, dropped when the configuration
 * changes.
 */
#ifndef PM_DAEMON_APP_CACHE_H
#define PM_DAEMON_APP_CACHE_H

#include "common/jsonw.h"
#include "daemon/process.h"

/* The wire form; stays the cache's. */
const char *app_spec_text(struct app *a, size_t *len);

/* Key-value pairs of a record, written by `make` at first use, appended to the object that `w` is in. */
enum app_text { APP_TEXT_FLAT_ENV, APP_TEXT_CONFIG, APP_TEXT_COUNT };
void app_text_write(struct app *a, enum app_text which, struct jsonw *w,
                    void (*make)(struct jsonw *w, const struct app_spec *s));

/* Never 0, another one after each drop: for texts kept elsewhere that follow from the configuration. */
uint64_t app_cache_version(struct app *a);

void app_cache_drop(struct app *a); /* the configuration is another one, or the app goes */

#endif
