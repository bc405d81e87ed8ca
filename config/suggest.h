/* "Did you mean ...?" for mistyped keys, commands and flags. */
#ifndef PM_CONFIG_SUGGEST_H
#define PM_CONFIG_SUGGEST_H

struct suggestion {
    const char *typed;
    const char *best; /* the nearest word offered so far, or NULL when none is near enough */
    unsigned distance;
};

struct suggestion suggestion_start(const char *typed);
void suggestion_offer(struct suggestion *s, const char *word); /* `word` must outlive the suggestion */

/* Edits (insert, delete, replace, swap of neighbours) from a to b, without regard to case, "_" and "-". */
unsigned suggest_distance(const char *a, const char *b);

#endif
