#include "config/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"

#define CHUNK_SIZE 65536u

/* Nodes and texts live in chunks that are freed together: a tree is built once, read, and thrown away. */
struct tree_chunk {
    struct tree_chunk *next;
    size_t used, size;
    _Alignas(max_align_t) char data[];
};

static void *take(struct tree *t, size_t n)
{
    struct tree_chunk *chunk = t->chunks;
    size_t size, aligned = (n + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    void *p;

    if (!chunk || chunk->size - chunk->used < aligned) {
        size = aligned > CHUNK_SIZE ? aligned : CHUNK_SIZE;
        chunk = xmalloc(sizeof(*chunk) + size);
        *chunk = (struct tree_chunk){.next = t->chunks, .size = size};
        t->chunks = chunk;
    }
    p = chunk->data + chunk->used;
    chunk->used += aligned;
    return p;
}

void tree_deinit(struct tree *t)
{
    struct tree_chunk *next;

    for (struct tree_chunk *c = t->chunks; c; c = next) {
        next = c->next;
        free(c);
    }
    *t = (struct tree){0};
}

struct tree_node *tree_node_new(struct tree *t, enum tree_kind kind, unsigned line, unsigned col)
{
    struct tree_node *n;

    if (t->n_nodes >= (t->nodes_max ? t->nodes_max : TREE_NODES_MAX))
        return NULL;
    t->n_nodes++;
    n = take(t, sizeof(*n));
    *n = (struct tree_node){.kind = kind, .line = line, .col = col};
    return n;
}

const char *tree_text(struct tree *t, const char *text, size_t len)
{
    char *copy;

    if (len > TREE_BYTES_MAX - t->n_bytes)
        return NULL;
    t->n_bytes += len;
    copy = take(t, len + 1);
    if (len)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

/* Recursion is bounded by TREE_DEPTH_MAX: readers refuse anything deeper before it is copied. */
struct tree_node *tree_copy(struct tree *t, const struct tree_node *from)
{
    struct tree_node *n = tree_node_new(t, from->kind, from->line, from->col), *child;

    if (!n)
        return NULL;
    if (tree_is_scalar(from)) {
        n->text = tree_text(t, from->text, strlen(from->text));
        if (!n->text)
            return NULL;
    }
    for (const struct tree_node *c = from->first; c; c = c->next) {
        child = tree_copy(t, c);
        if (!child)
            return NULL;
        if (c->key) {
            child->key = tree_text(t, c->key, strlen(c->key));
            if (!child->key)
                return NULL;
            child->key_line = c->key_line;
            child->key_col = c->key_col;
        }
        tree_append(n, child);
    }
    return n;
}

void tree_append(struct tree_node *parent, struct tree_node *child)
{
    child->next = NULL;
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->count++;
    if (child->anchored)
        parent->anchored = true;
}

const struct tree_node *tree_get(const struct tree_node *map, const char *key)
{
    if (map->kind != TREE_MAP)
        return NULL;
    for (const struct tree_node *n = map->first; n; n = n->next)
        if (strcmp(n->key, key) == 0)
            return n;
    return NULL;
}

int tree_by_key(const void *a, const void *b)
{
    const struct tree_node *x = *(struct tree_node *const *)a, *y = *(struct tree_node *const *)b;
    int order = strcmp(x->key, y->key);

    if (order)
        return order;
    if (x->key_line != y->key_line)
        return x->key_line < y->key_line ? -1 : 1;
    return x->key_col < y->key_col ? -1 : x->key_col > y->key_col;
}

bool tree_check_keys(struct tree_node *map, struct diag *d)
{
    struct tree_node **v;
    bool ok = true;
    size_t n = 0;
    char quoted[QUOTE_MAX];

    if (map->count < 2)
        return true;
    /* Sorting, because a file may hold 100,000 keys in one map. */
    v = xcalloc(map->count, sizeof(void *));
    for (struct tree_node *c = map->first; c; c = c->next)
        v[n++] = c;
    qsort(v, n, sizeof(void *), tree_by_key);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(v[i - 1]->key, v[i]->key) != 0)
            continue;
        diag_error(d, v[i]->key_line, v[i]->key_col, "duplicate key %s, it was given in line %u already",
                   diag_quote(quoted, v[i]->key), v[i - 1]->key_line);
        ok = false;
    }
    free(v);
    return ok;
}

