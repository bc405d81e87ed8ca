/*
 * What a config file says, whatever its format: scalars, lists and maps, each with the place where it stands.
 * The readers build it, everything else only looks at it. Private to config/.
 *
 * All memory belongs to the tree and is bounded: depth, number of nodes and bytes of text, also when YAML
 * aliases multiply what the file itself holds.
 */
#ifndef PM_CONFIG_TREE_H
#define PM_CONFIG_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/diag.h"

#define TREE_DEPTH_MAX 32
#define TREE_NODES_MAX 200000u
#define TREE_BYTES_MAX (64u * 1024 * 1024) /* texts and keys after aliases are expanded */
#define TREE_INPUT_MAX (16u * 1024 * 1024) /* bytes of one file */

enum tree_kind { TREE_NULL, TREE_BOOL, TREE_INT, TREE_FLOAT, TREE_STRING, TREE_LIST, TREE_MAP };

struct tree_node {
    enum tree_kind kind;
    unsigned line, col; /* 1-based; col counts characters */
    const char *text;   /* scalars: the source text, for strings the value; NUL-terminated, no NUL inside */

    struct tree_node *first, *last; /* lists and maps, in file order */
    unsigned count;

    struct tree_node *next; /* sibling */
    const char *key;        /* set when the parent is a map */
    unsigned key_line, key_col;
    bool key_merge;   /* a plain `<<` of YAML */
    bool anchored;    /* it, or something in it, has a YAML anchor */
    bool substituted; /* a text with variables in it: what it means depends on where it stands */
};

struct tree_chunk;

struct tree {
    struct tree_node *root; /* NULL until a reader succeeded */
    struct tree_chunk *chunks;
    size_t n_nodes, n_bytes;
    size_t nodes_max; /* 0 = TREE_NODES_MAX */
};

void tree_deinit(struct tree *t);

/* NULL when the bound on nodes or bytes is reached. */
struct tree_node *tree_node_new(struct tree *t, enum tree_kind kind, unsigned line, unsigned col);
const char *tree_text(struct tree *t, const char *text, size_t len);
struct tree_node *tree_copy(struct tree *t, const struct tree_node *from);

void tree_append(struct tree_node *parent, struct tree_node *child);
const struct tree_node *tree_get(const struct tree_node *map, const char *key); /* NULL when absent */

/* Reports keys that a map holds twice; false when there was one. */
bool tree_check_keys(struct tree_node *map, struct diag *d);

/* Two keys as qsort compares pointers to nodes; equal keys keep their order in the file. */
int tree_by_key(const void *a, const void *b);

bool tree_is_scalar(const struct tree_node *n);

/* "a list", "the string "x"", "the number 5"...: what was found where something else was expected. */
const char *tree_describe(const struct tree_node *n, char out[QUOTE_MAX + 16]);

/* The value as compact JSON text, for environment variables with structured values. */
struct buf;
void tree_to_json_text(const struct tree_node *n, struct buf *out);

/*
 * Readers: 0 with t->root set, or -EINVAL with the errors in `d`. `text` need not be NUL-terminated.
 * json_read gives -EBADMSG for what is not JSON at all, so that the caller may try it as another language.
 */
int yaml_read(struct tree *t, const char *text, size_t len, struct diag *d);
int json_read(struct tree *t, const char *text, size_t len, struct diag *d);

#endif
