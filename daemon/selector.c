#include "daemon/selector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"

static bool is_id(const char *word, uint32_t *id)
{
    char *end;
    unsigned long n;

    if (*word < '0' || *word > '9')
        return false;
    n = strtoul(word, &end, 10);
    *id = (uint32_t)n;
    return *end == '\0' && n <= UINT32_MAX;
}

static void add(struct selection *sel, struct process *p)
{
    for (size_t i = 0; i < sel->n; i++)
        if (sel->v[i] == p)
            return;
    sel->v = xrealloc(sel->v, (sel->n + 1) * sizeof(struct process *));
    sel->v[sel->n++] = p;
}

static size_t add_named(struct supervisor *s, const char *name, struct selection *sel)
{
    struct process *p;
    size_t found = 0;

    TAILQ_FOREACH (p, supervisor_processes(s), entry) {
        if (!name || strcmp(p->app->spec->name, name) == 0) {
            add(sel, p);
            found++;
        }
    }
    return found;
}

static int by_id(const void *a, const void *b)
{
    const struct process *x = *(struct process *const *)a, *y = *(struct process *const *)b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static size_t match_word(struct supervisor *s, const char *word, struct selection *out)
{
    struct process *p;
    uint32_t id;

    if (strcmp(word, "all") == 0)
        return add_named(s, NULL, out);
    if (add_named(s, word, out))
        return 1;
    p = is_id(word, &id) ? supervisor_by_id(s, id) : NULL;
    if (p)
        add(out, p);
    return p ? 1 : 0;
}

int selector_match(struct supervisor *s, const json_t *words, struct selection *out, struct err *e)
{
    size_t i;
    json_t *word;

    *out = (struct selection){0};
    json_array_foreach (words, i, word) {
        const char *text = json_string_value(word);

        if (match_word(s, text, out))
            continue;
        selection_free(out);
        if (strcmp(text, "all") == 0)
            return err_set(e, -ENOENT, "there are no processes");
        return err_set(e, -ENOENT, "no process or app \"%.100s\"; pm list shows what there is", text);
    }
    if (out->n > 1)
        qsort(out->v, out->n, sizeof(struct process *), by_id);
    return 0;
}

void selection_free(struct selection *sel)
{
    free(sel->v);
    *sel = (struct selection){0};
}
