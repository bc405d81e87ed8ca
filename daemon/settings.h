/* The settings that the daemon itself acts on, in one table; all others are the user's own texts. */
#ifndef PM_DAEMON_SETTINGS_H
#define PM_DAEMON_SETTINGS_H

#include "daemon/engine.h"

struct err;

/* 0, or -EINVAL with "<key>: <what is wrong>": a setting that would not act must not be stored. */
int settings_check(const char *key, const char *value, struct err *e);

/* Puts into effect what is stored: after a change of `key`, or all (NULL). */
void settings_apply(struct engine *e, const char *key);

#endif
