#include "config/yaml_scalar.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/mem.h"

static bool one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static size_t digits(const char *s)
{
    return strspn(s, "0123456789");
}

static bool is_int(const char *s)
{
    if (strncmp(s, "0o", 2) == 0)
        return s[2] && s[2 + strspn(s + 2, "01234567")] == '\0';
    if (strncmp(s, "0x", 2) == 0)
        return s[2] && s[2 + strspn(s + 2, "0123456789abcdefABCDEF")] == '\0';
    s += *s == '-' || *s == '+';
    return *s && s[digits(s)] == '\0';
}

static bool is_float(const char *s)
{
    static const char *const nan[] = {".nan", ".NaN", ".NAN", NULL};
    static const char *const inf[] = {".inf", ".Inf", ".INF", NULL};
    size_t whole, part = 0;

    if (one_of(s, nan))
        return true;
    s += *s == '-' || *s == '+';
    if (one_of(s, inf))
        return true;
    whole = digits(s);
    s += whole;
    if (*s == '.') {
        s++;
        part = digits(s);
        s += part;
    }
    if (whole + part == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '-' || *s == '+';
        if (digits(s) == 0)
            return false;
        s += digits(s);
    }
    return *s == '\0';
}

enum tree_kind yaml_scalar_kind(const char *text)
{
    static const char *const null_words[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const bool_words[] = {"true", "True", "TRUE", "false", "False", "FALSE", NULL};

    if (one_of(text, null_words))
        return TREE_NULL;
    if (one_of(text, bool_words))
        return TREE_BOOL;
    if (is_int(text))
        return TREE_INT;
    return is_float(text) ? TREE_FLOAT : TREE_STRING;
}

bool yaml_scalar_tagged_kind(const char *tag, const char *text, enum tree_kind *kind)
{
    static const struct {
        const char *tag;
        enum tree_kind kind;
    } core[] = {
        {YAML_NULL_TAG, TREE_NULL},
        {YAML_BOOL_TAG, TREE_BOOL},
        {YAML_INT_TAG, TREE_INT},
        {YAML_FLOAT_TAG, TREE_FLOAT},
    };

    if (strcmp(tag, "!") == 0 || strcmp(tag, YAML_STR_TAG) == 0) {
        *kind = TREE_STRING;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(core); i++) {
        if (strcmp(tag, core[i].tag) != 0)
            continue;
        *kind = core[i].kind;
        return yaml_scalar_kind(text) == *kind || (*kind == TREE_FLOAT && is_int(text));
    }
    return false;
}

/* A candidate for the merged map; `rank` decides between equal keys: 0 = the map's own, then in merge order.
 */
struct candidate {
    struct tree_node *node;
    size_t rank;
};

struct candidates {
    struct candidate *v;
    size_t n, cap;
};

static int by_key_then_rank(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int order = strcmp(x->node->key, y->node->key);

    if (order)
        return order;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static int by_rank(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static void collect(struct candidates *c, struct tree_node *node)
{
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 16;
        c->v = xrealloc(c->v, c->cap * sizeof(*c->v));
    }
    c->v[c->n] = (struct candidate){.node = node, .rank = c->n};
    c->n++;
}

static bool collect_merged(struct candidates *c, const struct tree_node *from, struct diag *d)
{
    if (from->kind != TREE_MAP) {
        diag_error(d, from->line, from->col, "\"<<\" needs a mapping, or a list of mappings, to merge");
        return false;
    }
    for (struct tree_node *child = from->first; child; child = child->next)
        collect(c, child);
    return true;
}

static bool collect_all(struct candidates *c, const struct tree_node *map, struct diag *d)
{
    bool ok = true;

    for (struct tree_node *n = map->first; n; n = n->next)
        if (!n->key_merge)
            collect(c, n);
    for (const struct tree_node *n = map->first; n; n = n->next) {
        if (!n->key_merge)
            continue;
        if (n->kind != TREE_LIST) {
            ok = collect_merged(c, n, d) && ok;
            continue;
        }
        for (const struct tree_node *item = n->first; item; item = item->next)
            ok = collect_merged(c, item, d) && ok;
    }
    return ok;
}

/* Merged values are copied: an inline `<<: &x {...}` may be named by a later alias and must stay whole. */
static struct tree_node *copy_pair(struct tree *t, const struct tree_node *from)
{
    struct tree_node *n = tree_copy(t, from);

    if (!n)
        return NULL;
    n->key = from->key;
    n->key_line = from->key_line;
    n->key_col = from->key_col;
    return n;
}

static bool rebuild(struct tree *t, struct tree_node *map, const struct candidate *v, size_t n, size_t own)
{
    map->first = map->last = NULL;
    map->count = 0;
    for (size_t i = 0; i < n; i++) {
        struct tree_node *node = v[i].rank < own ? v[i].node : copy_pair(t, v[i].node);

        if (!node)
            return false;
        tree_append(map, node);
    }
    return true;
}

bool yaml_merge_keys(struct tree *t, struct tree_node *map, struct diag *d)
{
    struct candidates c = {0};
    size_t kept = 0, own = 0;
    bool found = false, ok;

    for (const struct tree_node *n = map->first; n; n = n->next) {
        found = found || n->key_merge;
        own += !n->key_merge;
    }
    if (!found)
        return true;
    ok = collect_all(&c, map, d);
    if (c.n)
        qsort(c.v, c.n, sizeof(*c.v), by_key_then_rank);
    for (size_t i = 0; i < c.n; i++)
        if (i == 0 || strcmp(c.v[kept - 1].node->key, c.v[i].node->key) != 0)
            c.v[kept++] = c.v[i];
    if (kept)
        qsort(c.v, kept, sizeof(*c.v), by_rank);
    if (!rebuild(t, map, c.v, kept, own)) {
        diag_error(d, map->line, map->col, "too many values in one config (merged ones count each time)");
        ok = false;
    }
    free(c.v);
    return ok;
}