bool tree_is_scalar(const struct tree_node *n)
{
    return n->kind != TREE_LIST && n->kind != TREE_MAP;
}

const char *tree_describe(const struct tree_node *n, char out[QUOTE_MAX + 16])
{
    char quoted[QUOTE_MAX];

    switch (n->kind) {
    case TREE_LIST:
        return "a list";
    case TREE_MAP:
        return "a mapping";
    case TREE_NULL:
        return n->text[0] ? "null" : "nothing";
    case TREE_BOOL:
        return n->text[0] == 't' || n->text[0] == 'T' ? "true" : "false";
    case TREE_STRING:
        snprintf(out, QUOTE_MAX + 16, "the text %s", diag_quote(quoted, n->text));
        return out;
    case TREE_INT:
    case TREE_FLOAT:
        break;
    }
    snprintf(out, QUOTE_MAX + 16, "the number %.48s", n->text);
    return out;
}

static void put_json_string(struct buf *out, const char *s)
{
    buf_putc(out, '"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c == '\n')
            buf_puts(out, "\\n");
        else if (c == '\r')
            buf_puts(out, "\\r");
        else if (c == '\t')
            buf_puts(out, "\\t");
        else if (c < 0x20)
            buf_printf(out, "\\u%04x", c);
        else
            buf_putc(out, (char)c);
    }
    buf_putc(out, '"');
}

/* YAML writes numbers that JSON cannot read (0x1f, +5, .5, 007, .inf): those become plain decimals or null.
 */
static void put_json_number(struct buf *out, const struct tree_node *n)
{
    const char *s = n->text;
    bool json_form = true;
    const char *digits = s[0] == '-' ? s + 1 : s;

    if (digits[0] < '0' || digits[0] > '9' || (digits[0] == '0' && digits[1] && !strchr(".eE", digits[1])))
        json_form = false;
    if (strchr(s, '.') && !(strchr(s, '.')[1] >= '0' && strchr(s, '.')[1] <= '9'))
        json_form = false;
    if (json_form)
        buf_puts(out, s);
    else if (n->kind == TREE_FLOAT && strpbrk(s, "nN"))
        buf_puts(out, "null"); /* .inf and .nan, as JSON.stringify */
    else if (n->kind == TREE_FLOAT)
        buf_printf(out, "%.17g", strtod(s, NULL));
    else if (strncmp(s, "0o", 2) == 0)
        buf_printf(out, "%llu", strtoull(s + 2, NULL, 8));
    else if (strncmp(s, "0x", 2) == 0)
        buf_printf(out, "%llu", strtoull(s + 2, NULL, 16));
    else
        buf_printf(out, "%lld", strtoll(s, NULL, 10));
}

void tree_to_json_text(const struct tree_node *n, struct buf *out)
{
    char scratch[QUOTE_MAX + 16];

    switch (n->kind) {
    case TREE_NULL:
        buf_puts(out, "null");
        break;
    case TREE_BOOL:
        buf_puts(out, tree_describe(n, scratch));
        break;
    case TREE_INT:
    case TREE_FLOAT:
        put_json_number(out, n);
        break;
    case TREE_STRING:
        put_json_string(out, n->text);
        break;
    case TREE_LIST:
    case TREE_MAP:
        buf_putc(out, n->kind == TREE_LIST ? '[' : '{');
        for (const struct tree_node *c = n->first; c; c = c->next) {
            if (c != n->first)
                buf_putc(out, ',');
            if (c->key) {
                put_json_string(out, c->key);
                buf_putc(out, ':');
            }
            tree_to_json_text(c, out);
        }
        buf_putc(out, n->kind == TREE_LIST ? ']' : '}');
        break;
    }
}
