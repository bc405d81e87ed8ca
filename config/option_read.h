/* From values of a config file to fields of struct app_spec. Private to config/. */
#ifndef PM_CONFIG_OPTION_READ_H
#define PM_CONFIG_OPTION_READ_H

#include <stdbool.h>

#include "config/options.h"
#include "config/tree.h"

/*
 * Checks the value and stores it in `base`, the struct app_spec (STORE_NONE and STORE_ENV: only checks its
 * type; the caller stores it). False after an error in `d`, which names the key as it stands in the file.
 */
bool option_read(const struct option_row *o, void *base, const struct tree_node *value, struct diag *d);

#endif
