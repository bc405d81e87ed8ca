#include "cli/listview.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/jsonget.h"
#include "common/err.h"
#include "common/mem.h"

struct list_sort {
    const char *name;
    const char *key; /* of the record */
    bool text;
    bool backwards; /* the field counts the other way: who started last has the shortest uptime */
};

static const struct list_sort sorts[] = {
    {"name", "name", true, false},
    {"namespace", "namespace", true, false},
    {"id", "id", false, false},
    {"pid", "pid", false, false},
    {"cpu", "cpu", false, false},
    {"memory", "memory", false, false},
    {"mem", "memory", false, false},
    {"uptime", "uptime_since", false, true},
    {"status", "status", true, false},
    {"restarts", "restarts", false, false},
    {"instance", "instance", false, false},
    {"user", "user", true, false},
};

int list_view_read(struct list_view *v, const struct args *a, struct err *e)
{
    const char *word = args_text(a, "sort"), *order;
    size_t len;

    *v = (struct list_view){.mini = args_has(a, "mini-list")};
    if (!word)
        return 0;
    len = strcspn(word, ":");
    order = word[len] ? word + len + 1 : "asc";
    for (size_t i = 0; i < ARRAY_LEN(sorts); i++)
        if (strlen(sorts[i].name) == len && strncmp(sorts[i].name, word, len) == 0)
            v->sort = &sorts[i];
    if (!v->sort)
        return err_set(e, -EINVAL,
                       "--sort knows name, namespace, id, pid, cpu, memory, uptime, status, restarts, "
                       "instance and user, not \"%.40s\"",
                       word);
    v->descending = strcmp(order, "desc") == 0;
    if (!v->descending && strcmp(order, "asc") != 0)
        return err_set(e, -EINVAL, "--sort %.40s: the order is asc or desc", word);
    return 0;
}

static int by_field(const json_t *x, const json_t *y, const struct list_sort *s)
{
    double a, b;

    if (s->text)
        return strcmp(j_text(x, s->key), j_text(y, s->key));
    a = j_number(x, s->key);
    b = j_number(y, s->key);
    return s->backwards ? (a < b) - (a > b) : (a > b) - (a < b);
}

/* What is equal in the wanted field stands by id, so that the order does not jump between two looks. */
static int compare(const void *a, const void *b, void *arg)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    const struct list_view *v = arg;
    int order = by_field(x, y, v->sort ? v->sort : &sorts[0]);
    long long ix = j_int(x, "id"), iy = j_int(y, "id");

    if (order)
        return v->descending ? -order : order;
    return (ix > iy) - (ix < iy);
}

const json_t **list_view_order(const struct list_view *v, const json_t *records, size_t *n)
{
    const json_t **sorted;

    *n = json_array_size(records);
    sorted = xcalloc(*n + 1, sizeof(*sorted));
    for (size_t i = 0; i < *n; i++)
        sorted[i] = json_array_get(records, i);
    qsort_r(sorted, *n, sizeof(*sorted), compare, (void *)v);
    return sorted;
}
