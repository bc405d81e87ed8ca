#include "daemon/engine_order.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "daemon/depends.h"
#include "daemon/engine_health.h"
#include "daemon/health.h"

#define REASON_DEPTH 8 /* of "its dependency a failed: waits for b: its dependency b ..." */

/* ---- is it fulfilled? ---- */

/* Without a health check there is nothing to be unwell by. */
static bool is_unwell(const struct process *p)
{
    const char *health = engine_health_state(p);

    return health && strcmp(health, health_state_word(HEALTH_HEALTHY)) != 0;
}

/* Of all processes of that name, the one that decides, and what it comes to. */
static enum depends_verdict judge(struct engine *e, const struct depends_options *d,
                                  const struct process **decides)
{
    enum depends_verdict worst = DEPENDS_MET, v;
    struct app *a;
    struct process *p;

    *decides = NULL;
    TAILQ_FOREACH (a, supervisor_apps(e->sup), entry) {
        if (strcmp(a->spec->name, d->name) != 0)
            continue;
        TAILQ_FOREACH (p, &a->processes, app_entry) {
            v = depends_never_ends(d->condition, a->spec)
                    ? DEPENDS_FAILED
                    : depends_judge(d->condition, p, e->sys.wall_ms(e), is_unwell(p));
            if (!*decides || v > worst) {
                *decides = p;
                worst = v;
            }
        }
    }
    return *decides ? worst : DEPENDS_FAILED;
}

static void failure_words(struct engine *e, const struct depends_options *d, const struct process *p,
                          char *out, size_t size)
{
    char reason[160];

    if (!p) {
        snprintf(out, size, "its dependency %.80s is not there", d->name);
        return;
    }
    if (depends_never_ends(d->condition, p->app->spec)) {
        snprintf(out, size, "its dependency %.80s never ends: it has no \"autorestart: false\"", d->name);
        return;
    }
    if (p->state == LC_LAUNCHING) /* the next try is under way already */
        last_exit_words(&p->last, reason, sizeof(reason));
    else
        supervisor_describe_reason(e->sup, p, reason, sizeof(reason));
    snprintf(out, size, "its dependency %.80s %s: %.140s", d->name,
             p->desired == DESIRED_DOWN && p->reason == LC_R_STOPPED ? "is not up" : "failed", reason);
}

/* One that waits itself has failed when what it waits for has. */
static bool failed_below(struct engine *e, const struct process *p, unsigned depth, char *out, size_t size)
{
    const struct depends_list *l = &p->app->spec->depends_on;

    for (unsigned i = 0; i < l->n && depth < REASON_DEPTH; i++) {
        const struct process *decides;
        char below[160];
        enum depends_verdict v = judge(e, &l->v[i], &decides);

        if (v == DEPENDS_FAILED) {
            failure_words(e, &l->v[i], decides, out, size);
            return true;
        }
        if (v == DEPENDS_PENDING && decides->held &&
            failed_below(e, decides, depth + 1, below, sizeof(below))) {
            snprintf(out, size, "its dependency %.60s cannot start: %s", l->v[i].name, below);
            return true;
        }
    }
    return false;
}

/* sys.hold */
static bool hold(void *ctx, const struct process *p, struct sys_hold *why)
{
    const struct depends_list *l = &p->app->spec->depends_on;
    struct engine *e = ctx;
    size_t len = 0;

    *why = (struct sys_hold){0};
    if (l->n == 0)
        return false;
    /* What the others do is known when all have been put back. */
    if (e->restore) {
        e->order_held = true;
        return true;
    }
    for (unsigned i = 0; i < l->n; i++) {
        const struct process *decides;
        enum depends_verdict v = judge(e, &l->v[i], &decides);

        e->order_soon |= v == DEPENDS_SOON;
        if (v != DEPENDS_MET && len < sizeof(why->waits))
            len += (size_t)snprintf(why->waits + len, sizeof(why->waits) - len, "%s%.80s (%s)",
                                    len ? ", " : "waits for ", l->v[i].name, l->v[i].condition);
    }
    if (len == 0)
        return false;
    failed_below(e, p, 0, why->failed, sizeof(why->failed));
    e->order_held = true;
    if (e->order_soon)
        engine_order_look(e);
    return true;
}

