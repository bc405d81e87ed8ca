/* `depends_on`: which apps are to be up, or done, before this one is started. */
#ifndef PM_CONFIG_DEPENDS_H
#define PM_CONFIG_DEPENDS_H

#include <stddef.h>

struct app_spec;
struct option_group;

struct depends_options {
    char *name;      /* of the other app; all apps of that name are meant, in whatever namespace */
    char *condition; /* "started", "healthy", "completed" or "exited" */
};

/* Has the shape of struct option_list (option_fields.h). */
struct depends_list {
    struct depends_options *v;
    unsigned n;
};

extern const struct option_group depends_group; /* the rows of one entry */

/*
 * Looks through apps that depend on each other by their names; names that none of them has do not count.
 * rank[i] (may be NULL) becomes the number of steps of the longest chain below apps[i]: 0 for one that waits
 * for none of the others. Returns NULL, or the first circle as "a -> b -> a" (for free()), with the numbers
 * of two apps of it that follow each other in `at`; ranks are of no use then.
 */
char *depends_walk(const struct app_spec *const *apps, size_t n, unsigned *rank, size_t at[2]);

#endif
