/*
 * Children that were started just before keeper and engine were both killed: state.db does not know them yet,
 * and there is no keeper that would. Their apps are started anew, as state.db is all that is known of them,
 * and so these have to be gone first. They are as young as the last commit is old; SIGKILL, because nothing
 * else is sure to end them before that.
 */
#include <stdlib.h>
#include <string.h>

#include "common/fs.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/engine.h"
#include "daemon/tree_hunt.h"

/* What is left then is inside the kernel: it never comes back to run a program. */
#define TRIES 3

struct strays {
    uv_work_t work;
    struct tree_hunt hunt;
    struct engine *engine;
    void (*done)(struct engine *e);
    int tries;
};

/* The last run of this process that is not a stray: it has a pid to be adopted by, or is over. */
static uint64_t last_known_run(const struct process *p, bool damaged)
{
    bool may_run = p->state == LC_LAUNCHING || p->state == LC_ONLINE || p->state == LC_STOPPING;

    /* An old list does not tell that it was started since; but one that is wanted up would run twice. */
    if (damaged && p->desired == DESIRED_DOWN)
        return UINT64_MAX;
    if (p->run && may_run && p->pid <= 0 && !(p->last.valid && p->last.run >= p->run))
        return p->run - 1; /* asked for, and not known to be carried out */
    return p->last.valid && p->last.run > p->run ? p->last.run : p->run;
}

/* With the whole tree nothing of an earlier run is left, but for a process that had been replaced by a reload
 * and was finishing its connections, or one that had just been going to be killed. */
static bool is_alone(const struct process *p, uint64_t known)
{
    return p->app->spec->treekill && known == p->run && p->pid > 0;
}

static int by_proc(const void *a, const void *b)
{
    uint32_t x = ((const struct hunt_known *)a)->proc, y = ((const struct hunt_known *)b)->proc;

    return x < y ? -1 : x > y;
}

static void fill(struct engine *e, struct tree_hunt *h, bool damaged)
{
    struct process *p;
    size_t n = 0;

    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        n++;
    }
    h->known = xcalloc(n + 1, sizeof(*h->known));
    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        uint64_t run = last_known_run(p, damaged);

        h->known[h->n_known++] = (struct hunt_known){p->id, run, !damaged && is_alone(p, run)};
    }
    if (n)
        qsort(h->known, n, sizeof(*h->known), by_proc);
}

/* Is it as state.db has it, beside what was found? Then it is taken back, and nothing is started. */
static bool lives(const struct process *p)
{
    uint64_t ticks;

    return p->pid > 0 && fs_proc_start_ticks(p->pid, &ticks) == 0 && ticks == p->start_ticks;
}

static void tell(struct engine *e, const struct tree_hunt *h)
{
    for (size_t i = 0; i < h->n_found; i++) {
        const struct hunt_found *f = &h->found[i];
        const struct process *p = f->run ? supervisor_by_id(e->sup, f->proc) : NULL;

        if (f->run == 0)
            log_warn("pid %d was about to become an app when the last daemon was killed: ended", (int)f->pid);
        else if (p && f->run < p->run)
            log_warn("run %llu (%s, pid %d) had been replaced when the last daemon was killed: ended",
                     (unsigned long long)f->run, p->app->spec->name, (int)f->pid);
        else
            log_warn("run %llu (%s, pid %d) was started just before the last daemon was killed and is not in "
                     "state.db: ended%s",
                     (unsigned long long)f->run, p ? p->app->spec->name : "not in the list", (int)f->pid,
                     p && p->desired == DESIRED_UP && !lives(p) ? ", and started anew" : "");
    }
    if (h->alive < 0)
        log_error("cannot look for what the last daemon left: %s", strerror(-h->alive));
    else if (h->alive > 0)
        log_error("%d of these processes are still there after SIGKILL", h->alive);
}

static void work_cb(uv_work_t *work)
{
    struct strays *s = work->data;

    tree_hunt_kill(&s->hunt);
}

static void begin(struct strays *s);

static void after_cb(uv_work_t *work, int status)
{
    struct strays *s = work->data;

    if (status < 0)
        s->hunt.alive = status;
    if (s->hunt.alive != 0 && ++s->tries < TRIES) {
        begin(s);
        return;
    }
    tell(s->engine, &s->hunt);
    tree_hunt_deinit(&s->hunt);
    s->done(s->engine);
    free(s);
}

static void begin(struct strays *s)
{
    uv_queue_work(&s->engine->loop, &s->work, work_cb, after_cb);
}

void engine_end_strays(struct engine *e, const uint64_t *held, size_t n_held, uint64_t last_run, bool damaged,
                       void (*done)(struct engine *e))
{
    struct strays *s = xcalloc(1, sizeof(*s));

    *s = (struct strays){.engine = e, .done = done};
    s->work.data = s;
    s->hunt.ctx = engine_tree_ctx(e);
    s->hunt.held = xcalloc(n_held + 1, sizeof(*held));
    if (n_held)
        memcpy(s->hunt.held, held, n_held * sizeof(*held));
    s->hunt.n_held = n_held;
    /* Of what an old list does not have it is not known either whether it should run. */
    s->hunt.last_run = damaged ? UINT64_MAX : last_run;
    fill(e, &s->hunt, damaged);
    begin(s);
}
