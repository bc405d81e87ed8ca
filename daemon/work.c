#include "daemon/work.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "config/depends.h"
#include "daemon/depends.h"

struct item {
    struct work *work;
    enum work_kind kind;
    uint32_t id, instance;
    uint64_t app;   /* with it the id is sure: ids begin again when the list has become empty */
    uint32_t order; /* its number among those given to the process */
    char *name;     /* for the report of one that is gone */
    bool begun, counts, over, failed;
    unsigned rank;               /* by depends_on: those with a lower one come first */
    struct item **needs;         /* what is to be done before; NULL at the end, or NULL */
    const struct app_spec *with; /* of a reload */
    bool force;
};

/* Its reload has failed: the processes of it whose turn did not come yet stay as they are. */
struct failed_app {
    uint64_t app;
    uint32_t id; /* of the process that failed */
};

struct work {
    struct supervisor *sup;
    struct work_client client;
    char *by;
    struct item **v; /* each on its own, for waiters hold it */
    size_t n, size;
    size_t seen;      /* of those that work_some has looked at */
    size_t next;      /* of those that wait for their turn */
    size_t left;      /* not reported yet */
    unsigned running; /* of those that count */
    unsigned at_once;
    bool going, stepping;
    struct failed_app *failed;
    size_t n_failed;
};

struct work *work_new(struct supervisor *s, const char *by, const struct work_client *client)
{
    struct work *w = xcalloc(1, sizeof(*w));

    w->sup = s;
    w->client = *client;
    w->by = xstrdup(by);
    return w;
}

static bool wants_up(enum work_kind kind)
{
    return kind == WORK_START || kind == WORK_RESTART || kind == WORK_RELOAD;
}

void work_add(struct work *w, struct process *p, enum work_kind kind)
{
    struct item *it;

    p->order++;
    p->order_up = wants_up(kind);
    if (w->n == w->size) {
        w->size = w->size ? w->size * 2 : 8;
        w->v = xrealloc(w->v, w->size * sizeof(*w->v));
    }
    it = xmalloc(sizeof(*it));
    *it = (struct item){.work = w,
                        .kind = kind,
                        .id = p->id,
                        .instance = p->instance,
                        .app = p->app->id,
                        .order = p->order,
                        .name = xstrdup(p->app->spec->name)};
    w->v[w->n++] = it;
    w->left++;
}

void work_add_reload(struct work *w, struct process *p, const struct app_spec *with, bool force)
{
    work_add(w, p, WORK_RELOAD);
    w->v[w->n - 1]->with = with;
    w->v[w->n - 1]->force = force;
}

size_t work_size(const struct work *w)
{
    return w->n;
}

static void step(struct work *w);

static void work_free(struct work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        free(w->v[i]->needs);
        free(w->v[i]->name);
        free(w->v[i]);
    }
    free(w->v);
    free(w->failed);
    free(w->by);
    free(w);
}

static const struct failed_app *failure_of(const struct work *w, uint64_t app)
{
    for (size_t i = 0; i < w->n_failed; i++)
        if (w->failed[i].app == app)
            return &w->failed[i];
    return NULL;
}

static void note_failure(const struct item *it)
{
    struct work *w = it->work;

    if (it->kind != WORK_RELOAD || failure_of(w, it->app))
        return;
    w->failed = xrealloc(w->failed, (w->n_failed + 1) * sizeof(*w->failed));
    w->failed[w->n_failed++] = (struct failed_app){it->app, it->id};
}

/* A waiter_cb. Within step() only the counts change; its loop goes on by itself. */
static void on_result(void *arg, const struct waiter_result *r)
{
    struct item *it = arg;
    struct work *w = it->work;

    it->over = true;
    it->failed = !r->ok;
    if (!r->ok)
        note_failure(it);
    w->client.report(w->client.arg, r);
    w->running -= it->counts;
    w->left--;
    if (w->going && !w->stepping)
        step(w);
}

/* A report without a command; error NULL: all is as it was asked for. */
static void report(struct item *it, const struct process *p, const char *error, bool left)
{
    struct waiter_result r = {.ok = !error,
                              .left = left,
                              .id = it->id,
                              .instance = it->instance,
                              .pid = p && !p->exited ? p->pid : 0,
                              .status = p ? lc_state_word(p->state) : "deleted"};

    snprintf(r.name, sizeof(r.name), "%s", it->name);
    snprintf(r.error, sizeof(r.error), "%s", error ? error : "");
    on_result(it, &r);
}

