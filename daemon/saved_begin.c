/* The list of a daemon that begins after a reboot or a shutdown: what was saved, and nothing else. */
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/plog.h"
#include "config/times.h"
#include "daemon/saved.h"

/* What is in state.db, and which rows of it stay. */
struct old_list {
    const struct store_image *image;
    struct app_spec **specs; /* of the image's apps; NULL when it cannot be read or is in use again */
    bool *keep_app, *keep_process;
};

static void old_init(struct old_list *o, const struct store_image *image)
{
    *o = (struct old_list){.image = image,
                           .specs = xcalloc(image->n_apps + 1, sizeof(struct app_spec *)),
                           .keep_app = xcalloc(image->n_apps + 1, sizeof(bool)),
                           .keep_process = xcalloc(image->n_processes + 1, sizeof(bool))};
    for (size_t i = 0; i < image->n_apps; i++) {
        json_t *j = json_loads(image->apps[i].json, JSON_ALLOW_NUL, NULL);

        o->specs[i] = j ? app_spec_from_json(j, NULL) : NULL;
        json_decref(j);
    }
}

/* Takes what has no place in the new list out of the database, and frees all. */
static void old_finish(struct engine *e, struct old_list *o)
{
    for (size_t i = 0; i < o->image->n_processes; i++)
        if (!o->keep_process[i])
            store_del_process(e->store, o->image->processes[i].id);
    for (size_t i = 0; i < o->image->n_apps; i++) {
        if (!o->keep_app[i])
            store_del_app(e->store, o->image->apps[i].id);
        app_spec_free(o->specs[i]);
    }
    free(o->specs);
    free(o->keep_app);
    free(o->keep_process);
}

/* The id that the app had, or a new one. */
static uint64_t app_id(struct engine *e, struct old_list *o, const struct app_spec *s)
{
    for (size_t i = 0; i < o->image->n_apps; i++) {
        const struct app_spec *old = o->specs[i];

        if (o->keep_app[i] || !old || strcmp(old->name, s->name) != 0 || strcmp(old->ns, s->ns) != 0 ||
            strcmp(old->script, s->script) != 0)
            continue;
        o->keep_app[i] = true;
        return o->image->apps[i].id;
    }
    return store_next_app(e->store);
}

static const struct store_process *take_row(struct old_list *o, uint64_t app, uint32_t instance)
{
    for (size_t i = 0; i < o->image->n_processes; i++) {
        const struct store_process *row = &o->image->processes[i];

        if (row->app != app || row->instance != instance || o->keep_process[i])
            continue;
        o->keep_process[i] = true;
        return row;
    }
    return NULL;
}

/* It comes back as a process that was never started, but knows how its last run ended. */
static void bring_back(struct engine *e, struct app *a, const struct saved_process *saved,
                       const struct store_process *row)
{
    struct process *p = engine_add_process(e, a, saved->instance, row ? (int64_t)row->id : -1);
    bool job = app_is_job(a->spec);

    if (row) {
        restore_fill(p, row);
        p->state = LC_STOPPED;
        p->pid = 0;
        p->counters = (struct lc_counters){0};
        p->times = (struct schedule_clock){0}; /* what came while there was no daemon is not made up */
        p->deadline_ms = p->signaled_ms = p->online_ms = p->started_ms = 0;
    }
    p->created_ms = clock_wall_ms();
    p->desired = saved->up && !job ? DESIRED_UP : DESIRED_DOWN;
    p->reason = saved->up || job ? LC_R_NONE : LC_R_STOPPED;
    engine_save_process(e, p);
}

static void begin_with(struct engine *e, struct saved_list *l, const struct store_image *image)
{
    struct app **apps = xcalloc(l->n + 1, sizeof(struct app *));
    struct old_list old;

    old_init(&old, image);
    for (size_t i = 0; i < l->n; i++) {
        struct app_spec *s = l->apps[i].spec;

        apps[i] = supervisor_add_app(e->sup, app_id(e, &old, s), s);
        l->apps[i].spec = NULL;
        engine_save_app(e, apps[i]);
    }
    /* First those that keep their ids, then those that take what is free. */
    for (int known = 1; known >= 0; known--) {
        for (size_t i = 0; i < l->n; i++) {
            for (size_t k = 0; k < l->apps[i].n; k++) {
                struct saved_process *saved = &l->apps[i].processes[k];
                const struct store_process *row = known ? take_row(&old, apps[i]->id, saved->instance) : NULL;

                if (saved->instance == UINT32_MAX || (known && !row))
                    continue;
                bring_back(e, apps[i], saved, row);
                saved->instance = UINT32_MAX; /* done */
            }
        }
    }
    old_finish(e, &old);
    free(apps);
}

bool saved_begin(struct engine *e, const struct store_image *image, bool same_boot, bool damaged)
{
    /* A database without a boot id never had a process. A damaged one may tell of an end that is long past.
     */
    bool rebooted = !same_boot && image->boot_id[0] && image->ended != STORE_FORGOTTEN;
    bool stopped = image->ended == STORE_TERMINATED && !damaged;
    struct saved_list l;
    struct err err;
    char note[512];

    if ((!rebooted && !stopped) || (!e->saved[0] && !e->saved[1]))
        return false;
    if (saved_read(e, &l, note, sizeof(note), &err) < 0) {
        log_error("%s: going on with the list as it was", err.msg);
        return false;
    }
    if (note[0]) {
        log_error("%s", note);
        event_emit(e, &(struct event){.kind = EVENT_LIST_TROUBLE, .text = note});
    }
    log_info("beginning with the saved list: %zu app%s", l.n, l.n == 1 ? "" : "s");
    begin_with(e, &l, image);
    saved_list_free(&l);
    return true;
}
