/* The flag lists that the command table refers to; each ends at a NULL name. */
#ifndef PM_CLI_FLAGS_H
#define PM_CLI_FLAGS_H

#include "cli/commands.h"

extern const struct flag start_flags[];
extern const struct flag json_flags[];
extern const struct flag metrics_flags[];
extern const struct flag why_flags[];
extern const struct flag logs_flags[];
extern const struct flag trigger_flags[];
extern const struct flag events_flags[];
extern const struct flag list_flags[];
extern const struct flag control_flags[];
extern const struct flag logrotate_flags[];
extern const struct flag process_flags[]; /* of what takes no config file */
extern const struct flag signal_flags[];
extern const struct flag light_flags[]; /* of what stops and starts nothing */
extern const struct flag resurrect_flags[];
extern const struct flag save_flags[];

#endif
