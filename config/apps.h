/* The apps of a config. Private to config/. */
#ifndef PM_CONFIG_APPS_H
#define PM_CONFIG_APPS_H

#include "config/app_read.h"

/* Is this the key beside which only a few others may stand? */
bool apps_is_key(const char *key);

/* Reads all apps into `out`; errors go to source->diag and leave out the app that they are about. */
void apps_read(struct app_source *source, const struct tree_node *root, struct app_list *out);

#endif
