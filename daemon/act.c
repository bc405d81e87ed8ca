#include "daemon/act.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/plog.h"
#include "daemon/engine.h"
#include "daemon/reload_rules.h"

/* Of an act that is under way. */
struct act {
    struct engine *engine;
    uint32_t id;
    char *words;
};

static void forget_detail(struct process *p)
{
    struct runtime *r = runtime_of(p);

    free(r->detail);
    r->detail = NULL;
}

/* The words are for the run that ends. After a reload that failed it goes on, and may end for another reason.
 */
static void on_done(void *arg, const struct waiter_result *result)
{
    struct act *a = arg;
    struct process *p = a->engine->sup ? supervisor_by_id(a->engine->sup, a->id) : NULL;

    if (p) {
        p->acting = false;
        if (!result->ok && runtime_of(p)->detail && strcmp(runtime_of(p)->detail, a->words) == 0)
            forget_detail(p);
    }
    if (!result->ok)
        log_warn("%s (%u): %s: %s", result->name, result->id, a->words, result->error);
    free(a->words);
    free(a);
}

static bool another_acts(const struct process *p)
{
    const struct process *other;

    TAILQ_FOREACH (other, &p->app->processes, app_entry) {
        if (other != p && (other->acting || (other->by && other->state == LC_STOPPING)))
            return true;
    }
    return false;
}

bool engine_act(struct engine *e, struct process *p, enum act_how how, enum event_kind kind, const char *what,
                const char *words, bool all)
{
    const struct app_spec *s = p->app->spec;
    struct runtime *r = runtime_of(p);
    char by[64], why[160];
    struct act *a;

    if (e->shutdown || e->updating || p->acting || p->delete_when_down || p->role != ROLE_SLOT ||
        (p->state != LC_ONLINE && p->state != LC_LAUNCHING) || (!all && another_acts(p)))
        return false;
    snprintf(by, sizeof(by), "pm: %s", what);
    log_info("%s (%u): %s: %s", s->name, p->id, what, words);
    event_emit(e, &(struct event){.kind = kind, .p = p, .by = by, .text = words});
    forget_detail(p);
    r->detail = xstrdup(words);
    a = xcalloc(1, sizeof(*a));
    *a = (struct act){e, p->id, xstrdup(words)};
    p->acting = true;
    if (how == ACT_REPLACE && p->state == LC_ONLINE && reload_is_gapless(s, s, why, sizeof(why))) {
        supervisor_reload(e->sup, p, NULL, false, by, on_done, a);
        return true;
    }
    if (how == ACT_KILL)
        supervisor_kill_and_restart(e->sup, p, by, on_done, a);
    else
        supervisor_restart(e->sup, p, by, on_done, a);
    return true;
}
