#include "config/depends_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "config/depends.h"
#include "config/options.h"
#include "config/suggest.h"

/* What names the dependency in the value of depends_on, in any of its forms; `value` when nothing is found.
 */
static const struct tree_node *find_in(const struct tree_node *value, const char *name, bool *key)
{
    const struct tree_node *named;

    *key = false;
    if (tree_is_scalar(value) && strcmp(value->text, name) == 0)
        return value;
    if (value->kind == TREE_MAP) {
        named = tree_get(value, "name");
        if (named)
            return tree_is_scalar(named) && strcmp(named->text, name) == 0 ? named : NULL;
        *key = true;
        return tree_get(value, name);
    }
    for (const struct tree_node *item = value->first; item && value->kind == TREE_LIST; item = item->next) {
        const struct tree_node *found = find_in(item, name, key);

        if (found)
            return found;
    }
    return NULL;
}

static void __attribute__((format(printf, 4, 5)))
report(struct diag *d, const struct tree_node *app, const char *name, const char *fmt, ...)
{
    const struct tree_node *value = app->first, *at = NULL;
    char msg[400];
    bool key;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    while (value && option_find(value->key) != option_by_name("depends_on"))
        value = value->next;
    if (!value)
        value = app;
    at = find_in(value, name, &key);
    if (at)
        diag_error(d, key ? at->key_line : at->line, key ? at->key_col : at->col, "%s", msg);
    else
        diag_error(d, value->line, value->col, "%s", msg);
}

/* The name that the file's app has in the end, by the one that it has in the file, or NULL. */
static const char *full_name(const struct app_list *apps, const char *name)
{
    for (size_t i = 0; i < apps->n; i++)
        if (strcmp(apps->v[i]->name, name) == 0 || (apps->names[i] && strcmp(apps->names[i], name) == 0))
            return apps->v[i]->name;
    return NULL;
}

static void check_name(struct app_source *source, const struct tree_node *node, const struct app_list *apps,
                       struct depends_options *o)
{
    const char *full = full_name(apps, o->name);
    struct suggestion near;

    if (full && strcmp(full, o->name) != 0) {
        char *was = o->name;

        o->name = xstrdup(full);
        free(was);
    }
    if (full || !source->ctx->known || source->ctx->known(source->ctx->known_arg, o->name))
        return;
    near = suggestion_start(o->name);
    for (size_t i = 0; i < apps->n; i++)
        suggestion_offer(&near, apps->names[i] ? apps->names[i] : apps->v[i]->name);
    report(source->diag, node, o->name, "depends_on: there is no app \"%.128s\"%s%.128s%s", o->name,
           near.best ? ", did you mean \"" : "", near.best ? near.best : "", near.best ? "\"?" : "");
}

/* The name of the second app as the first one's value has it. */
static const char *name_as_given(const struct app_list *apps, const struct tree_node *node, size_t app)
{
    bool key;

    for (const struct tree_node *value = node->first; value; value = value->next)
        if (option_find(value->key) == option_by_name("depends_on") && apps->names[app] &&
            find_in(value, apps->names[app], &key))
            return apps->names[app];
    return apps->v[app]->name;
}

void depends_check_file(struct app_source *source, const struct tree_node *const *nodes,
                        struct app_list *apps)
{
    _cleanup_free_ char *circle = NULL;
    size_t at[2];

    for (size_t i = 0; i < apps->n; i++)
        for (unsigned k = 0; k < apps->v[i]->depends_on.n; k++)
            check_name(source, nodes[i], apps, &apps->v[i]->depends_on.v[k]);
    circle = depends_walk((const struct app_spec *const *)apps->v, apps->n, NULL, at);
    if (circle)
        report(source->diag, nodes[at[0]], name_as_given(apps, nodes[at[0]], at[1]),
               "depends_on: these wait for each other: %.300s", circle);
}
