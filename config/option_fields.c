#include "config/option_fields.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* By memcpy, because the pointer in the struct may be of another type. */
struct option_list option_list_get(const struct option_row *o, const void *base)
{
    struct option_list l;

    memcpy(&l, option_field_const(o, base), sizeof(l));
    return l;
}

static void option_list_put(const struct option_row *o, void *base, struct option_list l)
{
    memcpy(option_field(o, base), &l, sizeof(l));
}

void *option_list_at(const struct option_row *o, const struct option_list *l, unsigned i)
{
    return (char *)l->v + i * o->group->size;
}

void *option_list_add(const struct option_row *o, void *base)
{
    struct option_list l = option_list_get(o, base);
    void *entry;

    if (l.n >= OPTION_LIST_MAX)
        return NULL;
    l.v = xrealloc(l.v, (l.n + 1) * o->group->size);
    entry = option_list_at(o, &l, l.n++);
    memset(entry, 0, o->group->size);
    fields_init(o->group->rows, o->group->n, entry);
    option_list_put(o, base, l);
    return entry;
}

void option_list_clear(const struct option_row *o, void *base)
{
    struct option_list l = option_list_get(o, base);

    for (unsigned i = 0; i < l.n; i++)
        fields_deinit(o->group->rows, o->group->n, option_list_at(o, &l, i));
    free(l.v);
    option_list_put(o, base, (struct option_list){0});
}

static void option_list_dup(const struct option_row *o, void *base)
{
    struct option_list l = option_list_get(o, base), copy = {.n = l.n};

    if (l.n) {
        copy.v = xcalloc(l.n, o->group->size);
        memcpy(copy.v, l.v, l.n * o->group->size);
    }
    for (unsigned i = 0; i < l.n; i++)
        fields_dup(o->group->rows, o->group->n, option_list_at(o, &copy, i));
    option_list_put(o, base, copy);
}

void field_init(const struct option_row *o, void *base)
{
    void *field = option_field(o, base);

    switch (o->store) {
    case STORE_STRING:
        *(char **)field = xstrdup(o->def_text);
        break;
    case STORE_INT:
        *(int64_t *)field = o->def;
        break;
    case STORE_BOOL:
        *(bool *)field = o->def != 0;
        break;
    case STORE_STRV:
    case STORE_ENV:
        *(char ***)field = strv_dup(NULL);
        break;
    case STORE_GROUP:
        fields_init(o->group->rows, o->group->n, field);
        break;
    case STORE_NONE:
    case STORE_INT_LIST: /* empty, as zeroed memory is */
    case STORE_LIST:
        break;
    }
}

void field_deinit(const struct option_row *o, void *base)
{
    void *field = option_field(o, base);

    switch (o->store) {
    case STORE_STRING:
        free(*(char **)field);
        break;
    case STORE_STRV:
    case STORE_ENV:
        strv_free(*(char ***)field);
        break;
    case STORE_INT_LIST:
        free(((struct int_list *)field)->v);
        break;
    case STORE_GROUP:
        fields_deinit(o->group->rows, o->group->n, field);
        break;
    case STORE_LIST:
        option_list_clear(o, base);
        break;
    case STORE_NONE:
    case STORE_INT:
    case STORE_BOOL:
        break;
    }
}

static void field_dup(const struct option_row *o, void *base)
{
    void *field = option_field(o, base);
    struct int_list *list;
    int *copy;

    switch (o->store) {
    case STORE_STRING:
        *(char **)field = xstrdup(*(char **)field);
        break;
    case STORE_STRV:
    case STORE_ENV:
        *(char ***)field = strv_dup(*(char ***)field);
        break;
    case STORE_INT_LIST:
        list = field;
        copy = list->n ? xcalloc(list->n, sizeof(int)) : NULL;
        if (copy)
            memcpy(copy, list->v, list->n * sizeof(int));
        list->v = copy;
        break;
    case STORE_GROUP:
        fields_dup(o->group->rows, o->group->n, field);
        break;
    case STORE_LIST:
        option_list_dup(o, base);
        break;
    case STORE_NONE:
    case STORE_INT:
    case STORE_BOOL:
        break;
    }
}

void fields_init(const struct option_row *rows, size_t n, void *base)
{
    for (size_t i = 0; i < n; i++)
        field_init(&rows[i], base);
}

void fields_deinit(const struct option_row *rows, size_t n, void *base)
{
    for (size_t i = 0; i < n; i++)
        field_deinit(&rows[i], base);
}

void fields_dup(const struct option_row *rows, size_t n, void *base)
{
    for (size_t i = 0; i < n; i++)
        field_dup(&rows[i], base);
}