static struct process *find(const struct item *it)
{
    struct process *p = supervisor_by_id(it->work->sup, it->id);

    return p && p->app->id == it->app ? p : NULL;
}

/* Has a client asked for the opposite since? The newest command wins, whoever's turn comes first. */
static bool opposed(const struct item *it, const struct process *p)
{
    return p->order != it->order && p->order_up != wants_up(it->kind);
}

/* Why the command is not given any more, or NULL. */
static const char *hindrance(const struct item *it, const struct process *p)
{
    const struct work_client *c = &it->work->client;

    if (c->halted && c->halted(c->arg))
        return "the daemon is shutting down";
    if (!p)
        return "it was deleted before its turn came";
    if (opposed(it, p))
        return "overtaken by another command before its turn came";
    return NULL;
}

static void command(struct item *it, struct process *p)
{
    struct work *w = it->work;

    switch (it->kind) {
    case WORK_START:
        supervisor_start(w->sup, p, w->by, on_result, it);
        break;
    case WORK_STOP:
        supervisor_stop(w->sup, p, LC_R_STOPPED, w->by, on_result, it);
        break;
    case WORK_RESTART:
        supervisor_restart(w->sup, p, w->by, on_result, it);
        break;
    case WORK_DELETE:
        supervisor_delete(w->sup, p, w->by, on_result, it);
        break;
    case WORK_RELOAD:
        supervisor_reload(w->sup, p, it->with ? app_spec_dup(it->with) : NULL, it->force, w->by, on_result,
                          it);
        break;
    case WORK_RETIRE:
        supervisor_retire(w->sup, p, w->by, on_result, it);
        break;
    }
}

/* Is a process that is up left as it is, because something before it went wrong? */
static bool is_left(const struct item *it, char *words, size_t size)
{
    const struct failed_app *f = it->kind == WORK_RELOAD ? failure_of(it->work, it->app) : NULL;

    if (f) {
        snprintf(words, size, "left as it is: the reload of id %u failed", f->id);
        return true;
    }
    for (struct item **need = it->needs; need && *need && it->counts; need++) {
        if (!(*need)->failed || (it->kind != WORK_RESTART && it->kind != WORK_RELOAD))
            continue;
        snprintf(words, size, "left as it is: its dependency %.128s failed", (*need)->name);
        return true;
    }
    return false;
}

static void begin(struct item *it)
{
    struct process *p = find(it);
    const char *error = hindrance(it, p);
    char words[200];
    bool f = is_left(it, words, sizeof(words));

    it->begun = true;
    it->work->running += it->counts;
    if (!p && (it->kind == WORK_DELETE || it->kind == WORK_RETIRE))
        report(it, p, NULL, false);
    else if (error || f)
        report(it, p, error ? error : words, !error);
    else
        command(it, p);
}

/* Of an app that has several processes one is always left alone, however many are reloaded at a time: the old
 * and the new of all at once may be more than the machine has room for, and none would be left as it was. */
static bool must_wait(const struct item *it)
{
    const struct work *w = it->work;
    const struct process *p = find(it), *each;
    unsigned all = 0, now = 0;

    for (struct item **need = it->needs; need && *need; need++)
        if ((*need)->counts && !(*need)->over)
            return true;
    if (it->kind != WORK_RELOAD || !p || w->running == 0)
        return false;
    TAILQ_FOREACH (each, &p->app->processes, app_entry)
        all++;
    for (size_t i = 0; i < w->n; i++)
        now += w->v[i]->app == it->app && w->v[i]->begun && !w->v[i]->over;
    return now >= (all > 1 ? all - 1 : 1);
}

static void step(struct work *w)
{
    w->stepping = true;
    for (size_t i = w->next; i < w->n && w->running < w->at_once; i++)
        if (!w->v[i]->begun && !must_wait(w->v[i]))
            begin(w->v[i]);
    while (w->next < w->n && w->v[w->next]->begun)
        w->next++;
    w->stepping = false;
    if (w->left > 0)
        return;
    if (w->client.done)
        w->client.done(w->client.arg);
    work_free(w);
}

