/* One value from text; what reading files needs of it. The public part is in options.h. */
#ifndef PM_CONFIG_OPTION_TEXT_H
#define PM_CONFIG_OPTION_TEXT_H

#include "config/options.h"
#include "config/tree.h"

#define KIND(k) (1u << (k))                                             /* of enum tree_kind */
#define TEXTS   (KIND(TREE_STRING) | KIND(TREE_INT) | KIND(TREE_FLOAT)) /* `name: 1.10` is meant as text */
#define NUMBERS (KIND(TREE_INT) | KIND(TREE_STRING))

unsigned opt_type_kinds(enum opt_type type); /* KIND() of each kind of value that the type takes */

/* As option_set_text, but -EDOM without a message when only "expected ..., found ..." is to be said. */
int option_try_text(const struct option_row *o, void *base, const char *text, struct err *e);

void option_push_code(struct int_list *list, int code);

#endif
