/*
 * Places in a tree that no file shows line by line: what node has printed. Its nodes get numbers instead of
 * lines, and a number is told as the way from the top, such as apps[0].env.PORT. Private to config/.
 */
#ifndef PM_CONFIG_TREE_PATH_H
#define PM_CONFIG_TREE_PATH_H

#include "config/tree.h"

/* From 1 in the order of the file, into `line` and `key_line`; the columns become 0. */
void tree_number(struct tree_node *root);

/*
 * The way to the node with this number; empty for the root. `last` is its own key, NULL when it is an item of
 * a list. The text is for free().
 */
char *tree_path(const struct tree_node *root, unsigned number, const char **last);

#endif