/* ---- looking again ---- */

static void on_look(uv_timer_t *timer)
{
    struct engine *e = timer->data;
    struct process *p, *next;

    if (e->restore || e->shutdown)
        return;
    e->order_held = e->order_soon = false;
    for (p = TAILQ_FIRST(supervisor_processes(e->sup)); p; p = next) {
        next = TAILQ_NEXT(p, entry);
        if (p->held)
            supervisor_try_held(e->sup, p);
    }
}

void engine_order_look(struct engine *e)
{
    if (e->order_held && !e->restore && !uv_is_active((uv_handle_t *)&e->order))
        uv_timer_start(&e->order, on_look, e->order_soon ? DEPENDS_SETTLE_MS / 4 : 0, 0);
}

void engine_order_init(struct engine *e)
{
    uv_timer_init(&e->loop, &e->order);
    e->order.data = e;
    e->sys.hold = hold;
}

/* ---- what may be asked for ---- */

struct known {
    const struct app_spec **v;
    size_t n;
};

static void know(struct known *k, const struct app_spec *s)
{
    k->v = xrealloc(k->v, (k->n + 1) * sizeof(*k->v));
    k->v[k->n++] = s;
}

static int check_one(const struct known *k, const struct app_spec *s, struct err *err)
{
    for (unsigned i = 0; i < s->depends_on.n; i++) {
        const struct depends_options *d = &s->depends_on.v[i];
        bool found = false;

        for (size_t j = 0; j < k->n; j++) {
            if (strcmp(k->v[j]->name, d->name) != 0)
                continue;
            found = true;
            if (depends_never_ends(d->condition, k->v[j]))
                return err_set(err, -EINVAL,
                               "%.80s: depends_on: the end of %.80s is waited for, but it is started again "
                               "whenever it ends; give it autorestart: false",
                               s->name, d->name);
        }
        if (!found)
            return err_set(err, -EINVAL, "%.80s: depends_on: there is no app \"%.80s\"", s->name, d->name);
    }
    return 0;
}

static bool is_replaced(const struct app *a, struct app *const *instead, size_t n)
{
    for (size_t i = 0; instead && i < n; i++)
        if (instead[i] == a)
            return true;
    return false;
}

int engine_order_check(struct engine *e, struct app_spec *const *specs, struct app *const *instead, size_t n,
                       struct err *err)
{
    _cleanup_free_ char *circle = NULL;
    struct known k = {0};
    bool any = false;
    struct app *a;
    size_t at[2];
    int rc = 0;

    for (size_t i = 0; i < n; i++)
        any |= specs[i]->depends_on.n > 0;
    if (!any)
        return 0;
    for (size_t i = 0; i < n; i++)
        know(&k, specs[i]);
    TAILQ_FOREACH (a, supervisor_apps(e->sup), entry) {
        if (!is_replaced(a, instead, n))
            know(&k, a->spec);
    }
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = check_one(&k, specs[i], err);
    if (rc == 0)
        circle = depends_walk(k.v, k.n, NULL, at);
    if (circle)
        rc = err_set(err, -EINVAL, "depends_on: these wait for each other: %.300s", circle);
    free(k.v);
    return rc;
}

static bool is_up(const struct app *a)
{
    const struct process *p;

    TAILQ_FOREACH (p, &a->processes, app_entry) {
        if (p->state == LC_ONLINE || p->state == LC_LAUNCHING)
            return true;
    }
    return false;
}

const char *engine_order_dependent(struct engine *e, const struct app *a,
                                   bool (*except)(const void *arg, const struct app *other), const void *arg)
{
    const struct app *other;

    TAILQ_FOREACH (other, supervisor_apps(e->sup), entry) {
        if (other != a && depends_names(other->spec, a->spec->name) && is_up(other) && !except(arg, other))
            return other->spec->name;
    }
    return NULL;
}
