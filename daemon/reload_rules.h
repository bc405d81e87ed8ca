/* Which apps can be reloaded without a gap. */
#ifndef PM_DAEMON_RELOAD_RULES_H
#define PM_DAEMON_RELOAD_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "config/spec.h"

/*
 * Can a new process of `will` run beside an old one of `has`? When not, it is a restart, and `why` says so
 * for the user: "restarted: ...". `will` may be `has`.
 */
bool reload_is_gapless(const struct app_spec *has, const struct app_spec *will, char *why, size_t size);

#endif
