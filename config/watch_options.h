/* The keys inside `watch_options`. */
#ifndef PM_CONFIG_WATCH_OPTIONS_H
#define PM_CONFIG_WATCH_OPTIONS_H

#include "config/options.h"

extern const struct option_group watch_group;

#endif
