#include "daemon/bringup.h"

#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "daemon/methods.h"

struct to_start {
    uint32_t id;
    bool restart;
};

struct bringup {
    struct engine *engine;
    struct outcome *outcome;
    char *by;
    bool wait;
    struct to_start *v;
    size_t n;
};

struct bringup *bringup_new(struct engine *e, struct rpc_request *r, bool wait)
{
    struct bringup *b = xcalloc(1, sizeof(*b));

    b->engine = e;
    b->by = xstrdup(method_by(r));
    b->wait = wait;
    b->outcome = outcome_new(e, r);
    return b;
}

struct outcome *bringup_outcome(struct bringup *b)
{
    return b->outcome;
}

void bringup_add(struct bringup *b, const struct process *p, bool restart)
{
    b->v = xrealloc(b->v, (b->n + 1) * sizeof(*b->v));
    b->v[b->n++] = (struct to_start){p->id, restart};
}

void bringup_some(struct bringup *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct process *p = supervisor_by_id(b->engine->sup, b->v[i].id);

        if (!p)
            continue;
        if (b->wait)
            outcome_expect(b->outcome);
        (b->v[i].restart ? supervisor_restart : supervisor_start)(
            b->engine->sup, p, b->by, b->wait ? outcome_report : NULL, b->outcome);
        if (!b->wait)
            outcome_process(b->outcome, p, NULL);
    }
    b->n = 0;
}

void bringup_go(struct bringup *b)
{
    bringup_some(b);
    outcome_close(b->outcome);
    free(b->by);
    free(b->v);
    free(b);
}

static bool app_id_is_taken(struct engine *e, uint64_t id)
{
    const struct app *a;

    TAILQ_FOREACH (a, supervisor_apps(e->sup), entry) {
        if (a->id == id)
            return true;
    }
    return false;
}

struct app *bringup_app(struct engine *e, struct app_spec *take_spec)
{
    uint64_t id = store_next_app(e->store);
    struct app *a;

    while (app_id_is_taken(e, id)) /* of what was taken in after state.db was lost */
        id = store_next_app(e->store);
    if (e->forgotten)
        store_set_ended(e->store, STORE_NOT_ENDED);
    e->forgotten = false;
    a = supervisor_add_app(e->sup, id, take_spec);
    engine_save_app(e, a);
    return a;
}

struct process *bringup_process(struct engine *e, struct app *a, uint32_t instance)
{
    struct process *p = engine_add_process(e, a, instance, -1);

    p->created_ms = clock_wall_ms();
    engine_save_process(e, p);
    return p;
}

uint32_t *bringup_instances(struct engine *e, const char *name, size_t n)
{
    uint32_t *numbers = xcalloc(n + 1, sizeof(*numbers));
    const struct process *p;
    size_t max = n, found = 0;
    bool *taken;

    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        max++;
    }
    taken = xcalloc(max, sizeof(*taken));
    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        if (strcmp(p->app->spec->name, name) == 0 && p->instance < max)
            taken[p->instance] = true;
    }
    for (uint32_t i = 0; found < n && i < max; i++)
        if (!taken[i])
            numbers[found++] = i;
    free(taken);
    return numbers;
}
