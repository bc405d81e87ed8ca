/* `depends_on` across the apps of one file. Private to config/. */
#ifndef PM_CONFIG_DEPENDS_FILE_H
#define PM_CONFIG_DEPENDS_FILE_H

#include "config/app_read.h"
#include "config/config.h"

/*
 * Names become those that the apps have (name_prefix and --env change them); names that nothing has, and
 * circles, are errors where they stand. nodes[i] is what apps->v[i] was read from.
 */
void depends_check_file(struct app_source *source, const struct tree_node *const *nodes,
                        struct app_list *apps);

#endif