/* Would the command take down something that runs? */
static bool takes_down(const struct item *it)
{
    const struct process *p = find(it);

    if (it->kind == WORK_RELOAD)
        return true; /* in turn, whatever they are: the first shows what a new configuration is worth */
    return it->kind != WORK_START && p &&
           (p->state == LC_LAUNCHING || p->state == LC_ONLINE || p->state == LC_STOPPING);
}

static unsigned usual_number(const struct work *w)
{
    if (w->n > 0 && (w->v[0]->kind == WORK_DELETE || w->v[0]->kind == WORK_RETIRE))
        return w->n <= WORK_FEW ? 1 : WORK_DELETE_AT_ONCE;
    return w->n <= WORK_FEW ? 1 : WORK_AT_ONCE;
}

static int by_rank(const void *a, const void *b)
{
    const struct item *const *x = a, *const *y = b;

    if ((*x)->rank != (*y)->rank)
        return (*x)->rank < (*y)->rank ? -1 : 1;
    return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

static void sort(struct work *w, size_t from)
{
    if (w->n > from)
        qsort(w->v + from, w->n - from, sizeof(struct item *), by_rank);
}

/* Has one of them, from this number on, to wait for others? */
static bool any_depends(const struct work *w, size_t from)
{
    for (size_t i = from; i < w->n; i++) {
        const struct process *p = find(w->v[i]);

        if (p && p->app->spec->depends_on.n)
            return true;
    }
    return false;
}

static void find_needs(struct work *w, struct item *it, const struct app_spec *const *specs, size_t own)
{
    size_t n = 0;

    for (size_t i = 0; i < w->n; i++) {
        bool up = wants_up(it->kind);

        if (i == own || !depends_names(specs[up ? own : i], specs[up ? i : own]->name))
            continue;
        it->needs = xrealloc(it->needs, (n + 2) * sizeof(struct item *));
        it->needs[n++] = w->v[i];
        it->needs[n] = NULL;
    }
}

/* What depends on others is brought up after them, and taken down before them. */
static void put_in_order(struct work *w)
{
    _cleanup_free_ const struct app_spec **specs = xcalloc(w->n + 1, sizeof(*specs));
    _cleanup_free_ unsigned *rank = xcalloc(w->n + 1, sizeof(*rank));
    static const struct app_spec gone = {.name = (char *)""};
    _cleanup_free_ char *circle = NULL;
    size_t at[2];

    for (size_t i = 0; i < w->n; i++) {
        const struct process *p = find(w->v[i]);

        specs[i] = p ? p->app->spec : &gone;
    }
    circle = depends_walk(specs, w->n, rank, at);
    if (circle)
        return; /* of a damaged state.db: there is no order */
    for (size_t i = 0; i < w->n; i++) {
        w->v[i]->rank = wants_up(w->v[i]->kind) ? rank[i] : (unsigned)w->n - rank[i];
        find_needs(w, w->v[i], specs, i);
    }
}

/* Those that need not wait for a turn. */
static void begin_free(struct work *w)
{
    size_t first = w->seen;

    w->stepping = true;
    /* Which ones wait is settled before the first begins, for that may change the others. */
    for (; w->seen < w->n; w->seen++)
        w->v[w->seen]->counts = takes_down(w->v[w->seen]);
    /* Who is started after something that is restarted waits with it. */
    for (size_t i = first; i < w->seen; i++)
        for (struct item **need = w->v[i]->needs; need && *need; need++)
            w->v[i]->counts |= (*need)->counts && wants_up(w->v[i]->kind);
    for (size_t i = first; i < w->seen; i++)
        if (!w->v[i]->counts)
            begin(w->v[i]);
    w->stepping = false;
}

void work_some(struct work *w)
{
    if (!any_depends(w, w->seen)) /* else the order is known when all are there */
        begin_free(w);
}

void work_go(struct work *w, unsigned parallel)
{
    w->at_once = parallel ? parallel : usual_number(w);
    if (any_depends(w, 0))
        put_in_order(w);
    for (size_t i = w->seen; parallel && i < w->n; i++)
        w->v[i]->counts = true;
    sort(w, w->seen);
    if (!parallel)
        begin_free(w);
    sort(w, 0);
    w->going = true;
    step(w);
}
