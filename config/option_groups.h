/* The groups of keys that options.c refers to; those with more to them than rows have files of their own. */
#ifndef PM_CONFIG_OPTION_GROUPS_H
#define PM_CONFIG_OPTION_GROUPS_H

#include "config/options.h"

#define YEAR_MS 31536000000

extern const struct option_group log_rotate_group;
extern const struct option_group log_retention_group;
extern const struct option_group log_rate_limit_group;
extern const struct option_group max_memory_group;
extern const struct option_group max_cpu_group;

#endif
