#include "config/depends.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "config/checks.h"
#include "config/options.h"
#include "config/spec.h"

static_assert(offsetof(struct depends_list, n) == sizeof(void *), "the shape of struct option_list");

static const char *const conditions[] = {"started", "healthy", "completed", "exited", NULL};

static const struct option_row rows[] = {
    {.name = "name",
     .type = OPT_STRING,
     .store = STORE_STRING,
     .offset = offsetof(struct depends_options, name),
     .check = check_app_name,
     .help = "The app that is waited for."},
    {.name = "condition",
     .type = OPT_ENUM,
     .store = STORE_STRING,
     .offset = offsetof(struct depends_options, condition),
     .words = conditions,
     .def_text = "started",
     .required = true,
     .help = "started: it is online and stays so for a moment; healthy: its health check has passed (without "
             "one as started); completed: it has ended with exit code 0; exited: it has ended."},
};

static int from_text(void *entry, const char *text, struct err *e)
{
    struct depends_options *d = entry;
    int r = option_check_text(&rows[0], text, e);

    if (r < 0)
        return r;
    free(d->name);
    d->name = xstrdup(text);
    return 0;
}

static int complete(void *entries, unsigned n, unsigned *at, struct err *e)
{
    const struct depends_options *v = entries;

    for (unsigned i = 0; i < n; i++) {
        *at = i;
        if (!v[i].name || !*v[i].name)
            return err_set(e, -EINVAL, "it does not name an app");
        for (unsigned k = 0; k < i; k++)
            if (strcmp(v[k].name, v[i].name) == 0)
                return err_set(e, -EINVAL, "\"%.128s\" is named twice", v[i].name);
    }
    return 0;
}

const struct option_group depends_group = {.rows = rows,
                                           .n = ARRAY_LEN(rows),
                                           .shorthand = "condition",
                                           .size = sizeof(struct depends_options),
                                           .keyed = "name",
                                           .from_text = from_text,
                                           .text_expected = "the name of an app",
                                           .complete = complete};

struct named {
    const char *name;
    size_t app;
};

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int r = strcmp(x->name, y->name);

    return r ? r : (x->app > y->app) - (x->app < y->app);
}

/* A place in the walk: an app, and which of its dependencies is next. */
struct frame {
    size_t app, next; /* next: of the apps that have the dependency's name */
    unsigned entry;   /* of depends_on */
    bool inside;      /* `next` is set */
};

struct walk {
    const struct app_spec *const *apps;
    size_t n;
    struct named *names;
    struct frame *stack;
    size_t depth;
    enum { UNSEEN, OPEN, CLOSED } * seen;
    unsigned *rank;
};

static size_t first_of_name(const struct walk *w, const char *name)
{
    size_t lo = 0, hi = w->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (strcmp(w->names[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The next app that the top of the stack depends on, or false. */
static bool next_dependency(struct walk *w, size_t *app)
{
    struct frame *f = &w->stack[w->depth - 1];
    const struct depends_list *l = &w->apps[f->app]->depends_on;

    for (; f->entry < l->n; f->entry++, f->inside = false) {
        const char *name = l->v[f->entry].name;

        if (!f->inside)
            f->next = first_of_name(w, name);
        f->inside = true;
        if (f->next < w->n && strcmp(w->names[f->next].name, name) == 0) {
            *app = w->names[f->next++].app;
            return true;
        }
    }
    return false;
}

static char *circle_words(const struct walk *w, size_t to, size_t at[2])
{
    struct buf words = {0};
    size_t from = w->depth - 1;

    while (w->stack[from].app != to)
        from--;
    at[0] = to;
    at[1] = from + 1 < w->depth ? w->stack[from + 1].app : to;
    for (size_t i = from; i < w->depth; i++)
        buf_printf(&words, "%s -> ", w->apps[w->stack[i].app]->name);
    buf_printf(&words, "%s", w->apps[to]->name);
    return words.data;
}

/* Depth first and without recursion, for how deep it goes is a client's choice. */
static char *walk_from(struct walk *w, size_t root, size_t at[2])
{
    size_t to;

    w->stack[0] = (struct frame){.app = root};
    w->depth = 1;
    w->seen[root] = OPEN;
    while (w->depth > 0) {
        size_t app = w->stack[w->depth - 1].app;

        if (!next_dependency(w, &to)) {
            w->seen[app] = CLOSED;
            if (--w->depth > 0 && w->rank[w->stack[w->depth - 1].app] <= w->rank[app])
                w->rank[w->stack[w->depth - 1].app] = w->rank[app] + 1;
        } else if (w->seen[to] == OPEN) {
            return circle_words(w, to, at);
        } else if (w->seen[to] == CLOSED) {
            if (w->rank[app] <= w->rank[to])
                w->rank[app] = w->rank[to] + 1;
        } else {
            w->seen[to] = OPEN;
            w->stack[w->depth++] = (struct frame){.app = to};
        }
    }
    return NULL;
}

char *depends_walk(const struct app_spec *const *apps, size_t n, unsigned *rank, size_t at[2])
{
    _cleanup_free_ unsigned *own = xcalloc(n + 1, sizeof(*own));
    struct walk w = {.apps = apps,
                     .n = n,
                     .names = xcalloc(n + 1, sizeof(*w.names)),
                     .stack = xcalloc(n + 1, sizeof(*w.stack)),
                     .seen = xcalloc(n + 1, sizeof(*w.seen)),
                     .rank = own};
    char *circle = NULL;

    for (size_t i = 0; i < n; i++)
        w.names[i] = (struct named){apps[i]->name, i};
    qsort(w.names, n, sizeof(*w.names), by_name);
    for (size_t i = 0; i < n && !circle; i++)
        if (w.seen[i] == UNSEEN)
            circle = walk_from(&w, i, at);
    if (rank && n)
        memcpy(rank, own, n * sizeof(*rank));
    free(w.names);
    free(w.stack);
    free(w.seen);
    return circle;
}
