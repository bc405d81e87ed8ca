#include "config/tree_path.h"

#include <ctype.h>
#include <string.h>

#include "common/buf.h"

static void number(struct tree_node *n, unsigned *next)
{
    n->line = n->key_line = ++*next;
    n->col = n->key_col = 0;
    for (struct tree_node *c = n->first; c; c = c->next)
        number(c, next);
}

void tree_number(struct tree_node *root)
{
    unsigned next = 0;

    number(root, &next);
}

static bool is_word(const char *key)
{
    if (!isalpha((unsigned char)*key) && *key != '_' && *key != '$')
        return false;
    for (; *key; key++)
        if (!isalnum((unsigned char)*key) && *key != '_' && *key != '$' && *key != '-')
            return false;
    return true;
}

static void put_step(struct buf *path, const struct tree_node *child, unsigned index)
{
    char quoted[QUOTE_MAX];

    if (!child->key)
        buf_printf(path, "[%u]", index);
    else if (is_word(child->key))
        buf_printf(path, "%s%s", path->len ? "." : "", child->key);
    else
        buf_printf(path, "[%s]", diag_quote(quoted, child->key));
}

char *tree_path(const struct tree_node *root, unsigned number_, const char **last)
{
    const struct tree_node *at = root;
    struct buf path = {0};

    buf_puts(&path, "");
    *last = NULL;
    while (at->line != number_) {
        const struct tree_node *into = NULL;
        unsigned index = 0, i = 0;

        /* Numbers grow in the order of the file: it is in the last child that does not begin after it. */
        for (const struct tree_node *c = at->first; c && c->line <= number_; c = c->next, i++) {
            into = c;
            index = i;
        }
        if (!into)
            break;
        put_step(&path, into, index);
        *last = into->key;
        at = into;
    }
    return buf_steal(&path);
}
