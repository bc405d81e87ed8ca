/* What YAML adds to the bare tree: types of plain scalars and merge keys. Private to config/. */
#ifndef PM_CONFIG_YAML_SCALAR_H
#define PM_CONFIG_YAML_SCALAR_H

#include <stdbool.h>

#include "config/tree.h"

/* The kind of an unquoted scalar by the core schema of YAML 1.2: `yes` and `on` are text, not booleans. */
enum tree_kind yaml_scalar_kind(const char *text);

/* The kind that a core tag asks for; false for another tag, or when the text is not of that kind. */
bool yaml_scalar_tagged_kind(const char *tag, const char *text, enum tree_kind *kind);

/*
 * Resolves `<<` in a finished map: the keys of the named maps are added, the map's own win, and of several
 * maps the earlier. False after an error in `d`.
 */
bool yaml_merge_keys(struct tree *t, struct tree_node *map, struct diag *d);

#endif
