/* The times of an app: a job's `schedule`, or `cron_restart`. */
#ifndef PM_CONFIG_TIMES_H
#define PM_CONFIG_TIMES_H

#include <stdbool.h>

#include "config/spec.h"

struct err;

/* Does the app run at times, and not otherwise? */
bool app_is_job(const struct app_spec *s);

/* The pattern of its times, whichever of the two keys it is of; NULL when it has none ("0" is none). */
const char *app_times(const struct app_spec *s);

/* The key of that pattern: "schedule" or "cron_restart". */
const char *app_times_key(const struct app_spec *s);

/* Both at once have no meaning. 0, or -EINVAL and a message that names the keys. */
int check_times(const struct app_spec *s, struct err *e);

#endif
