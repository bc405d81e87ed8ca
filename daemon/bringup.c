#include "daemon/bringup.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "config/times.h"
#include "daemon/methods.h"
#include "daemon/reload_rules.h"
#include "daemon/schedules.h"

/* An app that gets more or fewer processes when the rest is done. */
struct scaling {
    uint64_t app;
    size_t want;
    bool spoilt; /* something of the app has failed: it stays as it is */
};

struct bringup {
    struct engine *engine;
    struct outcome *outcome; /* NULL once it was answered without waiting */
    struct work *work;
    char *by;
    unsigned parallel; /* 0: as usual */
    bool wait;
    struct app_spec **kept;
    size_t n_kept;
    struct scaling *scalings;
    size_t n_scalings;
    uint32_t *ids; /* of those that nobody waits for */
    size_t n_ids;
    uint64_t noted; /* the app that the last note of schedules was about */
};

static struct app *app_by_id(struct engine *e, uint64_t id)
{
    struct app *a;

    TAILQ_FOREACH (a, supervisor_apps(e->sup), entry) {
        if (a->id == id)
            return a;
    }
    return NULL;
}

static void on_report(void *arg, const struct waiter_result *r)
{
    struct bringup *b = arg;
    const struct process *p = r->ok ? NULL : supervisor_by_id(b->engine->sup, r->id);

    for (size_t i = 0; p && i < b->n_scalings; i++)
        if (b->scalings[i].app == p->app->id)
            b->scalings[i].spoilt = true;
    if (b->wait)
        outcome_report(b->outcome, r);
}

static void new_work(struct bringup *b);

static void on_done(void *arg)
{
    struct bringup *b = arg;
    size_t n = b->n_scalings;

    b->n_scalings = 0;
    if (n)
        new_work(b);
    for (size_t i = 0; i < n; i++) {
        struct app *a = app_by_id(b->engine, b->scalings[i].app);

        if (a && !b->scalings[i].spoilt && !b->engine->shutdown)
            scale_app(b->engine, b, a, b->scalings[i].want);
    }
    if (n) {
        work_go(b->work, b->parallel); /* of nothing, perhaps: then it is done at once */
        return;
    }
    if (b->outcome)
        outcome_close(b->outcome);
    for (size_t i = 0; i < b->n_kept; i++)
        app_spec_free(b->kept[i]);
    free(b->kept);
    free(b->scalings);
    free(b->ids);
    free(b->by);
    free(b);
}

static bool is_halted(void *arg)
{
    const struct bringup *b = arg;

    return b->engine->shutdown != NULL;
}

static void new_work(struct bringup *b)
{
    const struct work_client client = {.arg = b, .report = on_report, .done = on_done, .halted = is_halted};

    b->work = work_new(b->engine->sup, b->by, &client);
}

struct bringup *bringup_new(struct engine *e, struct rpc_request *r, bool wait)
{
    struct bringup *b = xcalloc(1, sizeof(*b));

    b->engine = e;
    b->wait = wait;
    b->parallel = (unsigned)json_integer_value(json_object_get(r->params, "parallel"));
    b->by = xstrdup(method_by(r));
    new_work(b);
    b->outcome = outcome_new(e, r);
    return b;
}

struct engine *bringup_engine(struct bringup *b)
{
    return b->engine;
}

struct outcome *bringup_outcome(struct bringup *b)
{
    return b->outcome;
}

static void expect(struct bringup *b, const struct process *p)
{
    if (b->wait) {
        outcome_expect(b->outcome);
    } else {
        b->ids = xrealloc(b->ids, (b->n_ids + 1) * sizeof(*b->ids));
        b->ids[b->n_ids++] = p->id;
    }
}

void bringup_order(struct bringup *b, struct process *p, enum work_kind kind)
{
    expect(b, p);
    work_add(b->work, p, kind);
}

void bringup_reload(struct bringup *b, struct process *p, const struct app_spec *with, bool force)
{
    expect(b, p);
    work_add_reload(b->work, p, with, force);
}

const struct app_spec *bringup_keep(struct bringup *b, struct app_spec *take_spec)
{
    if (!take_spec)
        return NULL;
    b->kept = xrealloc(b->kept, (b->n_kept + 1) * sizeof(*b->kept));
    b->kept[b->n_kept++] = take_spec;
    return take_spec;
}

bool bringup_note_restart(struct bringup *b, const struct app *a, const struct app_spec *with)
{
    char why[160], note[256];

    if (reload_is_gapless(a->spec, with ? with : a->spec, why, sizeof(why)))
        return false;
    snprintf(note, sizeof(note), "%.90s: %s", a->spec->name, why);
    outcome_note(b->outcome, note);
    return true;
}

void bringup_note_job(struct bringup *b, const struct app *a)
{
    char time[SCHEDULE_TIME_MAX], note[256];
    const char *next = schedules_next_words(a, time);

    if (b->noted == a->id)
        return;
    b->noted = a->id;
    snprintf(note, sizeof(note), "%.80s is run by its schedule%s%s; pm restart %.80s runs it now",
             a->spec->name, next ? ", next at " : "", next ? next : "", a->spec->name);
    outcome_note(b->outcome, note);
}

void bringup_wait_job(struct bringup *b, struct process *p)
{
    bringup_note_job(b, p->app);
    outcome_process(b->outcome, p, NULL);
}

void bringup_note_armed(struct bringup *b, const struct app *a)
{
    char time[SCHEDULE_TIME_MAX], note[256];
    const char *next = schedules_next_words(a, time);

    if (b->noted == a->id || !next)
        return;
    b->noted = a->id;
    snprintf(note, sizeof(note), "%.90s: %s goes on: it is %s again at %s; pm delete ends that",
             a->spec->name, app_times_key(a->spec), app_is_job(a->spec) ? "run" : "started", next);
    outcome_note(b->outcome, note);
}

void bringup_scale(struct bringup *b, struct app *a, size_t want)
{
    b->scalings = xrealloc(b->scalings, (b->n_scalings + 1) * sizeof(*b->scalings));
    b->scalings[b->n_scalings++] = (struct scaling){.app = a->id, .want = want};
}

void bringup_add(struct bringup *b, struct process *p, bool restart)
{
    if (app_is_job(p->app->spec)) {
        if (b->outcome)
            bringup_wait_job(b, p);
        return;
    }
    bringup_order(b, p, restart ? WORK_RESTART : WORK_START);
}

/* Nobody waits: the answer says how far each one is now. Those whose turn comes later are not held up. */
static void answer_now(struct outcome *o, struct supervisor *s, const uint32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct process *p = supervisor_by_id(s, ids[i]);

        if (p)
            outcome_process(o, p, NULL);
    }
    outcome_close(o);
}

void bringup_some(struct bringup *b)
{
    if (b->parallel == 0)
        work_some(b->work);
}

void bringup_go(struct bringup *b)
{
    struct supervisor *s = b->engine->sup;
    struct outcome *o = b->outcome;
    uint32_t *ids = b->ids;
    size_t n = b->n_ids;

    if (b->wait) {
        outcome_begin(o);
        work_go(b->work, b->parallel);
        return;
    }
    /* All may be done, and b freed, when work_go returns. */
    b->outcome = NULL;
    b->ids = NULL;
    work_go(b->work, b->parallel);
    answer_now(o, s, ids, n);
    free(ids);
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
