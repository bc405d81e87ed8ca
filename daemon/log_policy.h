/* Rotation as configured: an app's log_rotate, and the daemon's default, which the settings of pm2-logrotate
 * make. */
#ifndef PM_DAEMON_LOG_POLICY_H
#define PM_DAEMON_LOG_POLICY_H

#include "daemon/engine.h"
#include "logrotate/policy.h"

#define LOG_POLICY_PREFIX "pm2-logrotate:"

/* The app's own policy; false when it has none, and the daemon's default is meant. */
bool log_policy_of_app(const struct app_spec *s, struct log_rotate_policy *out);

/* Is this a setting of the default, and would it be a good one? 0 also for all others; -EINVAL and the
 * message. */
int log_policy_check_setting(const char *key, const char *value, struct err *e);

/* Hands the default to the log path: after the settings were loaded, and when one of them has changed. */
void log_policy_apply(struct engine *e);

#endif
