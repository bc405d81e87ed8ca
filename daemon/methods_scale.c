/* scale: more or fewer processes of an app. */
#include <string.h>

#include "common/cpus.h"
#include "common/mem.h"
#include "daemon/bringup.h"
#include "daemon/methods.h"

static bool counts(const struct process *p, const char *name)
{
    return strcmp(p->app->spec->name, name) == 0 && !p->delete_when_down;
}

static size_t count(struct engine *e, const char *name)
{
    const struct process *p;
    size_t n = 0;

    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        n += counts(p, name);
    }
    return n;
}

/* The app of the first process: new ones are its clones. */
static struct app *first_app(struct engine *e, const char *name)
{
    const struct process *p;

    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        if (counts(p, name))
            return p->app;
    }
    return NULL;
}

static void set_instances(struct engine *e, struct app *a)
{
    struct app_spec *s = a->spec;
    const struct process *p;
    int64_t n = 0;

    TAILQ_FOREACH (p, &a->processes, app_entry) {
        n += !p->delete_when_down;
    }
    if (n == 0)
        return;
    /* Where the lines go is decided by how the app was started; nothing moves to other files now. */
    if (!s->merge_logs_set)
        s->merge_logs = s->instances <= 1;
    s->merge_logs_set = true;
    s->instances = n;
    engine_save_app(e, a);
}

static void scale_up(struct engine *e, struct rpc_request *r, const char *name, size_t more)
{
    struct app *a = first_app(e, name);
    struct bringup *b = bringup_new(e, r, true);
    uint32_t *numbers = bringup_instances(e, name, more);

    for (size_t i = 0; i < more; i++)
        bringup_add(b, bringup_process(e, a, numbers[i]), false);
    free(numbers);
    set_instances(e, a);
    bringup_go(b);
}

static void scale_down(struct engine *e, struct rpc_request *r, const char *name, size_t fewer)
{
    struct bringup *b = bringup_new(e, r, true);
    struct process *p;
    struct app *a;
    size_t n = 0;

    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        if (n == fewer || !counts(p, name))
            continue;
        /* Marked now, though its turn may come later: it does not count any more. */
        p->delete_when_down = true;
        bringup_order(b, p, WORK_RETIRE);
        n++;
    }
    TAILQ_FOREACH (a, supervisor_apps(e->sup), entry) {
        if (strcmp(a->spec->name, name) == 0)
            set_instances(e, a);
    }
    bringup_go(b);
}

void scale_app(struct engine *e, struct bringup *b, struct app *a, size_t want)
{
    const char *name = a->spec->name;
    struct process *p;
    size_t now = 0;

    TAILQ_FOREACH (p, &a->processes, app_entry) {
        now += !p->delete_when_down;
    }
    if (want > now) {
        uint32_t *numbers = bringup_instances(e, name, want - now);

        for (size_t i = 0; i < want - now; i++)
            bringup_add(b, bringup_process(e, a, numbers[i]), false);
        free(numbers);
    }
    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        if (now <= want || p->app != a || p->delete_when_down)
            continue;
        p->delete_when_down = true;
        bringup_order(b, p, WORK_RETIRE);
        now--;
    }
    set_instances(e, a);
}

void method_scale(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    const char *name = json_string_value(json_object_get(r->params, "name"));
    const json_t *to = json_object_get(r->params, "to"), *by = json_object_get(r->params, "by");
    bool cpus = json_is_true(json_object_get(r->params, "cpus"));
    int64_t now = (int64_t)count(e, name), want;

    if ((to != NULL) + (by != NULL) + cpus != 1) {
        rpc_fail(r, RPC_BAD_PARAMS, "scale: give either \"to\", \"by\" or \"cpus\"");
        return;
    }
    if (now == 0) {
        rpc_fail(r, RPC_NO_MATCH, "no app \"%.100s\"; pm list shows what there is", name);
        return;
    }
    want = cpus ? cpus_usable() : to ? json_integer_value(to) : now + json_integer_value(by);
    if (want < 1)
        rpc_fail(r, RPC_FAILED, "%s cannot be scaled to %lld; use pm stop or pm delete", name,
                 (long long)(want < 0 ? 0 : want));
    else if (want > 10000)
        rpc_fail(r, RPC_FAILED, "%s cannot be scaled to %lld; 10000 is the most", name, (long long)want);
    else if (want == now)
        rpc_fail(r, RPC_FAILED, "nothing to do: %s has %lld process%s already", name, (long long)now,
                 now == 1 ? "" : "es");
    else if (want > now)
        scale_up(e, r, name, (size_t)(want - now));
    else
        scale_down(e, r, name, (size_t)(now - want));
}
